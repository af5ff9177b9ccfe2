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
from .graph_file import KINDS, NAME, Graphs, RoiGraph, Shard, some, write_shard
from .settings import HactSettings

PLANS, FOLDER = "plans.json", "graphs"
MANY_NODES = 50_000  # of a RoI; a training needs some 0.17 MB for each


def file_size(row: PoolRow) -> int | None:
    """Return the size of a RoI's file in bytes; ``None`` where it has none, -1 where it is gone."""
    if not row.path:
        return None
    try:
        return os.path.getsize(row.path)
    except OSError:
        return -1


def prepare_part(
    layout: ImageSource, rows: Sequence[PoolRow], part: int, folder: Path, settings: HactSettings
) -> Path:
    """Make the graphs of one part, or return at once where they are there.

    Args:
        layout: opens the images of RoIs.
        rows: of the whole dataset, in any order.
        part: from 1; it holds every n-th row by key, n being ``graph_shards``.
        folder: of the whole preparation.
        settings: the learner's.

    Returns:
        The file of the graphs.

    Raises:
        ConfigError: for settings that nothing can be built with.
        DataError: for images that cannot be read, RoIs without imported graphs.
        LockedError: while another process makes this part.
    """
    parts = settings.graph_shards
    mine = sorted(rows, key=lambda row: row.key)[part - 1 :: parts]
    path = folder / FOLDER / NAME.format(part=part, parts=parts)
    with locked(folder / "locks" / path.stem):
        about = path.with_suffix(".json")
        stamp = _stamp(mine, settings)
        if path.exists() and about.exists() and read_json(about) == stamp:
            print(f"part {part} of {parts} is there: {path}", flush=True)
            return path
        about.unlink(missing_ok=True)
        if mine and settings.builds:
            from . import building  # imports scikit-image

            # What is built without a network needs no GPU, though trainings may.
            device = choose_device(settings.device if settings.runs_network else "cpu", "hact")
            building.build_part(layout, mine, path, settings, str(device), settings.workers or 1)
        else:
            held = check_imported(rows, settings) if mine else None
            write_shard(path, {row.key: held.load(Path(row.path).stem) for row in mine})
        write_json(about, stamp)
    print(f"part {part} of {parts}: graphs of {len(mine)} RoIs", flush=True)
    return path


def _stamp(rows: Sequence[PoolRow], settings: HactSettings) -> dict[str, Any]:
    """What a part is made of, as JSON gives it back."""
    rois = {row.key: file_size(row) for row in rows}
    gone = [f"{row.key} ({row.path})" for row in rows if rois[row.key] == -1]
    if gone:
        raise DataError(f"no file of {some(gone)}")
    return {"rois": rois, **_decides(settings)}


def _decides(settings: HactSettings) -> dict[str, Any]:
    """What decides graphs beside the RoIs."""
    return {
        "made_by": settings.made_by(),
        "settings": settings.preparation(),
        "source": source_of(settings),
    }


def source_of(settings: HactSettings) -> dict[str, Any] | None:
    """Return what tells files that graphs are made from, beside the images, from others.

    Of imported graphs names, numbers and sums of features of each shard, of a network's weights a
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
        held = [shard.facts[key] for key in ("nodes", *KINDS)]
        found[shard.path.name] = sha256(json.dumps(held, sort_keys=True).encode()).hexdigest()[:16]
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
        raise DataError(f"hact.graphs: RoIs of the same name, whose graphs are one: {some(shared)}")
    missing = sorted(counts.keys() - held.place)
    if missing:
        raise DataError(
            f"hact.graphs: {settings.imported_from} has no graphs of {some(missing)}. "
            "Import those of all splits, or use graphs: build"
        )
    return held


def prepare(
    layout: ImageSource, rows: Sequence[PoolRow], folder: Path, settings: HactSettings
) -> None:
    """Make the parts that are missing in ``folder``, check all and write ``plans.json``.

    Raises:
        ConfigError, DataError: as ``prepare_part``; DataError for graphs of several kinds.
        LockedError: while another process prepares them.
    """
    if not rows:
        raise DataError("no RoI to prepare graphs of")
    parts = settings.graph_shards
    with locked(folder):
        sweep(folder)
        paths = [prepare_part(layout, rows, n + 1, folder, settings) for n in range(parts)]
        (folder / PLANS).unlink(missing_ok=True)
        plans = make_plans(Graphs(paths), rows, settings)
        write_json(folder / PLANS, plans)
    _tell(plans)


def make_plans(graphs: Graphs, rows: Sequence[PoolRow], settings: HactSettings) -> dict[str, Any]:
    """Return what trainings need to know of all graphs; ``key`` changes with what decides them.

    Raises:
        DataError: some RoIs have other features than the rest.
    """
    nodes = {key: held for shard in graphs.shards for key, held in shard.facts["nodes"].items()}
    nuclei = [cells for cells, _ in nodes.values()]
    facts = {
        "dims": graphs.widths(),
        "moments": {kind: _moments(graphs.shards, kind) for kind in KINDS},
        "rois": {row.key: file_size(row) for row in sorted(rows, key=lambda r: r.key)},
        "nodes": dict(sorted(nodes.items())),
        **_decides(settings),
    }
    spread = {"median": float(np.median(nuclei)), "min": min(nuclei), "max": max(nuclei)}
    counts = {"rois": len(rows), "nuclei": spread, "rois_without_nuclei": nuclei.count(0)}
    told = json.dumps(facts, sort_keys=True, allow_nan=False)
    return {"key": sha256(told.encode()).hexdigest(), "counts": counts, **facts}


def _moments(shards: Sequence[Shard], kind: str) -> dict[str, list[float]]:
    """Mean and deviation of each feature over the nodes of all shards; 1 where it varies not."""
    held = [shard.facts[kind] for shard in shards if shard.facts[kind]["n"]]
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
        f"{nuclei['min']} to {nuclei['max']}; {counts['rois_without_nuclei']} RoIs have no nucleus"
    )
    large = [key for key, nodes in plans["nodes"].items() if sum(nodes) > MANY_NODES]
    if large:
        print(f"{some(large)}: more than {MANY_NODES} nodes; a training may run out of memory")


@dataclass(frozen=True)
class Store:
    """What ``prepare`` made.

    Attributes:
        folder: where it lies.
        plans: of ``make_plans``.
    """

    folder: Path
    plans: Mapping[str, Any]

    @classmethod
    def of(cls, folder: Path) -> Store | None:
        """Open what ``prepare`` finished in a folder; ``None`` where it has not."""
        path = folder / PLANS
        return cls(folder, read_json(path, key=str)) if path.exists() else None

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

    def check_key(self, key: str, whose: str) -> None:
        """Refuse to be others than those of ``key``. Raises DataError."""
        if self.key != key:
            raise DataError(
                f"{self.folder}: its graphs are not those of {whose}: it was made anew since. "
                "Start a new run (run=...); results would mix"
            )

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
