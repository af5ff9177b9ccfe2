"""What the folder of a user is: the layout that reads it, and its options."""

from __future__ import annotations

import os
import re
from bisect import bisect
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path, PurePath
from typing import Any, NamedTuple, TypeVar

import numpy as np

from al.io.errors import DataError, shortened
from al.io.tables import SPLITS

from . import LAYOUTS, layout_class
from .images import is_picture, opened
from .table import read_rows

# How folders and ends of names say that they hold labels, images or a split
LABELS = re.compile(
    r"mask|(?<!un)label|annot|(^|[^a-z])(gt|inst(ances?)?($|[^a-z]))|ground.?truth|segm",
    re.IGNORECASE,
)
IMAGES = re.compile(r"image|img|photo|jpeg|(^|[^a-z])(rgb|raw|input)", re.IGNORECASE)
TAIL = re.compile(
    r"[ _.-]?(masks?|labels?|inst|annot\w*|gt|segm?\w*|ground.?truth)$", re.IGNORECASE
)
SPLIT = re.compile(r"(?:^|[^a-z])(train|val|test)", re.IGNORECASE)
SECOND = re.compile(r"colou?r|vis|overlay|inst|object|panoptic", re.IGNORECASE)  # of labels
# How columns of a table are called, the likeliest first
IMAGE_COLUMNS = ("slide", "wsi", "image", "scan", "case", "patient", "subject")
GROUP_COLUMNS = ("patient", "subject", "donor", "case")
CLASS_COLUMNS = ("label", "class", "type", "diagnos", "categor", "grade")
FEW = 32  # values, or colours, of a picture that is taken for a label
ITEM = TypeVar("ITEM")


class Found(NamedTuple):
    """A layout with its options; class names where a table has them; what is told, in lines."""

    layout: str
    options: dict[str, Any]
    classes: list[str]
    told: list[str]


class Side(NamedTuple):
    """The images, or the labels, in a folder (relative to the root), by their stems."""

    folder: str
    stems: list[str]
    labels: bool

    @property
    def split(self) -> str:
        """The split that the folder's name says, or ``unsplit``."""
        found = filter(None, map(SPLIT.search, reversed(PurePath(self.folder).parts)))
        return next((match[1].lower() for match in found), "unsplit")


def recognise(root: Path) -> Found:
    """Return how a folder is read: by the layout whose ``MARKS`` are there, else as RoIs of a
    table, else as folders of images.

    Raises:
        DataError: nothing reads it; the message says what was found and what is allowed.
    """
    for name in LAYOUTS:
        if any(next(root.glob(mark), None) for mark in layout_class(name).MARKS):
            return Found(name, {}, [], [])
    held, others = _pictures(root)
    return _table(root, held) or _folders(root, held, others)


def spread(items: Sequence[ITEM], most: int) -> list[ITEM]:
    """Return at most so many items, evenly spread, the first and the last among them."""
    at = np.linspace(0, len(items) - 1, min(most, len(items))).round().astype(int)
    return [items[i] for i in at]


def _pictures(root: Path) -> tuple[dict[str, list[Path]], str]:
    """Return the pictures of each folder below that has some, and in words what else is there."""
    held: dict[str, list[Path]] = {}
    others: Counter[str] = Counter()
    seen: set[str] = set()
    for place, folders, names in os.walk(root, followlinks=True):
        if (real := os.path.realpath(place)) in seen:  # a link back
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(f for f in folders if not f.startswith((".", "__MACOSX")))
        files = [Path(place, name) for name in sorted(names) if not name.startswith(".")]
        others.update("".join(f.suffixes[-2:]) or f.name for f in files if not is_picture(f))
        if pictures := [file for file in files if is_picture(file)]:
            held[str(Path(place).relative_to(root))] = pictures
    return held, ", ".join(shortened([f"{n} {kind}" for kind, n in others.most_common()]))


def _folders(root: Path, held: dict[str, list[Path]], others: str) -> Found:
    sides = [side for folder, files in held.items() for side in _sides(folder, files)]
    images, labels = ([s for s in sides if s.labels is kind] for kind in (False, True))
    if not images:
        raise DataError(
            f"{root}: no images, but {_named(labels) or others or 'nothing'}; allowed: PNG, JPEG, "
            "BMP or TIFF, NIfTI as imagesTr/CASE_0000.nii.gz"
        )
    votes: Counter[tuple[str, str]] = Counter()
    for partner in filter(None, (_partner(side, labels) for side in images)):
        votes[partner[2:]] += partner[0]
    tails = [tails for tails, _ in votes.most_common(1)]  # of all folders
    pairs = [(side, _partner(side, labels, tails)) for side in images]
    if labels and not tails:
        raise DataError(
            f"{root}: no name in {_named(images)} is as one in {_named(labels)} "
            f"({images[0].stems[0]!r}, {labels[0].stems[0]!r}); allowed: the same, up to its end"
        )
    told = [f"left alone: {others}"] if others else []
    splits: dict[str, dict[str, str]] = {}
    for side, partner in pairs:
        if tails and not partner:
            told.append(f"{side.folder}/ is left out: {len(side.stems)} images without labels")
            continue
        place = {"images": side.folder} | ({"labels": partner[1].folder} if partner else {})
        if splits.setdefault(side.split, place) is not place:
            raise DataError(
                f"{root}: images of one split in {splits[side.split]['images']}/ and "
                f"{side.folder}/; allowed: one folder (Many folders, or Regions of interest)"
            )
    ends = zip(("image_tail", "label_tail"), tails[0] if tails else ("", ""), strict=True)
    options = {"splits": _to_score(splits, told), **{key: end for key, end in ends if end}}
    return Found("folders", options, [], told)


