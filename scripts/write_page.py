"""Write the tables and the page of a run (see ``al.report.assembly``)."""

from pathlib import Path

from al.cluster.job import log_to
from al.report.assembly import write_page
from al.report.gather import view_from_tables
from al.report.imaging import Images
from al.report.tabulation import Source, read_last_metrics, save_tables

if __name__ == "__main__":
    smk = snakemake  # noqa: F821
    log_to(smk.log)
    curves, look = Path(smk.input.curves), smk.params.look
    folder, out = curves.parent, curves.parent / "report"
    view = view_from_tables(curves, Path(smk.input.confidence), look)
    metrics = read_last_metrics([Path(p) for p in smk.input.metrics], view)
    tables = save_tables(Source(view, look, Path("benchmarks", folder.name), metrics), out)
    budgets = look["budgets"] if look["strategies"] else []
    images = Images(folder, look) if budgets else None
    pictures = {budget: images.pictures(budget) for budget in budgets} if images else {}
    write_page(look, view, tables, pictures, out)
