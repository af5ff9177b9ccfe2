"""Gather the metrics of a run in ``curves.csv``, its class confidences in ``confidence.csv``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from al.cluster.job import run
from al.report.confidence import read_confidence, write_confidence
from al.report.curves import collect_curves


def collect(metrics: Sequence[str], look: dict[str, Any], curves: str, confidence: str) -> None:
    """Write both tables."""
    collect_curves([Path(file) for file in metrics], Path(curves))
    write_confidence(read_confidence(Path(curves).parent, look), Path(confidence))


if __name__ == "__main__":
    run(snakemake, collect)  # noqa: F821
