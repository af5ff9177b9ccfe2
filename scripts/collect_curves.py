"""Gather the metrics of all cycles into one table (see ``reporting.curves``)."""

from pathlib import Path

from glue.logs import log_to
from reporting.curves import collect_curves

if __name__ == "__main__":
    smk = snakemake  # noqa: F821
    log_to(smk.log)
    collect_curves([Path(p) for p in smk.input.metrics], Path(smk.output.curves))
