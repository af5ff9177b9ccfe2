"""Gather the metrics of a run in ``curves.csv``, its class confidences in ``confidence.csv``."""

from pathlib import Path

from glue.logs import log_to
from reporting.confidence import write_confidence
from reporting.curves import collect_curves
from reporting.gather import confidences

if __name__ == "__main__":
    smk = snakemake  # noqa: F821
    log_to(smk.log)
    curves = Path(smk.output.curves)
    collect_curves([Path(p) for p in smk.input.metrics], curves)
    write_confidence(confidences(curves.parent, smk.params.look), Path(smk.output.confidence))
