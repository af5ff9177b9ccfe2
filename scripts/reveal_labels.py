"""Reveal the labels of a cycle's regions, or of everything for the references."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from al.annotators.simulated import reveal, reveal_all
from al.cluster.job import log_to
from al.io.tables import read_labels, read_pool, read_regions, write_labels
from al.layouts import get_layout


def reveal_labels(
    pool: str,
    regions: str | None,
    before: str | None,
    layout: dict[str, Any],
    footprint: str,
    folder: str,
    table: str,
    splits: Sequence[str] = ("train",),
) -> None:
    """Write the label files that changed into ``folder`` and where all current ones are.

    Args:
        regions: ``regions.csv`` of this cycle; ``None`` reveals all of ``splits``.
        before: ``labels.csv`` of the cycle before, if there is one.
        footprint: shape of windows.
    """
    opened, rows, target = get_layout(**layout), read_pool(pool), Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    if regions is None:
        labels = reveal_all(opened, rows, target, splits)
    else:
        known = read_labels(before) if before else []
        labels = reveal(opened, rows, read_regions(regions), known, target, footprint)
    write_labels(table, labels)
    print(f"labels of {len(labels)} images or RoIs")


if __name__ == "__main__":
    smk = snakemake  # noqa: F821
    log_to(smk.log)
    reveal_labels(
        smk.input.pool,
        smk.input.get("regions"),
        smk.input.get("before"),
        smk.params.layout,
        smk.params.get("footprint", "square"),
        smk.output.folder,
        smk.output.labels,
        smk.params.get("annotated", ["train"]),
    )
