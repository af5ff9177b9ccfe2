"""Gather the metrics of all cycles into one table (see ``reporting.curves``)."""

from __future__ import annotations

from pathlib import Path

from reporting.curves import collect_curves

if __name__ == "__main__":
    smk = snakemake  # noqa: F821
    collect_curves([Path(p) for p in smk.input.metrics], Path(smk.output.curves))
