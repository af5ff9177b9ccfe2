"""Tabulate the hours and the memory of every attempt (see ``reporting.usage``)."""

from pathlib import Path

from glue.logs import log_to
from reporting.usage import tabulate_usage

if __name__ == "__main__":
    smk = snakemake  # noqa: F821
    log_to(smk.log)
    tabulate_usage(Path(smk.params.get("benchmarks")), Path(smk.output.csv), Path(smk.output.md))
