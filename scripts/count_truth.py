"""Count the classes in the ground truth of what may be annotated; read by ``evaluate`` alone."""

from collections.abc import Sequence
from typing import Any

from glue.costs import count_truth
from glue.files import write_json
from glue.logs import log_to
from glue.tables import read_pool
from layouts import get_layout


def count(pool: str, layout: dict[str, Any], splits: Sequence[str], out: str) -> None:
    """Write {image: [pixels (RoIs) per class, void]} of the splits that are annotated."""
    opened = get_layout(**layout)
    rows = read_pool(pool, *splits, "")
    write_json(out, count_truth(opened, rows, len(layout["classes"])))


if __name__ == "__main__":
    smk = snakemake  # noqa: F821
    log_to(smk.log)
    splits = smk.params.get("annotated", ["train"])
    count(smk.input.pool, smk.params.layout, splits, smk.output.truth)
