"""Scores of a model on the test split.

The classes of a mean are those that the truth of the test split has, so that they are the same for
every model: a class that a model alone sees, by mistake, costs it what it took from the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import Any

import numpy as np

from al.io.labels import UNKNOWN

from .cases import DICE, F1, IOU, KEY, Cases
from .surface import surface_dice


def confusion(truth: np.ndarray, labels: np.ndarray, n_classes: int) -> np.ndarray:
    """Return the (C, C) int64 confusion matrix, truth in rows; void pixels do not count."""
    known = truth != UNKNOWN
    pairs = truth[known].astype(np.int64) * n_classes + labels[known]
    return np.bincount(pairs, minlength=n_classes**2).reshape(n_classes, n_classes)


def iou(matrix: np.ndarray) -> np.ndarray:
    """Return (C,) intersection over union; NaN for classes that the truth does not have."""
    both, true = np.diag(matrix).astype(float), matrix.sum(1)
    union = matrix.sum(0) + true - both
    return np.divide(both, union, out=np.full(len(both), np.nan), where=true > 0)


def groups_of(
    groups: Mapping[str, Sequence[int]] | None, classes: Sequence[str], background: int | None
) -> dict[str, Sequence[int]]:
    """Return the groups of a configuration by name; without any, each class but background."""
    if groups:
        return dict(groups)
    return {name: [i] for i, name in enumerate(classes) if i != background}


def group_masks(
    truth: np.ndarray, labels: np.ndarray, members: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return where truth and labels are one of some classes, as bool; void voxels are in neither.

    A surface is closed where it meets a void: both masks end there.
    """
    known = truth != UNKNOWN
    return np.isin(truth, members) & known, np.isin(labels, members) & known


def dice(truth: np.ndarray, labels: np.ndarray, members: Sequence[int]) -> float:
    """Return the Dice coefficient of the union of some classes; both empty = 1, one empty = 0."""
    value = _dice(*group_masks(truth, labels, members))
    return 1.0 if np.isnan(value) else value


def _dice(a: np.ndarray, b: np.ndarray) -> float:
    """Return the Dice coefficient of two masks, NaN where both are empty."""
    total = int(a.sum()) + int(b.sum())
    return np.nan if total == 0 else 2 * int((a & b).sum()) / total


def score_images(
    pairs: Iterable[tuple[np.ndarray, np.ndarray]],
    classes: Sequence[str],
    names: Sequence[tuple[str, str]] | None = None,
) -> dict[str, Any]:
    """Mean IoU from one confusion matrix over all images.

    Args:
        pairs: (truth, labels) of each image, (H, W) uint8, 255 in the truth for void.
        classes: names of the classes.
        names: name and group (patient, slide) of each image, for the key ``cases`` of the result
            (see ``al.scoring.cases``); without, there is none.
    """
    matrix = np.zeros((len(classes),) * 2, np.int64)
    counts = []
    for truth, labels in pairs:
        of_image = confusion(truth, labels, len(classes))
        matrix += of_image
        if names is not None:
            counts.append(_counts(of_image))
    values = iou(matrix)
    accuracy = float(np.diag(matrix).sum() / max(1, matrix.sum()))
    scores = _scores("mIoU", float(np.nanmean(values)), classes, values, {"accuracy": accuracy})
    return scores | _cases(IOU, classes, names, counts)


def _counts(matrix: np.ndarray) -> np.ndarray:
    """Return hits, false positives and false negatives of each class, (C, 3) int64."""
    hits = np.diag(matrix)
    return np.stack([hits, matrix.sum(0) - hits, matrix.sum(1) - hits], axis=1)


