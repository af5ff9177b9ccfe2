"""Draw the figures of a run from its numbers (see ``al.report.drawing``)."""

from pathlib import Path

from al.cluster.job import log_to
from al.report.drawing import save_figures
from al.report.gather import view_from_tables

if __name__ == "__main__":
    smk = snakemake  # noqa: F821
    log_to(smk.log)
    curves, look = Path(smk.input.curves), smk.params.look
    view = view_from_tables(curves, Path(smk.input.confidence), look)
    for stem in save_figures(view, look, curves.parent / "report"):
        print(f"{stem}: nothing to draw")
