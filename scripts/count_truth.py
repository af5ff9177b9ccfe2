"""Count the classes in the ground truth of what may be annotated; read by ``evaluate`` alone."""

from collections.abc import Sequence
from typing import Any

from al.cluster.job import log_to
from al.io.files import write_json
from al.io.tables import read_pool
from al.layouts import get_layout
from al.scoring.costs import count_truth


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