def score_volumes(
    pairs: Iterable[tuple[np.ndarray, np.ndarray]],
    groups: Mapping[str, Sequence[int]],
    tolerances: Mapping[str, float] | None = None,
    spacings: Iterable[Sequence[float]] | None = None,
    names: Sequence[tuple[str, str]] | None = None,
) -> dict[str, Any]:
    """Mean Dice over cases and groups of classes, other conventions and surface Dice beside it.

    The score counts a group that is empty in truth and labels of a case as 1, in one of them as 0,
    and so does surface Dice. Groups that the truth of no case has are not scored, unless no group
    is true anywhere. ``mean Dice without empty cases`` is nnU-Net's mean (nnunetv2.evaluation):
    each group's mean is over the cases in which truth or labels have it; null if there is a group
    that no case has.

    Args:
        pairs: (truth, labels) of each case, (D, H, W) uint8, 255 in the truth for void.
        groups: class indices by name.
        tolerances: mm by the name of a group; these have surface Dice as secondary scores.
        spacings: voxel size of each case in mm, in array axes; needed with tolerances.
        names: name and group (patient) of each case, as ``score_images`` takes them.

    Raises:
        ValueError: tolerances without spacings or of no group, or not one spacing per case.
    """
    tolerances = tolerances or {}
    if tolerances and (spacings is None or not tolerances.keys() <= groups.keys()):
        raise ValueError(f"tolerances of {list(tolerances)} need spacings, and groups of that name")
    rows, surfaces, present = [], [], set()
    sizes = spacings if tolerances and spacings is not None else repeat(None)
    for (truth, labels), spacing in zip(pairs, sizes, strict=bool(tolerances)):
        rows.append([])
        surfaces.append([])
        for name, members in groups.items():  # two masks at a time: a CT has 150 million voxels
            masks = group_masks(truth, labels, members)
            rows[-1].append(_dice(*masks))
            if masks[0].any():
                present.add(name)
            if name in tolerances and spacing is not None:
                surfaces[-1].append(surface_dice(*masks, spacing, tolerances[name]))
    table, present = np.array(rows), present or set(groups)
    scored = np.array([name in present for name in groups])
    secondary: dict[str, float | None] = {
        "mean Dice without empty cases": _mean_of_cases_with(table)
    }
    if tolerances:
        names_of = [name for name in groups if name in tolerances]
        means = dict(zip(names_of, np.array(surfaces).mean(0).tolist(), strict=True))
        found = {name: means[name] for name in names_of if name in present}
        secondary["mean surface Dice"] = float(np.mean(list(found.values()))) if found else None
        secondary |= {f"surface Dice of {name}": value for name, value in found.items()}
    table = np.where(np.isnan(table), 1.0, table)
    values = np.where(scored, table.mean(0), np.nan)
    score = float(table[:, scored].mean())
    scores = _scores("mean Dice", score, list(groups), values, secondary)
    held = [name for name in groups if name in present]
    return scores | _cases(DICE, held, names, table[:, scored])


def _mean_of_cases_with(table: np.ndarray) -> float | None:
    """Return the mean over groups of their means over cases (cases, groups), skipping NaN."""
    held = ~np.isnan(table)
    if not held.any(0).all():
        return None
    return float((np.where(held, table, 0).sum(0) / held.sum(0)).mean())


def score_rois(
    truth: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str],
    names: Sequence[tuple[str, str]] | None = None,
) -> dict[str, Any]:
    """Weighted F1, with macro F1 and accuracy beside it; a class absent from the truth has no F1.

    Args:
        truth: (N,) int, class of each RoI.
        labels: (N,) int, as predicted.
        classes: names of the classes.
        names: name and group (slide) of each RoI, as ``score_images`` takes them.
    """
    from sklearn.metrics import f1_score

    indices = list(range(len(classes)))
    values = f1_score(truth, labels, labels=indices, average=None, zero_division=np.nan)
    values = np.where(np.isin(indices, truth), values, np.nan)
    weighted = float(f1_score(truth, labels, labels=indices, average="weighted", zero_division=0))
    secondary = {
        "macro F1": float(np.nanmean(values)),
        "accuracy": float((truth == labels).mean()),
    }
    scores = _scores("weighted F1", weighted, classes, values, secondary)
    return scores | _cases(F1, classes, names, np.stack([truth, labels], axis=1))


def _scores(
    name: str,
    score: float,
    classes: Sequence[str],
    values: np.ndarray,
    secondary: Mapping[str, float | None],
) -> dict[str, Any]:
    per_class = {c: None if np.isnan(v) else float(v) for c, v in zip(classes, values, strict=True)}
    return {
        "score": score,
        "score_name": name,
        "per_class": per_class,
        "secondary": dict(secondary),
    }


def _cases(
    kind: str,
    classes: Sequence[str],
    names: Sequence[tuple[str, str]] | None,
    values: np.ndarray | Sequence[np.ndarray],
) -> dict[str, Any]:
    if names is None:
        return {}
    cases, groups = zip(*names, strict=True)
    return {KEY: Cases(kind, tuple(classes), cases, groups, np.asarray(values)).to_json()}
