"""Write a small generated dataset, for the demo and the tests."""

from collections.abc import Mapping
from pathlib import Path

from al.cluster.job import run
from al.generators import generate
from al.io.files import write_json


def generate_data(
    name: str,
    root: str | Path,
    seed: int,
    stamp: str | Path,
    sizes: Mapping[str, int] | None = None,
) -> None:
    """Write the dataset ``name`` into ``root``, then the file ``stamp`` that says it is whole.

    ``sizes``: numbers of images and the like; those that are missing are the generator's own.
    """
    generate(name, root, seed, **(sizes or {}))
    write_json(stamp, {"name": name, "seed": seed, **(sizes or {})})


if __name__ == "__main__":
    run(snakemake, generate_data)  # noqa: F821
