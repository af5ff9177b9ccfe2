"""Scores of a model on the test split."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from .labels import UNKNOWN


def confusion(truth: np.ndarray, labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the (C, C) int64 confusion matrix, truth in rows; void pixels do not count."""
    known = truth != UNKNOWN
    pairs = truth[known].astype(np.int64) * n_classes + labels[known]
    return np.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes)


def iou(matrix: np.ndarray) -> np.ndarray:
    """Return (C,) intersection over union; NaN for classes neither present nor predicted."""
    both = np.diag(matrix).astype(float)
    union = matrix.sum(0) + matrix.sum(1) - both
    return np.divide(both, union, out=np.full(len(both), np.nan), where=union > 0)


def dice(truth: np.ndarray, labels: np.ndarray, members: Sequence[int]) -> float:
    """Return the Dice coefficient of the union of some classes; both empty = 1, one empty = 0."""
    known = truth != UNKNOWN
    a, b = np.isin(truth, members) & known, np.isin(labels, members) & known
    total = int(a.sum()) + int(b.sum())
    return 1.0 if total == 0 else 2 * int((a & b).sum()) / total


def score_images(
    pairs: Iterable[tuple[np.ndarray, np.ndarray]], classes: Sequence[str]
) -> dict[str, Any]:
    """Mean IoU from one confusion matrix over all images; pairs are (truth, labels)."""
    matrix = np.zeros((len(classes),) * 2, np.int64)
    for truth, labels in pairs:
        matrix += confusion(truth, labels, len(classes))
    values = iou(matrix)
    accuracy = float(np.diag(matrix).sum() / max(1, matrix.sum()))
    return _scores("mIoU", float(np.nanmean(values)), classes, values, {"accuracy": accuracy})


def score_volumes(
    pairs: Iterable[tuple[np.ndarray, np.ndarray]], groups: Mapping[str, Sequence[int]]
) -> dict[str, Any]:
    """Mean Dice over cases and groups of classes; pairs are (truth, labels)."""
    table = np.array([[dice(t, p, m) for m in groups.values()] for t, p in pairs])
    return _scores("mean Dice", float(table.mean()), list(groups), table.mean(0), {})


def score_rois(truth: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> dict[str, Any]:
    """Weighted F1, with macro F1 and accuracy beside it; a class absent from both has no F1."""
    from sklearn.metrics import f1_score

    indices = list(range(len(classes)))
    values = f1_score(truth, labels, labels=indices, average=None, zero_division=np.nan)
    weighted = float(f1_score(truth, labels, labels=indices, average="weighted", zero_division=0))
    secondary = {
        "macro F1": float(np.nanmean(values)),
        "accuracy": float((truth == labels).mean()),
    }
    return _scores("weighted F1", weighted, classes, values, secondary)


def _scores(
    name: str,
    score: float,
    classes: Sequence[str],
    values: np.ndarray,
    secondary: dict[str, float],
) -> dict[str, Any]:
    per_class = {c: None if np.isnan(v) else float(v) for c, v in zip(classes, values, strict=True)}
    return {"score": score, "score_name": name, "per_class": per_class, "secondary": secondary}
