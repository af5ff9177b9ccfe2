"""Count the classes in the ground truth of what may be annotated, for costs and what is offered."""

from collections.abc import Sequence
from typing import Any

from al.cluster.job import run
from al.io.files import write_json
from al.io.tables import read_pool
from al.layouts import get_layout
from al.scoring.costs import count_truth


def count(
    pool: str, layout: dict[str, Any], truth: str, annotated: Sequence[str] = ("train",)
) -> None:
    """Write {image: [pixels (RoIs) per class, void]} of the splits ``annotated``."""
    opened = get_layout(**layout)
    rows = read_pool(pool, *annotated, "")
    write_json(truth, count_truth(opened, rows, len(layout["classes"])))


if __name__ == "__main__":
    run(snakemake, count)  # noqa: F821
