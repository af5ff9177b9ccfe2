"""Draw the figures of a run that show its images (see ``al.report.imaging``)."""

from pathlib import Path

from al.cluster.job import log_to
from al.report.imaging import Images, save_pictures

if __name__ == "__main__":
    smk = snakemake  # noqa: F821
    log_to(smk.log)
    folder = Path(smk.input.pool).parents[1]
    save_pictures(Images(folder, smk.params.look), folder / "report")
