"""Graphs of a dataset, made once in parts and shared by all trainings.

``graphs/PART-of-PARTS.safetensors`` with ``.json`` beside it, which vouches for it, and last of all
``plans.json``. Each file appears by rename: what a killed job has finished is kept.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from al.io.errors import ConfigError, DataError
from al.io.files import read_json, sweep, write_json
from al.io.locking import locked
from al.io.tables import PoolRow

from ..base import ImageSource
from ..training import choose_device
from .graph_file import KINDS, NAME, Graphs, RoiGraph, Shard, refuse_widths, write_shard
from .settings import HactSettings

PLANS, FOLDER = "plans.json", "graphs"
MANY_NODES = 50_000  # of a RoI; a training needs some 0.17 MB for each
NAMED = 5  # of what is wrong, in a message


def file_size(row: PoolRow) -> int | None:
    """Return the size of a RoI's file in bytes; ``None`` where it has none, -1 where it is gone."""
    if not row.path:
        return None
    try:
        return os.path.getsize(row.path)
    except OSError:
        return -1


def rows_of_part(rows: Iterable[PoolRow], part: int, parts: int) -> list[PoolRow]:
    """Return every ``parts``-th row by key, from the ``part``-th on (1-based).

    Raises:
        ConfigError: for a part that there is not.
    """
    if not 1 <= part <= parts:
        raise ConfigError(f"part: {part}; allowed: 1 to {parts} (hact.graph_shards)")
    return sorted(rows, key=lambda row: row.key)[part - 1 :: parts]


def shard_path(folder: Path, part: int, parts: int) -> Path:
    """Return the file of a part's graphs."""
    return folder / FOLDER / NAME.format(part=part, parts=parts)


def prepare_part(
    layout: ImageSource, rows: Sequence[PoolRow], part: int, folder: Path, settings: HactSettings
) -> Path:
    """Make the graphs of one part, or return at once where they are there.

    Args:
        layout: opens the images of RoIs.
        rows: of the whole dataset, in any order.
        part: from 1.
        folder: of the whole preparation.
        settings: the learner's.

    Returns:
        The file of the graphs.

    Raises:
        ConfigError: for settings that nothing can be built with, a part that there is not.
        DataError: for images that cannot be read, RoIs without imported graphs.
        LockedError: while another process makes this part.
    """
    parts = settings.graph_shards
    mine = rows_of_part(rows, part, parts)
    path = shard_path(folder, part, parts)
    with locked(folder / "locks" / path.stem):
        about = path.with_suffix(".json")
        stamp = _stamp(mine, settings)
        if path.exists() and about.exists() and read_json(about) == stamp:
            print(f"part {part} of {parts} is there: {path}", flush=True)
            return path
        about.unlink(missing_ok=True)
        if not mine:
            write_shard(path, {}, {})
        elif settings.builds:
            _build(layout, mine, path, settings)
        else:
            copy_imported(rows, mine, path, settings)
        write_json(about, stamp)
    print(f"part {part} of {parts}: graphs of {len(mine)} RoIs", flush=True)
    return path


def _stamp(rows: Sequence[PoolRow], settings: HactSettings) -> dict[str, Any]:
    """What a part is made of, as JSON gives it back."""
    rois = {row.key: file_size(row) for row in rows}
    gone = [f"{row.key} ({row.path})" for row in rows if rois[row.key] == -1]
    if gone:
        raise DataError(f"no file of {_some(gone)}")
    made = {"made_by": settings.made_by(), "settings": settings.preparation(), "rois": rois}
    return {**made, "source": source_of(settings)}


def _build(
    layout: ImageSource, rows: Sequence[PoolRow], path: Path, settings: HactSettings
) -> None:
    from .building import build_part  # imports scikit-image

    # What is built without a network needs no GPU, though trainings may.
    device = choose_device(settings.device if settings.runs_network else "cpu", "hact")
    build_part(layout, rows, path, settings, str(device), settings.workers or 1)


