"""Take over what people annotated in a cycle's regions."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from typing import Any

from al.annotators import human, simulated
from al.annotators.assignment import assignment_in, targets_of
from al.cluster.job import run
from al.config.settings import data_root_of
from al.io.errors import DataError
from al.io.fingerprints import sums_of
from al.io.labels import UNKNOWN, read_label
from al.io.tables import LabelRow, read_labels, read_pool, read_regions, write_labels, write_regions
from al.layouts import get_layout
from al.paths import DATA


def take_annotations(
    pool: str,
    chosen: str,
    layout: dict[str, Any],
    about: Mapping[str, Any],
    cycle: int,
    config: dict[str, Any],
    folder: str,
    labels: str,
    regions: str,
    history: str,
    earlier: str | None = None,
    before: str | None = None,
) -> None:
    """Write what was annotated in this cycle, the whole history and all labels of it.

    Args:
        pool: ``pool.csv`` of the seed, in ``pools/`` of the run.
        chosen: what people were asked for; what takes the place of skipped regions lies beside it.
        about: ``ABOUT`` of the configuration.
        earlier, before: history and ``labels.csv`` of the cycle before, if there is one.

    Raises:
        DataError: regions wait for annotators, or nothing is labelled yet.
    """
    rows, target = read_pool(pool, "train", "val"), Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    store = human.store_of(about["dataset"], about["task"], about["classes"])
    sums = sums_of(Path(pool).parent.parent / DATA, Path(data_root_of(config)))
    assignment = assignment_in(Path(chosen).parent, rows, about, cycle, sums)
    new = human.annotated(assignment, store)
    all_regions = [*(read_regions(earlier) if earlier else []), *new]
    known = read_labels(before) if before else []
    if assignment.labelled:
        known, _ = simulated.reveal(get_layout(**layout), rows, new, [], target, about["footprint"])
        known = [replace(r, path=r.path and str(target.parent / r.path)) for r in known]
    targets = targets_of(all_regions, rows, about["footprint"], sums)
    revealed, corrected = human.reveal(targets, known, target, store)
    if before is None and not any(map(_holds_labels, revealed, repeat(target.parent))):
        raise DataError(
            f"{chosen}: no pixel of the {len(new)} regions of the first cycle has a class, so that "
            "nothing can be learnt; to do: open one of them again, in the list of the page (make "
            f"annotate RUN={about['run']} NEXT=no), and label it"
        )
    write_regions(regions, new)
    write_regions(history, all_regions)
    write_labels(labels, revealed)
    for image, count in corrected.items():
        print(f"corrected since the last cycle, and learnt from now on: {image}, {count}")
    print(f"labels of {len(revealed)} images or RoIs")


def _holds_labels(row: LabelRow, folder: Path) -> bool:
    """Whether something is labelled in an image whose file is named relative to a folder."""
    return row.label is not None or bool((read_label(folder / row.path) != UNKNOWN).any())


if __name__ == "__main__":
    run(snakemake, take_annotations)  # noqa: F821
