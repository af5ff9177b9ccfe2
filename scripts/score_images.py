"""Gather the statistics of all predicted images in one table, ``images.csv``."""

from collections.abc import Sequence

from al.cluster.job import run
from al.io.images_csv import write_statistics
from al.io.records import read_records


def score_images(
    predictions: Sequence[str], classes: Sequence[str], thresholds: Sequence[float], images: str
) -> None:
    """Write one row per image: counts per class, confident counts, mean uncertainty."""
    write_statistics(images, read_records(predictions, maps=False), classes, thresholds)


if __name__ == "__main__":
    run(snakemake, score_images)  # noqa: F821