def source_of(settings: HactSettings) -> dict[str, Any] | None:
    """Return what tells files that graphs are made from, beside the images, from others.

    Of imported graphs size, names and sums of features of each shard, of a network's weights a
    hash; ``None`` where handcrafted graphs are built.

    Raises:
        ConfigError: where there are no such weights.
        DataError: where there are no imported graphs.
    """
    if settings.builds:
        weights = settings.weights
        if weights is None:
            return None
        if not Path(weights).is_file():
            raise ConfigError(f"hact.weights: {weights}: no such file; allowed: weights, or null")
        return {"weights": sha256(Path(weights).read_bytes()).hexdigest()}
    found = {}
    for shard in _imported(settings).shards:
        # Not the times of its sources: the same ones imported again are no others.
        held = {key: value for key, value in shard.facts.items() if key != "files"}
        facts = sha256(json.dumps([shard.keys, held], sort_keys=True).encode()).hexdigest()
        found[shard.path.name] = [shard.path.stat().st_size, facts[:16]]
    return found


def _imported(settings: HactSettings) -> Graphs:
    try:
        return Graphs.of(settings.imported_from)
    except DataError as error:
        raise DataError(
            f"hact.graphs: {error}; allowed: build, or a folder that import_graphs made"
        ) from None


def check_imported(rows: Sequence[PoolRow], settings: HactSettings) -> Graphs:
    """Open imported graphs and refuse rows that have none.

    Raises:
        DataError: naming RoIs without graphs, or that would share some.
    """
    held = _imported(settings)
    counts = Counter(Path(row.path).stem for row in rows)
    shared = sorted(stem for stem, count in counts.items() if count > 1)
    if shared:
        raise DataError(
            f"hact.graphs: RoIs of the same name, whose graphs are one: {_some(shared)}"
        )
    missing = sorted(stem for stem in counts if stem not in held)
    if missing:
        raise DataError(
            f"hact.graphs: {settings.imported_from} has no graphs of {_some(missing)}. "
            "Import those of all splits, or use graphs: build"
        )
    return held


def copy_imported(
    rows: Sequence[PoolRow], mine: Sequence[PoolRow], path: Path, settings: HactSettings
) -> None:
    """Write the imported graphs of ``mine``, under their keys."""
    held = check_imported(rows, settings)
    graphs = {row.key: held.load(Path(row.path).stem) for row in mine}
    write_shard(path, graphs, {"imported from": str(settings.imported_from)})


def prepare(
    layout: ImageSource, rows: Sequence[PoolRow], folder: Path, settings: HactSettings
) -> dict[str, Any]:
    """Make the parts that are missing in ``folder``, check all and write ``plans.json``.

    Raises:
        ConfigError, DataError: as ``prepare_part``; DataError for graphs of several kinds.
        LockedError: while another process prepares them.
    """
    parts = settings.graph_shards
    with locked(folder):
        sweep(folder)
        paths = [prepare_part(layout, rows, n + 1, folder, settings) for n in range(parts)]
        (folder / PLANS).unlink(missing_ok=True)
        plans = make_plans(Graphs(paths), rows, settings)
        write_json(folder / PLANS, plans)
    _tell(plans)
    return plans


def make_plans(graphs: Graphs, rows: Sequence[PoolRow], settings: HactSettings) -> dict[str, Any]:
    """Return what trainings need to know of all graphs; ``key`` changes with what decides them.

    Raises:
        DataError: a RoI has no graphs, or such with other features than the rest.
    """
    missing = sorted(row.key for row in rows if row.key not in graphs)
    if missing:
        raise DataError(f"no graphs of {_some(missing)}, though all parts are there")
    shapes = {row.key: _shapes(graphs.place[row.key], row.key) for row in rows}
    dims = _dims(shapes)
    moments = {kind: _moments(graphs.shards, kind) for kind in KINDS}
    nuclei = [cells[0] for cells, _ in shapes.values()]
    facts = {
        "dims": dims,
        "moments": moments,
        "rois": {row.key: file_size(row) for row in sorted(rows, key=lambda r: r.key)},
        "nodes": {key: [cells[0], tissue[0]] for key, (cells, tissue) in sorted(shapes.items())},
        "settings": settings.preparation(),
        "made_by": settings.made_by(),
        "source": source_of(settings),
    }
    spread = {"median": float(np.median(nuclei)), "min": min(nuclei), "max": max(nuclei)}
    counts = {"rois": len(rows), "nuclei": spread, "rois_without_nuclei": nuclei.count(0)}
    told = json.dumps(facts, sort_keys=True, allow_nan=False)
    return {"key": sha256(told.encode()).hexdigest(), "counts": counts, **facts}


