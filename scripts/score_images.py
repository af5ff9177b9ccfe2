"""Gather the statistics of all predicted images in one table, ``images.csv``."""

from collections.abc import Sequence

from al.cluster.job import run
from al.io.images_csv import read_counts, write_statistics
from al.io.records import read_records


def score_images(
    predictions: Sequence[str], classes: Sequence[str], thresholds: Sequence[float], images: str
) -> None:
    """Write one row per image: counts per class, confident counts, mean uncertainty."""
    write_statistics(images, read_records(predictions, maps=False), classes, thresholds)
    predicted = read_counts(images, classes, None)[2].sum(axis=0)
    if lost := [name for name, count in zip(classes, predicted, strict=True) if not count]:
        print(f"predicted nowhere: {', '.join(lost)}. What reads predictions cannot look for it")


if __name__ == "__main__":
    run(snakemake, score_images)  # noqa: F821
