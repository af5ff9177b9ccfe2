"""Write the tables and the page of a run (see ``al.report.contents``)."""

from pathlib import Path
from typing import Any

from al.cluster.job import run
from al.report.gather import view_from_tables
from al.report.running import page_of


def write(curves: str, confidence: str, look: dict[str, Any]) -> None:
    """Write both into the folder ``report`` beside ``curves``."""
    page_of(Path(curves).parent, look, view_from_tables(Path(curves), Path(confidence), look))


if __name__ == "__main__":
    run(snakemake, write)  # noqa: F821