Shapes = tuple[tuple[int, int], tuple[int, int]]


def _shapes(shard: Shard, key: str) -> Shapes:
    """Nodes and features of cells and of tissue, from the header alone."""
    cells, tissue = (
        tuple(shard.file.get_slice(f"{key}|{kind}.features").get_shape()) for kind in KINDS
    )
    return cells, tissue


def _dims(shapes: Mapping[str, Shapes]) -> dict[str, int]:
    found = {}
    for number, kind in enumerate(KINDS):
        seen: dict[int, str] = {}
        for key, both in shapes.items():
            seen.setdefault(both[number][1], key)
        refuse_widths(kind, seen)
        if not seen:
            raise DataError("no RoI to prepare graphs of")
        found[kind] = next(iter(seen))
    return found


def _moments(shards: Sequence[Shard], kind: str) -> dict[str, list[float]]:
    """Mean and deviation of each feature over the nodes of all shards; 1 where it varies not."""
    held = [shard.facts[kind] for shard in shards if shard.keys]
    held = [facts for facts in held if facts["n"]]
    if not held:
        return {"mean": [], "deviation": []}
    count = sum(facts["n"] for facts in held)
    mean = np.sum([facts["sum"] for facts in held], axis=0) / count
    squares = np.sum([facts["sum_squares"] for facts in held], axis=0) / count
    variance = squares - mean**2
    # What rounding leaves of a constant is no deviation.
    varies = variance > 1e-10 * np.maximum(squares, 1e-30)
    deviation = np.sqrt(np.where(varies, variance, 1.0))
    return {"mean": mean.tolist(), "deviation": deviation.tolist()}


def _tell(plans: Mapping[str, Any]) -> None:
    counts, nuclei = plans["counts"], plans["counts"]["nuclei"]
    print(
        f"graphs of {counts['rois']} RoIs: {nuclei['median']:.0f} nuclei in the median, "
        f"{nuclei['min']} to {nuclei['max']}",
        flush=True,
    )
    large = sorted(key for key, nodes in plans["nodes"].items() if sum(nodes) > MANY_NODES)
    if large:
        print(f"{_some(large)}: more than {MANY_NODES} nodes; a training may run out of memory")
    if counts["rois_without_nuclei"]:
        print(f"{counts['rois_without_nuclei']} RoIs have no nucleus: their tissue alone tells")


@dataclass(frozen=True)
class Store:
    """What ``prepare`` made.

    Attributes:
        folder: where it lies.
        plans: of ``make_plans``.
    """

    folder: Path
    plans: Mapping[str, Any]

    @property
    def key(self) -> str:
        """Hash of all that decides trainings."""
        return self.plans["key"]

    @cached_property
    def graphs(self) -> Graphs:
        """The shards, opened. Raises DataError where some are gone."""
        try:
            return Graphs.of(self.folder / FOLDER)
        except DataError as error:
            raise DataError(
                f"{error}. Make them again: delete {self.folder / PLANS}, start the target "
                "prepare_learner"
            ) from None

    def check(self, rows: Iterable[PoolRow]) -> None:
        """Refuse RoIs that were not prepared, or have changed since. Raises DataError."""
        for row in rows:
            now, was = file_size(row), self.plans["rois"].get(row.key, -2)
            if now == was:
                continue
            told = "is new" if was == -2 else f"has another file size ({now}, not {was})"
            told = f"has no file any more ({row.path})" if now == -1 else told
            raise DataError(
                f"{self.folder}: made from other data: {row.key} {told}. Put the data back as they "
                "were, or work in another folder (--directory), or delete this one: runs that used "
                "it can then not be continued"
            )

    def load(self, row: PoolRow) -> RoiGraph:
        """Read the graphs of a RoI. Raises DataError where there are none of its file."""
        self.check([row])
        return self.graphs.load(row.key)


def open_store(folder: Path) -> Store | None:
    """Open what ``prepare`` finished in a folder; ``None`` where it has not."""
    return Store(folder, read_json(folder / PLANS)) if (folder / PLANS).exists() else None


def _some(names: Sequence[str]) -> str:
    """Name a few of many."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
