"""Plot the regions that each strategy chose on a few images (see ``reporting.overlays``)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from glue.logs import log_to
from glue.tables import read_pool, read_regions
from reporting.overlays import plot_overlays


def plot_chosen(
    pool: Path,
    regions: Sequence[Path],
    strategies: Sequence[str],
    layout: dict[str, Any],
    classes: Sequence[str],
    n_images: int,
    out: Path,
) -> None:
    """Open the pool and the regions, one file per strategy in the same order, and plot them.

    Args:
        layout: ``name``, ``options`` and ``classes`` of the layout.
    """
    from layouts import get_layout

    opened = get_layout(layout["name"], layout["options"], layout["classes"])
    rows = {row.key: row for row in read_pool(pool)}
    chosen = {name: read_regions(path) for name, path in zip(strategies, regions, strict=True)}
    plot_overlays(opened, rows, chosen, classes, out, n_images)


if __name__ == "__main__":
    smk = snakemake  # noqa: F821
    log_to(smk.log)
    plot_chosen(
        Path(smk.input.pool),
        [Path(p) for p in smk.input.regions],
        smk.params.strategies,
        smk.params.layout,
        smk.params.classes,
        smk.params.n_images,
        Path(smk.output.png),
    )
