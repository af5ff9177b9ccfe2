"""What a run knows of its data: the pool, and fingerprints that tell other data from the same."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from al.io.errors import DataError
from al.io.files import atomic_path, write_json
from al.io.fingerprints import Compared, compare, taken
from al.io.pool import grouped
from al.io.tables import FileRow, PoolRow, read_files, read_pool, write_files, write_pool
from al.io.truth import read_truth
from al.layouts import get_layout
from al.layouts.base import SHOWN
from al.layouts.check_dataset import check_dataset
from al.paths import DATA
from al.scoring.costs import count_truth

from .settings import read_yaml

POOL = "pool.csv"
TRUTH = "truth.json"


class Data(NamedTuple):
    """The data of a run.

    Attributes:
        rows: the pool; none where it is still to be generated.
        files: fingerprints of the files of ``rows``; none where these were generated just now.
        moved: where each file lies now, by where it lay at the last start; empty if nowhere else.
        truth: ``truth.json`` anew where labels changed; empty if none did.
    """

    rows: list[PoolRow]
    files: list[FileRow]
    moved: dict[str, str]
    truth: dict[str, list[int]] = {}


def look_at_data(
    settings: Mapping[str, Any],
    layout: Mapping[str, Any],
    folder: Path,
    warn: Callable[[str], None],
) -> Data:
    """Check the data the first time; later, whether they are still the same.

    Args:
        settings: the resolved configuration.
        layout: name, options and classes of the layout.
        folder: ``results/{run}``.
        warn: takes a line about changed files that are taken.

    Raises:
        DataError: naming the files, what was found and what is allowed.
    """
    root = Path(settings["data_root"])
    if not (folder / POOL).exists():
        return Data(*_first(settings, layout), {})
    rows = read_pool(folder / POOL)
    if not (folder / DATA).exists():  # of data that this run has generated
        return Data(rows, taken(rows, root), {})
    known = read_files(folder / DATA)
    found = compare(known, root)
    if found.missing or (found.changed and settings["changed_data"] != "take"):
        raise DataError(_refusal(root, found))
    moved = _moved(folder, known, root)
    rows = [_at(row, moved) for row in rows]
    truth = {}
    if found.changed:
        opened = get_layout(**layout)
        opened.check(rows)
        warn(f"{_some(list(found.changed))}: changed, and taken from now on")
        if (folder / TRUTH).exists():
            counted = set(read_truth(folder / TRUTH))
            again = [row for row in rows if row.image in counted]
            truth = count_truth(opened, again, len(opened.classes))
    return Data(rows, found.files, moved, truth)


def keep_data(data: Data, folder: Path) -> None:
    """Write the fingerprints, where files lie now, and what their labels hold.

    What Snakemake knows keeps its time: no job is to be done again for it.
    """
    if data.moved:
        for file in [folder / POOL, *sorted((folder / "pools").glob("seed-*.csv"))]:
            with _keeping_time(file) as temporary:
                write_pool(temporary, [_at(row, data.moved) for row in read_pool(file)])
    if data.truth:
        with _keeping_time(folder / TRUTH) as temporary:
            write_json(temporary, data.truth)
    if data.files:
        write_files(folder / DATA, data.files)


@contextmanager
def _keeping_time(file: Path) -> Iterator[Path]:
    about = file.stat()
    with atomic_path(file) as temporary:
        yield temporary
        os.utime(temporary, ns=(about.st_atime_ns, about.st_mtime_ns))


def _first(
    settings: Mapping[str, Any], layout: Mapping[str, Any]
) -> tuple[list[PoolRow], list[FileRow]]:
    root, group = settings["data_root"], settings["group"]
    if settings["generate"] is not None:
        made = (Path(root) / ".complete").exists()
        return grouped(get_layout(**layout).index(root), group) if made else [], []
    needed = ("train", "val", "test") if settings["validation_images"] else ("train", "test")
    return check_dataset(root, dict(layout), settings["split"], settings["seeds"], needed, group)


def _moved(folder: Path, known: Sequence[FileRow], root: Path) -> dict[str, str]:
    file = folder / "config.yaml"
    before = Path(read_yaml(file)["data_root"]) if file.exists() else root
    if before == root:
        return {}
    return {str(before / file.path): str(root / file.path) for file in known}


def _at(row: PoolRow, moved: Mapping[str, str]) -> PoolRow:
    path, label_path = (moved.get(path, path) for path in (row.path, row.label_path))
    return replace(row, path=path, label_path=label_path)


def _refusal(root: Path, found: Compared) -> str:
    told = {**dict.fromkeys(found.missing, "is missing"), **found.changed}
    lines = [f"  {path}: {what}" for path, what in sorted(told.items())]
    if len(lines) > SHOWN:
        lines[SHOWN:] = [f"  and {len(lines) - SHOWN} more"]
    take = "" if found.missing else ", or go on with them as they are now (changed_data=take)"
    return (
        f"{root}: {len(told)} file(s) differ from those that the run was begun with; results would "
        "mix:\n" + "\n".join(lines) + f"\nChoose another name (run=...), put the files back{take}."
    )


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more