def _named(sides: Iterable[Side]) -> str:
    return ", ".join(shortened([f"{side.folder}/" for side in sides], 4))


def _to_score(splits: dict[str, Any], told: list[str]) -> dict[str, Any]:
    """Score on what is called ``val`` where nothing is ``test``, or leave it to shares."""
    if any("labels" not in place for place in splits.values()):
        first = min(splits, key=["unsplit", "train", "val", "test"].index)
        told += [f"{place['images']}/ is left out" for s, place in splits.items() if s != first]
        return {"unsplit": splits[first]}
    if "test" not in splits and {"train", "val"} <= splits.keys():
        told.append(f"scores are computed on {splits['val']['images']}/: nothing is called test")
        return {"test" if split == "val" else split: place for split, place in splits.items()}
    return {"unsplit": next(iter(splits.values()))} if len(splits) == 1 else splits


def _sides(folder: str, files: Sequence[Path]) -> Iterator[Side]:
    """Tell labels from images: by the ends of names, by folders, else by what is in the files."""
    masks = [file.stem for file in files if TAIL.search(file.stem)]
    rest = [file.stem for file in files if not TAIL.search(file.stem)]
    if masks and rest and len(rest) <= 4 * len(masks):
        yield from (Side(folder, rest, False), Side(folder, masks, True))
        return
    for part in reversed(PurePath(folder).parts):
        if bool(LABELS.search(part)) != bool(IMAGES.search(part)):
            yield Side(folder, masks + rest, not IMAGES.search(part))
            return
    yield Side(folder, masks + rest, all(map(_looks_like_a_label, spread(files, 5))))


def _looks_like_a_label(file: Path) -> bool:
    try:
        with opened(file) as image:
            if image.mode in ("P", "1") or image.format in ("JPEG", "MPO"):
                return image.format not in ("JPEG", "MPO")
            values = np.asarray(image)
    except DataError:
        return False
    flat = values.reshape(values.shape[0] * values.shape[1], -1)
    return len(np.unique(flat[:: max(1, len(flat) // 100_000)], axis=0)) <= FEW


def _partner(
    images: Side, labels: Sequence[Side], tails: Sequence[tuple[str, str]] = ()
) -> tuple[int, Side, str, str] | None:
    """Return how many images have a label by name, the labels, and the tails of both."""
    found = []
    for side in labels:
        for image_tail, label_tail in tails or _tails(images.stems, sorted(side.stems)):
            held = {s.removesuffix(label_tail) for s in side.stems if s.endswith(label_tail)}
            own = {s.removesuffix(image_tail) for s in images.stems if s.endswith(image_tail)}
            found.append((len(own & held), side, image_tail, label_tail))
    there = (option for option in found if option[0])

    def fit(option: tuple[int, Side, str, str]) -> tuple[bool, bool, int]:
        return option[1].split == images.split, not SECOND.search(option[1].folder), option[0]

    return max(there, key=fit, default=None)


def _tails(images: Sequence[str], labels: Sequence[str]) -> list[tuple[str, str]]:
    """Return the likeliest ends by which names of images and (sorted) labels differ."""
    votes: Counter[tuple[str, str]] = Counter()
    for stem in spread(images, 100):
        at = bisect(labels, stem)
        for other in labels[max(0, at - 2) : at + 2]:
            key = os.path.commonprefix([stem, other])
            if key not in (stem, other) and (match := re.match(r"(.*)[ _.-]", key)):
                key = match[1]
            if key:
                votes[stem[len(key) :], other[len(key) :]] += 1
    return [tails for tails, _ in votes.most_common(5)]


def _table(root: Path, held: Iterable[str]) -> Found | None:
    """Return how a CSV in the folder lists RoIs: one that has a column of picture files."""
    folders = [root, *(root / folder for folder in held)]
    for table in sorted(root.glob("*.csv")):
        try:
            names, entries = read_rows(table)
        except DataError:
            continue
        columns = {n: [(entry[n] or "").strip() for entry in entries] for n in names}
        for name, values in columns.items():
            for folder in folders:
                files = [folder / value for value in spread(values, 20)]
                if files and all(is_picture(f) and f.is_file() for f in files):
                    return _of_columns(table, str(folder.relative_to(root)), name, columns)
    return None


def _of_columns(table: Path, folder: str, file: str, columns: dict[str, list[str]]) -> Found | None:
    kinds = {n: len({*values} - {""}) for n, values in columns.items() if n != file}
    size = len(columns[file])

    def called(words: Sequence[str], most: float) -> list[str]:
        found = [n for word in words for n in kinds if word in n.lower() and 1 < kinds[n] <= most]
        return [*found, ""]

    label, *others = called(CLASS_COLUMNS, min(64, size / 2))
    if label and others[0] and all(value.isdigit() for value in columns[label]):
        label = others[0]  # numbers of classes beside their names
    if any(is_picture(Path(value)) for value in columns[label][:1] if label):
        return None  # images with their masks
    image = called(IMAGE_COLUMNS, size - 1)[0] or file
    group = next(n for n in called(GROUP_COLUMNS, size - 1) if n != image)
    split = next((n for n in kinds if {*columns[n]} <= {*SPLITS} and kinds[n] > 1), "")
    roi = next((n for n in kinds if kinds[n] == size), file)
    chosen = {"image": image, "roi": roi, "file": file, "label": label}
    chosen |= {key: name for key, name in (("split", split), ("group", group)) if name}
    options = {"table": table.name, "folder": folder}
    options |= {f"{key}_column": name for key, name in chosen.items()}
    told = ["columns are taken as " + ", ".join(f"{k}: {n or 'none'}" for k, n in chosen.items())]
    return Found("table", options, sorted({*columns[label]} - {""}) if label else [], told)
