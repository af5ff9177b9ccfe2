"""Random patches that favour the foreground; they read ground truth."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from . import checks
from .boxes import Occupancy
from .draw import draw_class, draw_position
from .kernels import values_in
from .region import Region

TruthOf = Callable[[int], np.ndarray]
Annotatable = Callable[[int], "np.ndarray | None"]
Size = Sequence[int]

# weights of a patch: uniform, centred on a foreground voxel, centred on a border voxel
CHANCES = {"fg33": (4, 1, 1), "fg66": (1, 1, 1)}
_UNIFORM, _VOXEL, _BORDER = range(3)
_DRAWS = 50


def random_foreground(
    truth_of: TruthOf,
    shapes: Sequence[Size],
    n: int,
    patches: Sequence[Size],
    classes: Iterable[int],
    rng: np.random.Generator,
    taken: Sequence[Iterable[Region]],
    chances: ArrayLike,
    annotatable: Annotatable = lambda image: None,
) -> list[tuple[int, Region]]:
    """Draw patches from many images in turn (nnActive's ``random_fg33`` and ``random_fg66``).

    Every round visits the images in a new random order and draws one patch in each. An image where
    nothing is free leaves, without being opened. The kind of patch is drawn by ``chances``. A
    centred one takes a class, uniformly among ``classes`` present in the image, then one of its
    (border) voxels, uniformly; the patch is shifted into the image. A border voxel has a face
    neighbour of another value, unknown included; a class without any gives one of its voxels
    (ours). A centred patch that overlaps something is drawn again, its kind too, at most 50 times
    in all (ours). Then, or without foreground, the patch is uniform over the free positions.

    Args:
        truth_of: opens the integer truth of an image by its index; once per patch not uniform.
        shapes: of the images, in voxels.
        n: how many, at least 0.
        patches: size of a patch in each image, in voxels.
        classes: foreground classes, 0 to 254, each once.
        rng: draws.
        taken: per image, regions nothing may overlap; left unchanged.
        chances: (3,) weights of uniform, class voxel and border voxel, at least 0, not all 0;
            see ``CHANCES``.
        annotatable: of an image's index, bool of its shape or ``None``, see ``boxes.Occupancy``.

    Returns:
        (image, patch) in the order drawn, ``cls`` the class centred on; fewer than ``n`` when
        nothing is free anywhere.
    """
    shapes, patches = _sizes(shapes, patches)
    n = checks.integer("n", n, 0)
    classes = checks.class_list(classes, checks.UNKNOWN)
    rng = checks.generator(rng)
    chances = checks.weights("chances", chances, (3,))
    used = [list(regions) for regions in taken]
    if len(used) != len(shapes):
        raise ValueError(f"taken has length {len(used)}; it must have that of shapes")
    chosen, live = [], list(range(len(shapes)))
    while live and len(chosen) < n:
        for image in rng.permutation(live).tolist():
            if len(chosen) == n:
                break
            mask = annotatable(image)
            free = Occupancy(shapes[image], patches[image], used[image], annotatable=mask).free
            if not free.any():
                live.remove(image)
                continue
            truth = partial(_open, truth_of, image, shapes)
            region = _draw_patch(truth, patches[image], classes, chances, rng, free)
            used[image].append(region)
            chosen.append((image, region))
    return chosen


def starting_patches(
    truth_of: TruthOf,
    shapes: Sequence[Size],
    n: int,
    patches: Sequence[Size],
    n_classes: int,
    background: int | None,
    rng: np.random.Generator,
    annotatable: Annotatable = lambda image: None,
) -> list[tuple[int, Region]]:
    """Draw the patches of a first cycle (nnActive's start): two per label, then ``random_fg33``.

    The labels, background included, come twice each, in random order; of these the first ``n``
    (ours). Each gets a patch centred on one of its voxels, drawn uniformly among those whose
    patch, shifted to fit, is free; the image is the next, in a random order per label, that has
    such a voxel. A label that no image can serve leaves its share to ``random_fg33``.

    Args:
        truth_of: opens the integer truth of an image by its index; called once per patch, and to
            learn which images hold a label.
        shapes: of the images, in voxels.
        n: how many, at least 0.
        patches: size of a patch in each image, in voxels.
        n_classes: labels are 0 to ``n_classes`` - 1, or 255 for unknown.
        background: the label that is no foreground for ``random_fg33``, ``None`` if there is none.
        rng: draws.
        annotatable: of an image's index, bool of its shape or ``None``, see ``boxes.Occupancy``.

    Returns:
        (image, patch) in the order drawn, no two overlapping, ``cls`` the label centred on;
        fewer than ``n`` when nothing is free anywhere.
    """
    shapes, patches = _sizes(shapes, patches)
    n, rng = checks.integer("n", n, 0), checks.generator(rng)
    n_classes = checks.integer("n_classes", n_classes, 1, checks.UNKNOWN)
    if background is not None:
        background = checks.integer("background", background, 0, n_classes - 1)
    wanted = rng.permutation(np.repeat(np.arange(n_classes), 2))[:n].tolist()
    queues = {label: deque(rng.permutation(len(shapes)).tolist()) for label in sorted(set(wanted))}
    used: list[list[Region]] = [[] for _ in shapes]
    holds: dict[int, list[int]] = {}
    chosen: list[tuple[int, Region]] = []
    for label in wanted:
        while queues[label]:
            image = queues[label].popleft()
            if label not in holds.get(image, [label]):
                continue
            truth = _open(truth_of, image, shapes)
            if image not in holds:
                name, present = f"truth_of({image})", _present(truth)
                holds[image] = checks.known_classes(name, present, n_classes)
            region = _centred_patch(truth, patches[image], label, rng, used[image])
            if region is not None:
                queues[label].append(image)
                used[image].append(region)
                chosen.append((image, region))
                break
    classes = [label for label in range(n_classes) if label != background]
    return chosen + random_foreground(
        truth_of, shapes, n - len(chosen), patches, classes, rng, used, CHANCES["fg33"], annotatable
    )


def _draw_patch(
    open_truth: Callable[[], np.ndarray],
    patch: tuple[int, ...],
    classes: list[int],
    chances: np.ndarray,
    rng: np.random.Generator,
    free: np.ndarray,
) -> Region:
    """Draw one patch of ``random_foreground``; ``free``, bool per position, holds a True."""
    truth: np.ndarray | None = None
    live: list[int] = []
    centres: dict[tuple[int, int], np.ndarray] = {}
    for _ in range(_DRAWS):
        kind = draw_class([_UNIFORM, _VOXEL, _BORDER], chances, rng)
        if kind == _UNIFORM:
            break
        if truth is None:
            truth = open_truth()
            present = _present(truth)
            live = [cls for cls in classes if present[cls]]
        if not live:
            break
        cls = live[int(rng.integers(len(live)))]
        if (kind, cls) not in centres:
            voxels = truth == cls
            centres[kind, cls] = _border(voxels) if kind == _BORDER else voxels
        start = _fit(draw_position(centres[kind, cls], rng), patch, truth.shape)
        if free[start]:
            return Region(start, patch, cls)
    return Region(draw_position(free, rng), patch)


def _centred_patch(
    truth: np.ndarray,
    patch: tuple[int, ...],
    label: int,
    rng: np.random.Generator,
    taken: list[Region],
) -> Region | None:
    """A free patch centred on a voxel of a label, uniform over the voxels that have one."""
    voxels = truth == label
    if taken:
        free = Occupancy(truth.shape, patch, taken).free
        starts = (
            np.clip(np.arange(n) - k // 2, 0, n - k)
            for n, k in zip(truth.shape, patch, strict=True)
        )
        voxels &= free[np.ix_(*starts)]
    if not voxels.any():
        return None
    return Region(_fit(draw_position(voxels, rng), patch, truth.shape), patch, label)


def _border(voxels: np.ndarray) -> np.ndarray:
    """The voxels with a face neighbour that is not one of them; all where none has."""
    inner = voxels.copy()
    for axis in range(voxels.ndim):
        ours, theirs = np.moveaxis(inner, axis, 0), np.moveaxis(voxels, axis, 0)
        ours[1:] &= theirs[:-1]
        ours[:-1] &= theirs[1:]
    border = voxels & ~inner
    return border if border.any() else voxels


def _fit(centre: tuple[int, ...], patch: tuple[int, ...], shape: Size) -> tuple[int, ...]:
    """Start of a patch around a voxel, shifted into the image."""
    axes = zip(centre, patch, shape, strict=True)
    return tuple(min(max(c - k // 2, 0), n - k) for c, k, n in axes)


def _present(truth: np.ndarray) -> np.ndarray:
    """Which of the 256 values an image holds."""
    return values_in(np.ascontiguousarray(truth).reshape(-1))


def _open(truth_of: TruthOf, image: int, shapes: Sequence[Size]) -> np.ndarray:
    name = f"truth_of({image})"
    return checks.array(name, checks.labels(name, truth_of(image)), "u", tuple(shapes[image]))


def _sizes(
    shapes: Sequence[Size], patches: Sequence[Size]
) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    """Return shapes and patches as tuples of ints, one pair per image."""
    if len(patches) != len(shapes):
        raise ValueError(
            f"patches has length {len(patches)}; it must have that of shapes, {len(shapes)}"
        )
    sides = [checks.sizes(f"shapes[{i}]", shape, (len(shape),)) for i, shape in enumerate(shapes)]
    pairs = enumerate(zip(patches, sides, strict=True))
    return sides, [checks.sizes(f"patches[{i}]", k, (len(n),), n) for i, (k, n) in pairs]
