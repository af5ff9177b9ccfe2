"""A few test cases that an evaluation leaves as small pictures: image, truth and prediction.

A report shows from them what a model sees, and needs neither the data nor the model.

``examples.zip`` holds ``examples.json`` and, per case, ``{i}/image.jpg`` and for segmentation
``{i}/truth.png`` and ``{i}/prediction.png``, class indices of the same size, 255 in the truth for
void. Of a volume it is one slice on the grid that scores are computed on.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from al.io.files import atomic_path, check_keys, stored
from al.io.labels import UNKNOWN
from al.io.tables import PoolRow
from al.io.thumbnails import fitted, grey, jpeg, png, resized, unpacked, window_of

from .cases import Cases

VERSION = 1
INDEX = "examples.json"
FIXED, WORST, MEDIAN, BEST = "fixed", "worst", "median", "best"
N_FIXED = 3
_TIME = (1980, 1, 1, 0, 0, 0)  # of all members, so that equal results give equal files
_AT_ONCE = 256  # cases scored at a time
Pairs = Iterable[tuple[np.ndarray, np.ndarray]]


class Opens(Protocol):
    """The part of a layout that pictures are made with; the last two are those of volumes."""

    def open_image(self, row: PoolRow) -> np.ndarray:
        """Return (H, W, 3) uint8."""

    def open_full(self, row: PoolRow) -> np.ndarray:
        """Return a volume on the grid of its scores, (D, H, W) float32."""

    def spacing(self, row: PoolRow) -> tuple[float, ...]:
        """Return the size of a voxel of that grid in mm, in array axes."""


@dataclass(frozen=True)
class Plane:
    """Slice ``index``, from 0, of the ``of`` slices of a volume across an array axis."""

    axis: int
    index: int
    of: int

    def __str__(self) -> str:
        # Layouts slice across the axis that runs closest to superior-inferior.
        return f"axial slice {self.index + 1} of {self.of}"


@dataclass(frozen=True, eq=False)
class Example:
    """A test case as a model saw it.

    Attributes:
        name, group: as in ``Cases``.
        roles: of ``fixed``, ``worst``, ``median`` and ``best``.
        score: of this case alone, NaN where it has none. Images: mean IoU over the classes of
            their truth; volumes: mean Dice over the groups that are scored; RoIs: probability of
            the true class.
        image: (H, W, 3) uint8.
        truth, prediction: (H, W) uint8 class indices, 255 in the truth for void; ``None`` for RoIs.
        plane: of a volume.
        true, predicted: class index of a RoI.
        probabilities: of its classes; empty for segmentation.
    """

    name: str
    group: str
    roles: Sequence[str]
    score: float
    image: np.ndarray
    truth: np.ndarray | None = None
    prediction: np.ndarray | None = None
    plane: Plane | None = None
    true: int | None = None
    predicted: int | None = None
    probabilities: Sequence[float] = ()


@dataclass(frozen=True)
class _Seen:
    """What is kept of every case while it is scored: tens of kilobytes at most."""

    row: PoolRow
    about: dict[str, Any]
    size: tuple[int, int] | None = None  # of its picture, (height, width); by the image for RoIs
    maps: tuple[bytes, bytes] | None = None  # truth and prediction


class Examples:
    """Looks on while test cases are scored, and writes some of them when all are.

    Args:
        layout: opens images, of the cases that are written alone.
        classes: names of the classes.
        background: index of the class that is no foreground, or ``None``.
    """

    def __init__(self, layout: Opens, classes: Sequence[str], background: int | None) -> None:
        self.layout, self.classes, self.background = layout, list(classes), background
        self.seen: list[_Seen] = []

    def watch(self, rows: Sequence[PoolRow], pairs: Pairs) -> Iterator[tuple[Any, Any]]:
        """Yield the (truth, prediction) of each row as they come."""
        for row, (truth, labels) in zip(rows, pairs, strict=True):
            self.seen.append(self._segmented(row, truth, labels))
            yield truth, labels

    def classified(
        self, rows: Sequence[PoolRow], truth: np.ndarray, probabilities: np.ndarray
    ) -> None:
        """Note the true class (N,) and the probabilities (N, C) of RoIs."""
        for row, true, found in zip(rows, truth, probabilities, strict=True):
            about = {"true": int(true), "predicted": int(found.argmax())}
            about["probabilities"] = [round(float(p), 6) for p in found]
            self.seen.append(_Seen(row, about))

    def _segmented(self, row: PoolRow, truth: np.ndarray, labels: np.ndarray) -> _Seen:
        about, spacing = {}, (1.0, 1.0)
        if row.axis is not None:
            index = fullest(truth, row.axis, self.background)
            about["plane"] = {"axis": row.axis, "index": index, "of": truth.shape[row.axis]}
            truth, labels = (np.take(a, index, row.axis) for a in (truth, labels))
            sizes = self.layout.spacing(row)
            spacing = tuple(s for axis, s in enumerate(sizes) if axis != row.axis)
        size = fitted(truth.shape, spacing=spacing)
        maps = [png(resized(np.asarray(a, np.uint8), size, labels=True)) for a in (truth, labels)]
        return _Seen(row, about, size, (maps[0], maps[1]))

    def write(self, path: str | Path, task: str, cases: Cases) -> None:
        """Write the fixed, the worst, the median and the best case, by rename.

        Args:
            path: of the file.
            task: ``2d``, ``3d`` or ``roi``.
            cases: of the rows seen, in their order.

        Raises:
            OSError, DataError: an image that cannot be read, or a full disk.
        """
        if task == "roi":
            scores = [s.about["probabilities"][s.about["true"]] for s in self.seen]
        else:
            scores = scores_of(cases)
        roles = roles_of(cases.names, scores)
        index = {"version": VERSION, "task": task, "classes": self.classes, "cases": []}
        members: dict[str, bytes] = {}
        for i, case in enumerate(roles):
            seen, score = self.seen[case], float(scores[case])
            head = {"name": cases.names[case], "group": cases.groups[case], "roles": roles[case]}
            head["score"] = None if np.isnan(score) else score
            index["cases"].append(head | seen.about)
            members[f"{i}/image.jpg"] = jpeg(self._picture(seen))
            if seen.maps:
                members[f"{i}/truth.png"], members[f"{i}/prediction.png"] = seen.maps
        members[INDEX] = json.dumps(index, indent=1, allow_nan=False).encode()
        with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            for name, data in members.items():
                archive.writestr(zipfile.ZipInfo(name, _TIME), data)

    def _picture(self, seen: _Seen) -> np.ndarray:
        if "plane" in seen.about:
            # Scores are computed on the file's grid, which need not be the one annotators see.
            volume, plane = self.layout.open_full(seen.row), Plane(**seen.about["plane"])
            image = grey(np.take(volume, plane.index, plane.axis), window_of(volume))
        else:
            image = self.layout.open_image(seen.row)
        return resized(image, seen.size or fitted(image.shape[:2]))


def fullest(truth: np.ndarray, axis: int, background: int | None) -> int:
    """Return the slice with most foreground in the truth; the middle one where all have as much."""
    shown = truth != UNKNOWN
    if background is not None:
        shown &= truth != background
    found = shown.sum(axis=tuple(a for a in range(truth.ndim) if a != axis))
    return len(found) // 2 if (found == found[0]).all() else int(found.argmax())


def scores_of(cases: Cases) -> np.ndarray:
    """Return the score of each case on its own, (N,) float64; NaN where nothing is scored."""
    n = len(cases.names)
    places = range(0, n, _AT_ONCE)
    return np.concatenate([cases.scores(np.eye(min(_AT_ONCE, n - k), n, k)) for k in places])


def roles_of(names: Sequence[str], scores: Sequence[float]) -> dict[int, list[str]]:
    """Return which cases are shown as what, the fixed ones first.

    The fixed ones are spread over the names in their order, whatever the scores; of cases with one
    score the first name counts.
    """
    order = sorted(range(len(names)), key=names.__getitem__)
    shown = min(N_FIXED, len(order))
    places = [(2 * i + 1) * len(order) // (2 * shown) for i in range(shown)]
    roles: dict[int, list[str]] = {order[place]: [FIXED] for place in places}
    ranked = sorted((i for i in order if not np.isnan(scores[i])), key=lambda i: scores[i])
    ends = {WORST: 0, MEDIAN: (len(ranked) - 1) // 2, BEST: len(ranked) - 1}
    for role, place in ends.items() if ranked else ():
        roles.setdefault(ranked[place], []).append(role)
    return roles


def read_examples(path: str | Path) -> list[Example]:
    """Read what ``Examples.write`` wrote.

    Raises:
        DataError: the file is not there, damaged, or written by another version.
        OSError: the disk cannot be read.
    """
    with stored(path, "examples") as archive:
        index = json.loads(archive.read(INDEX))
        if index["version"] != VERSION:
            raise ValueError(f"version {index['version']}; allowed: {VERSION}")
        return [_example(archive, i, head) for i, head in enumerate(index["cases"])]


def _example(archive: zipfile.ZipFile, i: int, head: Mapping[str, Any]) -> Example:
    check_keys(head, {"name": str, "group": str, "roles": list, "score": (float, type(None))})
    held = {**head, "image": unpacked(archive.read(f"{i}/image.jpg"))}
    held["score"] = float("nan") if head["score"] is None else head["score"]
    if "plane" in head:
        held["plane"] = Plane(**head["plane"])
    if "true" not in head:
        for name in ("truth", "prediction"):
            held[name] = unpacked(archive.read(f"{i}/{name}.png"))
    return Example(**held)
