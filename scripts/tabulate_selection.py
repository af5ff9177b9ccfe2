"""Tabulate the time and memory that selection takes (see ``reporting.selection``)."""

from pathlib import Path

from glue.logs import log_to
from reporting.selection import tabulate_selection

if __name__ == "__main__":
    smk = snakemake  # noqa: F821
    log_to(smk.log)
    tabulate_selection(
        Path(smk.params.get("benchmarks")),
        Path(smk.output.csv),
        Path(smk.output.md),
        smk.params.get("predicted"),
    )
