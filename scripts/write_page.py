"""Write the tables and the page of a run (see ``al.report.assembly``)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from al.cluster.job import run
from al.paths import mirrored
from al.report.assembly import write_page
from al.report.gather import view_from_tables
from al.report.imaging import Images
from al.report.tabulation import Source, read_last_metrics, save_tables


def write(curves: str, confidence: str, metrics: Sequence[str], look: dict[str, Any]) -> None:
    """Write both into the folder ``report`` beside ``curves``."""
    folder, out = Path(curves).parent, Path(curves).parent / "report"
    view = view_from_tables(Path(curves), Path(confidence), look)
    last = read_last_metrics([Path(file) for file in metrics], view)
    benchmarks = Path(mirrored(folder, "benchmarks"))
    tables = save_tables(Source(view, look, benchmarks, last), out)
    budgets = look["budgets"] if look["strategies"] else []
    images = Images(folder, look) if budgets else None
    pictures = {budget: images.pictures(budget) for budget in budgets} if images else {}
    write_page(look, view, tables, pictures, out)


if __name__ == "__main__":
    run(snakemake, write)  # noqa: F821
