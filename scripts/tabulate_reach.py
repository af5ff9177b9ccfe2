"""Tabulate what must be annotated to come close to full annotation (see ``reporting.reach``)."""

from pathlib import Path

from glue.logs import log_to
from reporting.reach import table_reach

if __name__ == "__main__":
    smk = snakemake  # noqa: F821
    log_to(smk.log)
    table_reach(
        Path(smk.input.curves),
        Path(smk.output.csv),
        Path(smk.output.md),
        smk.params.x,
        smk.params.share,
        smk.params.get("notes", {}),
        smk.params.get("remark", ""),
    )
