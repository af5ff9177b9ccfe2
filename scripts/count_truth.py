"""Count the classes in the ground truth of the training pool; read by ``evaluate`` alone."""

from typing import Any

from glue.costs import count_truth
from glue.files import write_json
from glue.logs import log_to
from glue.tables import read_pool
from layouts import get_layout


def count(pool: str, layout: dict[str, Any], out: str) -> None:
    """Write {image: [pixels (RoIs) per class, void]}."""
    opened = get_layout(**layout)
    rows = [r for r in read_pool(pool) if r.split in ("train", "")]
    write_json(out, count_truth(opened, rows, len(layout["classes"])))


if __name__ == "__main__":
    smk = snakemake  # noqa: F821
    log_to(smk.log)
    count(smk.input.pool, smk.params.layout, smk.output.truth)
