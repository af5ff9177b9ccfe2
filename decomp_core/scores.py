"""DECOMP's class confidence, sampling weights and image scores (Eq. 1 to 3), choosing images."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from . import checks


def pseudo_labels(probabilities: ArrayLike, axis: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the most probable class everywhere, and its probability, the confidence.

    Args:
        probabilities: float, 0 to 1, of any shape, 1 to 255 classes along ``axis``: numpy or torch.
        axis: of the classes, -N to N - 1 for N axes.

    Returns:
        Labels, uint8, the first of equals, and confidence, in the precision of ``probabilities``;
        both without ``axis``.

    Raises:
        ValueError: values that are no probabilities, such as logits, or a wrong shape.

    >>> pseudo_labels(np.float32([[0.25, 0.5], [0.75, 0.5]]))
    (array([1, 0], dtype=uint8), array([0.75, 0.5 ], dtype=float32))
    """
    found = checks.array("probabilities", probabilities, "f")
    checks.probabilities("probabilities", found, found.shape)
    if axis not in range(-found.ndim, found.ndim) or not 1 <= found.shape[axis] <= 255:
        raise ValueError(
            f"probabilities has shape {found.shape} and axis is {axis!r}; "
            "it must be an axis of 1 to 255 classes"
        )
    return found.argmax(axis).astype(np.uint8), found.max(axis)


