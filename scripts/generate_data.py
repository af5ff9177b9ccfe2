"""Write a small generated dataset, for the demo and the tests."""

from pathlib import Path

from generators import generate
from glue.files import write_json
from glue.logs import log_to


def generate_data(name: str, root: str | Path, seed: int, stamp: str | Path) -> None:
    """Write the dataset ``name`` into ``root``, then the file ``stamp`` that says it is whole."""
    generate(name, root, seed)
    write_json(stamp, {"name": name, "seed": seed})


if __name__ == "__main__":
    smk = snakemake  # noqa: F821
    log_to(smk.log)
    generate_data(smk.params.name, smk.params.root, smk.params.seed, smk.output[0])
