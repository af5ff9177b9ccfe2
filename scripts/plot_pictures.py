"""Draw the figures of a run that show its images (see ``al.report.pictures``)."""

from pathlib import Path
from typing import Any

from al.cluster.job import run
from al.report.pictures import save_pictures


def plot_pictures(pool: str, look: dict[str, Any]) -> None:
    """Write them into the folder ``report`` of the run whose split ``pool`` this is."""
    folder = Path(pool).parents[1]
    save_pictures(folder, look, folder / "report")


if __name__ == "__main__":
    run(snakemake, plot_pictures)  # noqa: F821
