"""What a run knows of its data: the pool, and fingerprints that tell other data from the same."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from al.io.errors import DataError, shortened
from al.io.files import atomic_path, read_json, write_json
from al.io.fingerprints import MISSING, compare, taken, within
from al.io.pool import grouped
from al.io.tables import FileRow, PoolRow, read_files, read_pool, write_files, write_pool
from al.layouts import Layout, get_layout
from al.layouts.check_dataset import check_dataset
from al.learners import describe_learner
from al.paths import DATA
from al.scoring.costs import count_truth

from .prepared import ELSEWHERE
from .settings import read_yaml

POOL = "pool.csv"
TRUTH = "truth.json"
AGAIN = "Choose another name (run=...) or put the files back"


class Data(NamedTuple):
    """The data of a run.

    Attributes:
        rows: the pool; none where it is still to be generated.
        files: fingerprints of the files of ``rows``; none where these were generated just now.
        moved: where each file lies now, by where it lay at the last start; empty if nowhere else.
        truth: what changed images hold now, as in ``truth.json``; empty if none changed.
    """

    rows: list[PoolRow]
    files: list[FileRow]
    moved: Mapping[str, str] = {}
    truth: Mapping[str, list[int]] = {}


def look_at_data(
    settings: Mapping[str, Any],
    layout: dict[str, Any],
    folder: Path,
    warn: Callable[[str], None],
) -> Data:
    """Check the data the first time; later, whether they are still the same.

    Args:
        settings: the resolved configuration.
        layout: name, options and classes of the layout.
        folder: ``results/{run}``.
        warn: takes a line about files that are taken though they changed, or may have.

    Raises:
        DataError: naming the files, what was found and what is allowed.
    """
    root = Path(settings["data_root"])
    rows = read_pool(folder / POOL) if (folder / POOL).exists() else []
    if not rows and not any(folder.glob("*/")):  # nothing was made of others
        return _first(settings, layout)
    if not (folder / DATA).exists():
        if settings["generate"] is None:
            warn(f"{folder / DATA} is gone: {root} is taken as it is, and compared with nothing")
        return Data(rows, taken(rows, root)) if rows else _first(settings, layout)
    known = read_files(folder / DATA)
    files, differ = compare(known, root)
    moved = _moved(folder, known, root)
    rows = [_at(row, moved) for row in rows]
    if differ:
        _refuse(settings, rows, differ)
    elif rows:
        return Data(rows, files, moved)
    opened = get_layout(**layout)
    found = grouped(opened.index(root), settings["group"])
    odd = {row.key: "not as in the run's pool (split, group, size)" for row in {*rows} - {*found}}
    if not rows:
        new = {path for row in found for path in _files(row, root)} - {f.path for f in files}
        odd = dict.fromkeys(new, "is new")
    if odd:
        raise _refusal(root, odd, AGAIN)
    if not differ:
        return Data(found, files, moved)
    warn(f"{', '.join(shortened(list(differ), 3))}: changed, and taken from now on")
    return Data(rows, files, moved, _counted(opened, rows, differ, root))


def keep_data(data: Data, folder: Path) -> None:
    """Write the fingerprints, where files lie now, and what their labels hold.

    What Snakemake knows keeps its time: no job is to be done again for it.
    """
    if data.moved:
        for file in [*folder.glob(POOL), *sorted(folder.glob("pools/seed-*.csv"))]:
            with _keeping_time(file) as temporary:
                write_pool(temporary, [_at(row, data.moved) for row in read_pool(file)])
    if data.truth and (folder / TRUTH).exists():
        held = read_json(folder / TRUTH)
        with _keeping_time(folder / TRUTH) as temporary:
            write_json(temporary, {image: data.truth.get(image, held[image]) for image in held})
    if data.files:
        write_files(folder / DATA, data.files)


@contextmanager
def _keeping_time(file: Path) -> Iterator[Path]:
    about = file.stat()
    with atomic_path(file) as temporary:
        yield temporary
        os.utime(temporary, ns=(about.st_atime_ns, about.st_mtime_ns))


def _first(settings: Mapping[str, Any], layout: dict[str, Any]) -> Data:
    root, group, split = (settings[key] for key in ("data_root", "group", "split"))
    if settings["generate"] is None:
        needed = ("train", "val", "test") if settings["validation_images"] else ("train", "test")
        return Data(*check_dataset(root, layout, split, settings["seeds"], needed, group))
    made = Path(root, ".complete").exists()
    return Data(grouped(get_layout(**layout).index(root), group) if made else [], [])


def _moved(folder: Path, known: Sequence[FileRow], root: Path) -> dict[str, str]:
    file = folder / "config.yaml"
    before = Path(read_yaml(file)["data_root"]) if file.exists() else root
    if before == root:
        return {}
    return {str(before / file.path): str(root / file.path) for file in known}


def _at(row: PoolRow, moved: Mapping[str, str]) -> PoolRow:
    path, label_path = (moved.get(path, path) for path in (row.path, row.label_path))
    return replace(row, path=path, label_path=label_path)


def _files(row: PoolRow, root: Path) -> set[str]:
    return {within(path, root) for path in (row.path, row.label_path) if path}


def _counted(
    layout: Layout, rows: Sequence[PoolRow], changed: Mapping[str, str], root: Path
) -> dict[str, list[int]]:
    """Check the images of changed files; return what each holds of every class, and of void."""
    images = {row.image for row in rows if not changed.keys().isdisjoint(_files(row, root))}
    again = [row for row in rows if row.image in images]
    layout.check(again)
    # What a check counts is on the file's grid, truth.json on the annotator's.
    return count_truth(layout, again, len(layout.classes))


def _refuse(settings: Mapping[str, Any], rows: Sequence[PoolRow], differ: dict[str, str]) -> None:
    """Refuse files that differ where they are not, or cannot be, taken as they are now."""
    root, remedy = Path(settings["data_root"]), AGAIN
    prepares = describe_learner(settings["learner"]).prepares
    if prepares and (not rows or any(within(row.path, root) in differ for row in rows)):
        remedy = ELSEWHERE
    elif rows and MISSING not in differ.values():
        if settings["changed_data"] == "take":
            return
        remedy = f"{AGAIN}, or go on with them as they are now (changed_data=take)"
    raise _refusal(root, differ, remedy)


def _refusal(root: Path, differ: Mapping[str, str], remedy: str) -> DataError:
    told = shortened([f"{path}: {what}" for path, what in sorted(differ.items())])
    head = f"{root}: {len(differ)} file(s) differ from those that the run was begun with"
    return DataError("\n  ".join([f"{head}; results would mix:", *told]) + f"\n{remedy}.")
