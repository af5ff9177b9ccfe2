"""Reveal the labels of a cycle's regions, or of everything for the references."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from al.annotators.simulated import reveal, reveal_all
from al.cluster.job import run
from al.io.errors import DataError
from al.io.tables import read_labels, read_pool, read_regions, write_labels
from al.layouts import get_layout


def reveal_labels(
    pool: str,
    layout: dict[str, Any],
    folder: str,
    labels: str,
    regions: str | None = None,
    before: str | None = None,
    footprint: str = "square",
    annotated: Sequence[str] = ("train",),
) -> None:
    """Write the label files that changed into ``folder`` and where all current ones are.

    A cycle that reveals nothing is told: what follows is trained on the earlier labels.

    Args:
        regions: ``regions.csv`` of this cycle; ``None`` reveals all of the splits ``annotated``.
        before: ``labels.csv`` of the cycle before, if there is one.
        footprint: shape of windows.

    Raises:
        DataError: the first cycle reveals nothing to train on.
    """
    opened, rows, target = get_layout(**layout), read_pool(pool), Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    if regions is None:
        revealed = reveal_all(opened, rows, target, annotated)
    else:
        known = read_labels(before) if before else []
        new = read_regions(regions)
        revealed, empty = reveal(opened, rows, new, known, target, footprint)
        if empty == len(new) and before is None:
            raise DataError(
                f"{regions}: none of the {empty} regions of the first cycle holds ground truth, so "
                "that nothing can be learnt; allowed: some. `offer: truth` chooses such regions "
                "alone, and another seed draws others"
            )
        if empty:
            print(f"{empty} of {len(new)} regions hold no ground truth, nothing is revealed there")
        if empty == len(new):
            print("nothing is revealed in this cycle: the training has the earlier labels alone")
    write_labels(labels, revealed)
    print(f"labels of {len(revealed)} images or RoIs")


if __name__ == "__main__":
    run(snakemake, reveal_labels)  # noqa: F821
