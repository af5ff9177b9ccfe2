"""What each test case adds to a score: any choice of cases is scored without a model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from al.io.errors import DataError
from al.io.files import write_text

IOU, F1, DICE = "iou", "f1", "dice"
KINDS = (IOU, F1, DICE)
KEY = "cases"
_LARGEST = 2**53  # integers up to here are exact as floats


@dataclass(frozen=True, eq=False)
class Cases:
    """The test cases of one model: N of them, with C classes.

    Attributes:
        kind: ``iou`` (mean IoU of one confusion matrix over all images), ``f1`` (weighted F1 of
            RoIs) or ``dice`` (mean Dice over volumes and groups of classes).
        classes: names of the classes; for ``dice`` of the groups of classes that are scored.
        names: of the cases, no two the same.
        groups: what each case belongs to, (N,): slide of a RoI, else the image itself.
        values: ``iou``: (N, C, 3) int64, pixels that are hits, false positives and false
            negatives of a class, void left out; ``f1``: (N, 2) int64, true and predicted class;
            ``dice``: (N, C) float64, 0 to 1, by the conventions of the main score.

    Raises:
        ValueError: an unknown kind, lengths that do not fit, or two cases of one name.
    """

    kind: str
    classes: tuple[str, ...]
    names: tuple[str, ...]
    groups: tuple[str, ...]
    values: np.ndarray

    def __post_init__(self) -> None:
        n, c = len(self.names), len(self.classes)
        shapes = {IOU: (n, c, 3), F1: (n, 2), DICE: (n, c)}
        if self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r}; allowed: {', '.join(KINDS)}")
        if self.values.shape != shapes[self.kind]:
            raise ValueError(f"values {self.values.shape}; expected: {shapes[self.kind]}")
        if len(self.groups) != n or len(set(self.names)) != n:
            raise ValueError(f"{n} names need to differ, and a group each: {len(self.groups)}")

    def score(self, weights: np.ndarray) -> float:
        """Return the main score where case i occurs ``weights[i]`` times, (N,) int.

        All ones give the score of ``al.scoring.scores``; NaN if nothing is left to score.
        """
        return float(self.scores(np.asarray(weights)[None])[0])

    def scores(self, weights: np.ndarray) -> np.ndarray:
        """Return (R,) scores, each as ``score``, of R resamples; weights are (R, N) int."""
        values, support = self._by_class(weights)
        if self.kind == F1:
            return _ratio((np.nan_to_num(values) * support).sum(1), support.sum(1))
        # Classes that are true nowhere in a resample are left out, as in the main score.
        return _ratio(np.nan_to_num(values).sum(1), (~np.isnan(values)).sum(1))

    def per_class(self, weights: np.ndarray) -> np.ndarray:
        """Return (C,) scores of the classes; NaN for those that are true nowhere."""
        return self._by_class(np.asarray(weights)[None])[0][0]

    def _by_class(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return scores (R, C), NaN where there is none, and how often each class is true."""
        drawn = np.asarray(weights, float)
        if self.kind == DICE:
            total = drawn.sum(1, keepdims=True)
            values = _ratio(drawn @ self.values, total)
            return values, np.broadcast_to(total, values.shape)
        sums = (drawn @ self._counts).reshape(len(drawn), len(self.classes), 3)
        hits, false, missed = np.moveaxis(sums, 2, 0)
        # Sums of integers are exact, so the quotients are those of the confusion matrix.
        both = 1 if self.kind == IOU else 2
        values, support = _ratio(both * hits, both * hits + false + missed), hits + missed
        return np.where(support > 0, values, np.nan), support

    @cached_property
    def _counts(self) -> np.ndarray:
        """Hits, false positives and false negatives, (N, C * 3) float64."""
        if self.kind == IOU:
            return self.values.reshape(len(self.names), -1).astype(float)
        indices = np.arange(len(self.classes))
        true, predicted = (self.values[:, k, None] == indices for k in (0, 1))
        counts = [true & predicted, predicted & ~true, true & ~predicted]
        return np.stack(counts, 2).reshape(len(self.names), -1).astype(float)

    def to_json(self) -> dict[str, Any]:
        """Return what ``from_json`` reads: one flat list of numbers per case in ``values``.

        ``iou``: class index, hits, false positives, false negatives, the next class index and so
        on, classes without any of these left out; ``f1``: index of the true and of the predicted
        class; ``dice``: one number per group of classes. ``groups`` is left out where each case
        is its own.
        """
        values = [_sparse(v) for v in self.values] if self.kind == IOU else self.values.tolist()
        held = {"groups": list(self.groups)} if self.groups != self.names else {}
        names = {"classes": list(self.classes), "names": list(self.names)}
        return {"kind": self.kind, **names, **held, "values": values}

    @classmethod
    def from_json(cls, value: Any, where: str | Path) -> Cases:
        """Read what ``to_json`` returned.

        Args:
            value: the key ``cases`` of a metrics file.
            where: the file, for messages.

        Raises:
            DataError: it is not what ``to_json`` returns.
        """
        if not isinstance(value, dict) or value.get("kind") not in KINDS:
            found = value.get("kind") if isinstance(value, dict) else value
            raise DataError(f"{where}: cases: kind {found!r}; allowed: {', '.join(KINDS)}")
        classes, names = _texts(value, "classes", where), _texts(value, "names", where)
        groups = _texts(value, "groups", where, len(names)) if "groups" in value else names
        rows = value.get("values")
        if not isinstance(rows, list) or len(rows) != len(names):
            found = len(rows) if isinstance(rows, list) else rows
            raise DataError(f"{where}: cases: values: {found!r}; allowed: {len(names)} lists")
        read = {IOU: _dense, F1: _pair, DICE: _parts}[value["kind"]]
        values = []
        for name, row in zip(names, rows, strict=True):
            try:
                values.append(read(row, len(classes)))
            except (TypeError, ValueError) as error:
                raise DataError(f"{where}: cases: values of {name!r}: {error}") from None
        return cls(value["kind"], classes, names, groups, np.array(values))