def class_counts(
    labels: np.ndarray,
    confidence: np.ndarray,
    n_classes: int,
    tau: float,
    valid: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Count the pixels predicted as each class, and those with a confidence above ``tau``.

    Args:
        labels: integer pseudo-labels of any shape; 255 counts as no class.
        confidence: float of the same shape, 0 to 1.
        n_classes: C, 1 to 255.
        tau: threshold, 0 to 1; strict, in the precision of ``confidence``.
        valid: bool of the same shape; pixels that count (not annotated yet). All by default.

    Returns:
        predicted and confident, (C,) int64 each.

    Raises:
        ValueError: an argument of the wrong dtype, shape or range, or a label outside the classes.

    >>> class_counts(np.uint8([0, 1, 1, 255]), np.float32([0.9, 0.7, 0.8, 1]), 3, 0.7)
    (array([1, 2, 0]), array([1, 1, 0]))
    """
    labels = checks.labels("labels", labels)
    confidence = checks.probabilities("confidence", confidence, labels.shape)
    n_classes = checks.integer("n_classes", n_classes, 1, 255)
    tau = checks.real("tau", tau, 0, 1)
    if valid is not None:
        keep = checks.array("valid", valid, "b", labels.shape)
        labels, confidence = labels[keep], confidence[keep]
    predicted = np.bincount(labels.ravel(), minlength=256)
    checks.known_classes("labels", predicted, n_classes)
    confident = np.bincount(labels[confidence > tau].ravel(), minlength=256)
    return predicted[:n_classes], confident[:n_classes]


def class_confidence(predicted: ArrayLike, confident: ArrayLike) -> np.ndarray:
    """Share of the pixels (RoIs) predicted as a class whose confidence is above tau (Eq. 1).

    Args:
        predicted: (C,) or (N, C) integers; N images are summed.
        confident: integers of the same shape, none above ``predicted``.

    Returns:
        (C,) float64; 0 for a class that is never predicted, as in the authors' code.

    Raises:
        ValueError: a wrong dtype or shape, a negative count, or confident > predicted.

    >>> class_confidence([4, 0], [1, 0])
    array([0.25, 0.  ])
    """
    predicted = checks.counts("predicted", predicted)
    if predicted.ndim not in (1, 2) or predicted.shape[-1] == 0:
        raise ValueError(f"predicted has shape {predicted.shape}; it must be (C,) or (N, C)")
    confident = checks.counts("confident", confident, predicted.shape)
    checks.everywhere("confident", confident, confident <= predicted, "at most that predicted")
    if predicted.ndim == 2:
        predicted, confident = predicted.sum(axis=0), confident.sum(axis=0)
    return np.where(predicted > 0, confident / np.maximum(predicted, 1), 0.0)


def sampling_weights(confidence: ArrayLike, emphasis: ArrayLike | None = None) -> np.ndarray:
    """Weights by which classes are drawn: 1 - confidence, normalised (Eq. 2).

    Args:
        confidence: (C,) class confidence, 0 to 1. All 1: uniform weights.
        emphasis: (C,) factors of at least 0, not all 0, on the weights, which are then
            normalised again. Where it leaves no class any weight it takes their place (ours).

    Returns:
        (C,) float64, sums to 1.

    >>> sampling_weights([0.5, 1.0, 0.0]).round(3)
    array([0.333, 0.   , 0.667])
    """
    kappa = checks.numbers("confidence", confidence, (None,), 0, 1)
    if not kappa.size:
        raise ValueError("confidence has shape (0,); it must hold at least one class")
    weights = 1 - kappa
    weights = weights / weights.sum() if weights.any() else np.full(kappa.size, 1 / kappa.size)
    if emphasis is None:
        return weights
    factors = checks.weights("emphasis", emphasis, kappa.shape)
    factors = factors / factors.max()  # neither product below leaves the range of a float
    product = weights * factors
    chosen = product if product.sum() > 0 else factors
    return chosen / chosen.sum()


def decomp_image_scores(predicted: ArrayLike, weights: ArrayLike, cap: ArrayLike) -> np.ndarray:
    """Score images by the weighted, capped number of pixels (RoIs) per predicted class (Eq. 3).

    Args:
        predicted: (N, C) integers, pixels (RoIs) of image i predicted as class c.
        weights: (C,) sampling weights, at least 0.
        cap: above 0, one number or (N,): most pixels (RoIs) of one class that count; 10 % of
            the image's pixels for segmentation, 1 for RoIs.

    Returns:
        (N,) float64; an image's score does not depend on its place in the list.

    >>> decomp_image_scores([[9, 1], [2, 2]], [0.25, 0.75], 4)
    array([1.75, 2.  ])
    """
    counts = checks.counts("predicted", predicted, (None, None))
    weights = checks.numbers("weights", weights, (counts.shape[1],), 0)
    shape = () if np.ndim(cap) == 0 else (counts.shape[0],)
    caps = checks.numbers("cap", cap, shape)
    if (caps <= 0).any():
        raise ValueError(f"cap holds {caps.min():g}; it must be above 0")
    capped = np.minimum(counts, caps.reshape(-1, 1))
    return np.ascontiguousarray(capped * weights).sum(axis=1)


def select_images(
    scores: ArrayLike, n: int, eligible: ArrayLike, rng: np.random.Generator
) -> np.ndarray:
    """Choose the eligible images with the highest scores.

    Args:
        scores: (N,) finite numbers.
        n: how many, at least 0.
        eligible: (N,) bool.
        rng: breaks ties.

    Returns:
        (k,) int64 indices, best first; k < n where fewer are eligible.

    >>> select_images([1.0, 3.0, 2.0], 2, [True, True, True], np.random.default_rng(0))
    array([1, 2])
    """
    values = checks.numbers("scores", scores, (None,))
    allowed = checks.array("eligible", eligible, "b", values.shape)
    return rotate_images(values, n, np.zeros(values.shape, int), allowed, rng)


def rotate_images(
    scores: ArrayLike,
    n: int,
    openings: ArrayLike,
    available: ArrayLike,
    rng: np.random.Generator,
) -> np.ndarray:
    """Choose images by score, each opened once before any is opened twice.

    Eligible are the available images opened least often (the current loop). Where these are
    fewer than ``n``, all of them are taken and the batch is filled from the next loop (ours; the
    published code takes fewer). No image comes twice in a batch.

    Args:
        scores: (N,) finite numbers.
        n: how many, at least 0.
        openings: (N,) integers of at least 0, how often each image was opened.
        available: (N,) bool, images that can still be opened (have something without a label).
        rng: breaks ties.

    Returns:
        (k,) int64 indices, best first within each loop; k < n where fewer are available.

    >>> rng = np.random.default_rng(0)
    >>> rotate_images([1.0, 3.0, 2.0], 2, [0, 1, 1], [True, True, True], rng)
    array([0, 1])
    """
    values = checks.numbers("scores", scores, (None,))
    count = checks.integer("n", n, 0)
    opened = checks.counts("openings", openings, values.shape)
    allowed = checks.array("available", available, "b", values.shape)
    shuffled = checks.generator(rng).permutation(values.size)
    order = np.lexsort((shuffled, -values, opened))
    return order[allowed[order]][:count]
