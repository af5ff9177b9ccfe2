"""Gather the statistics of all predicted images in one table, ``images.csv``."""

from collections.abc import Sequence

from al.cluster.job import log_to
from al.io.images_csv import write_statistics
from al.io.records import read_records


def score_images(
    predictions: Sequence[str], classes: Sequence[str], thresholds: Sequence[float], out: str
) -> None:
    """Write one row per image: counts per class, confident counts, mean uncertainty."""
    write_statistics(out, read_records(predictions, maps=False), classes, thresholds)


if __name__ == "__main__":
    smk = snakemake  # noqa: F821
    log_to(smk.log)
    score_images(
        smk.input.predictions, smk.params.classes, smk.params.thresholds, smk.output.images
    )
