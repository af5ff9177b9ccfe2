"""Draw the figures of a run from its numbers (see ``al.report.figures``)."""

from pathlib import Path
from typing import Any

from al.cluster.job import run
from al.report.figures import save_figures
from al.report.gather import view_from_tables


def plot_figures(curves: str, confidence: str, look: dict[str, Any]) -> None:
    """Write every figure as SVG, PDF and PNG into the folder ``report`` beside ``curves``."""
    view = view_from_tables(Path(curves), Path(confidence), look)
    for stem in save_figures(view, look, Path(curves).parent / "report"):
        print(f"{stem}: nothing to draw")


if __name__ == "__main__":
    run(snakemake, plot_figures)  # noqa: F821
