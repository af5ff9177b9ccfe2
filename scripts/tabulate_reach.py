"""Tabulate what must be annotated to come close to full annotation (see ``reporting.reach``)."""

from __future__ import annotations

from pathlib import Path

from reporting.reach import table_reach

if __name__ == "__main__":
    smk = snakemake  # noqa: F821
    table_reach(
        Path(smk.input.curves),
        Path(smk.output.csv),
        Path(smk.output.md),
        smk.params.x,
        smk.params.share,
    )
