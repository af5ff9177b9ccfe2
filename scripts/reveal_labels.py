"""Reveal the labels of a cycle's regions, or of everything for the references."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from al.annotators.simulated import reveal, reveal_all
from al.cluster.job import run
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

    Args:
        regions: ``regions.csv`` of this cycle; ``None`` reveals all of the splits ``annotated``.
        before: ``labels.csv`` of the cycle before, if there is one.
        footprint: shape of windows.
    """
    opened, rows, target = get_layout(**layout), read_pool(pool), Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    if regions is None:
        revealed = reveal_all(opened, rows, target, annotated)
    else:
        known = read_labels(before) if before else []
        revealed = reveal(opened, rows, read_regions(regions), known, target, footprint)
    write_labels(labels, revealed)
    print(f"labels of {len(revealed)} images or RoIs")


if __name__ == "__main__":
    run(snakemake, reveal_labels)  # noqa: F821
