"""Gather the metrics of a run in ``curves.csv``, its class confidences in ``confidence.csv``."""

from pathlib import Path

from al.cluster.job import log_to
from al.report.confidence import write_confidence
from al.report.curves import collect_curves
from al.report.gather import confidences

if __name__ == "__main__":
    smk = snakemake  # noqa: F821
    log_to(smk.log)
    curves = Path(smk.output.curves)
    collect_curves([Path(p) for p in smk.input.metrics], curves)
    write_confidence(confidences(curves.parent, smk.params.look), Path(smk.output.confidence))