def cases_of(metrics: Mapping[str, Any], where: str | Path) -> Cases:
    """Return the cases of a metrics file.

    Raises:
        DataError: they are missing or malformed; ``where`` is named.
    """
    return Cases.from_json(metrics.get(KEY), where)


def write_metrics(path: str | Path, metrics: Mapping[str, Any]) -> None:
    """Write metrics as indented JSON by rename, the cases last and in one line."""
    text = json.dumps({k: v for k, v in metrics.items() if k != KEY}, indent=2, allow_nan=False)
    line = json.dumps(metrics[KEY], separators=(",", ":"), allow_nan=False)
    write_text(path, f'{text.removesuffix("}").rstrip()},\n  "{KEY}": {line}\n}}\n')


def _ratio(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    """Divide; NaN where the divisor is 0."""
    over, under = np.broadcast_arrays(over, under)
    return np.divide(over, under, out=np.full(over.shape, np.nan), where=under > 0)


def _sparse(counts: np.ndarray) -> list[int]:
    held = np.flatnonzero(counts.any(1))
    return np.column_stack([held, counts[held]]).ravel().tolist()


def _dense(row: Any, n_classes: int) -> np.ndarray:
    """Invert ``_sparse``."""
    table = np.array(_integers(row, _LARGEST), np.int64)
    if len(table) % 4:
        raise ValueError(f"{len(table)} numbers; allowed: four per class")
    table = table.reshape(-1, 4)
    counts = np.zeros((n_classes, 3), np.int64)
    if len(np.unique(table[:, 0])) != len(table) or (table[:, 0] >= n_classes).any():
        found = table[:, 0].tolist()
        raise ValueError(f"classes {found}; allowed: 0 to {n_classes - 1}, each once")
    counts[table[:, 0]] = table[:, 1:]
    return counts


def _pair(row: Any, n_classes: int) -> list[int]:
    if len(_integers(row, n_classes)) != 2:
        raise ValueError(f"{row!r}; allowed: the true and the predicted class")
    return row


def _parts(row: Any, n_classes: int) -> list[float]:
    good = isinstance(row, list) and all(type(v) in (int, float) and 0 <= v <= 1 for v in row)
    if not good or len(row) != n_classes:
        raise ValueError(f"{row!r}; allowed: {n_classes} numbers from 0 to 1")
    return [float(v) for v in row]


def _integers(row: Any, end: int) -> list[int]:
    """Return a list of integers from 0 up to and without ``end``; ValueError if it is not one."""
    if not isinstance(row, list):
        raise ValueError(f"{row!r}; allowed: a list of integers")
    wrong = [v for v in row if type(v) is not int or not 0 <= v < end]
    if wrong:
        raise ValueError(f"{wrong[0]!r}; allowed: integers from 0 to {end - 1}")
    return row


def _texts(value: dict[str, Any], key: str, where: str | Path, n: int = 0) -> tuple[str, ...]:
    """Return a list of n names (0: any number, no two the same) of a JSON object."""
    found = value.get(key)
    if not isinstance(found, list) or not found or not all(isinstance(v, str) for v in found):
        raise DataError(f"{where}: cases: {key}: {found!r}; allowed: a list of names")
    if n and len(found) != n:
        raise DataError(f"{where}: cases: {key}: {len(found)}; allowed: {n}, one per case")
    if not n and len(set(found)) != len(found):
        twice = sorted(v for v in set(found) if found.count(v) > 1)
        raise DataError(f"{where}: cases: {key}: {twice[0]!r} twice; allowed: once")
    return tuple(found)
