"""Between a file's voxels, the annotator's grid and nnU-Net's grid, each covering the same box.

nnU-Net sees axes superior, anterior, right (as its reader that reorients gives them), then in the
order of its plans, cropped to what is not zero and resampled. Labels are brought there by integer
arithmetic: a voxel has the label of that voxel of the annotator's grid in which its centre lies.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import nibabel as nib
import numpy as np
import torch
from torch import Tensor

AT_A_TIME = 1 << 22  # voxels: bounds the temporaries on large volumes

Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Placement:
    """Where a preprocessed volume lies in its file.

    "Training axes" are those of nnU-Net after its own transposition.

    Attributes:
        order: array axis of the file behind each training axis.
        flip: whether a training axis runs against that array axis.
        full: shape of the file in training axes.
        box: first and past-the-end voxel that cropping keeps, per training axis.
        shape: of the preprocessed volume.
        spacing: voxel size of the file in mm, per training axis.
    """

    order: Triple
    flip: tuple[bool, bool, bool]
    full: Triple
    box: tuple[tuple[int, int], ...]
    shape: Triple
    spacing: tuple[float, float, float]

    @classmethod
    def of_json(cls, held: dict[str, Any]) -> Placement:
        """Return the placement that ``as_json`` described."""
        values = {key: tuple(held[key]) for key in ("order", "flip", "full", "shape", "spacing")}
        return cls(**values, box=tuple(map(tuple, held["box"])))

    def as_json(self) -> dict[str, Any]:
        """Return what ``of_json`` takes."""
        return asdict(self)

    def labels(self, seen: np.ndarray) -> np.ndarray:
        """Bring labels from the annotator's grid to the training grid, voxel by voxel.

        Args:
            seen: (D, H, W) uint8 in array axes, on any grid over the file's box.

        Returns:
            (*shape) uint8.
        """
        turned = oriented(seen, self.order, self.flip)
        places = []
        for n, (low, high), m, g in zip(self.full, self.box, self.shape, turned.shape, strict=True):
            # Centres in units of 1 / (2 m) file voxels, in whole numbers.
            centres = (2 * np.arange(m, dtype=np.int64) + 1) * (high - low) + 2 * low * m
            places.append(centres * g // (2 * m * n))
        return np.ascontiguousarray(turned[np.ix_(*places)])


def canonical_axes(affine: np.ndarray) -> tuple[Triple, tuple[bool, bool, bool]]:
    """Return the array axis nearest to superior, anterior and right each, and what runs against.

    Args:
        affine: (4, 4) of the file, in mm.
    """
    found = nib.orientations.io_orientation(affine)
    order = [int(np.flatnonzero(found[:, 0] == world)[0]) for world in (2, 1, 0)]
    return tuple(order), tuple(bool(found[axis, 1] < 0) for axis in order)


def oriented(array: np.ndarray, order: Sequence[int], flip: Sequence[bool]) -> np.ndarray:
    """Return a view of (D, H, W) in other axes."""
    turned = array.transpose(tuple(order))
    return np.flip(turned, [axis for axis in range(3) if flip[axis]])


@dataclass(frozen=True)
class Axis:
    """How one axis of the target grid is made of an axis of the training grid."""

    low: Tensor
    high: Tensor
    share: Tensor  # of the voxel ``high``
    inside: Tensor


def _axis(
    full: int, box: tuple[int, int], size: int, wanted: int, flip: bool, nearest: bool
) -> Axis:
    centres = (np.arange(wanted) + 0.5) * full / wanted
    low, high = box
    inside = (centres >= low) & (centres < high)
    place = ((centres - low) * size / (high - low) - 0.5).clip(0, size - 1)
    if nearest:
        place = np.floor(place + 0.5)
    first = np.floor(place).astype(np.int64)
    share = (place - first).astype(np.float32)
    parts = [first, np.minimum(first + 1, size - 1), share, inside]
    return Axis(*(torch.from_numpy(np.ascontiguousarray(p[::-1] if flip else p)) for p in parts))


@dataclass(frozen=True)
class Target:
    """The grid that predictions are brought to, in array axes; linear, as nnU-Net does it.

    Attributes:
        placement: of the volume.
        shape: of the target grid, over the file's box, in array axes.
        nearest: training axis along which the nearest voxel is taken, as nnU-Net does where
            voxels are far from cubes; ``None``: no axis.
    """

    placement: Placement
    shape: Triple
    nearest: int | None = None

    def parts(self) -> Iterator[slice]:
        """Yield slices of the first array axis that hold about ``AT_A_TIME`` voxels."""
        rows = max(1, AT_A_TIME // max(1, self.shape[1] * self.shape[2]))
        for start in range(0, self.shape[0], rows):
            yield slice(start, min(start + rows, self.shape[0]))

    def axes(self) -> list[Axis]:
        """Return how each array axis is made."""
        p = self.placement
        found = []
        for axis, wanted in enumerate(self.shape):
            t = p.order.index(axis)
            found.append(
                _axis(p.full[t], p.box[t], p.shape[t], wanted, p.flip[t], t == self.nearest)
            )
        return found

    def arrange(self, maps: Tensor) -> Tensor:
        """Return (K, *training shape) in the order of array axes; flips are left to ``sample``."""
        return maps.permute(0, *(1 + self.placement.order.index(axis) for axis in range(3)))


def sample(maps: Tensor, axes: Sequence[Axis], part: slice) -> tuple[Tensor, Tensor | None]:
    """Interpolate a slab of the target grid.

    Args:
        maps: (K, d, h, w) of ``Target.arrange``.
        axes: of ``Target.axes``.
        part: rows of the target's first axis.

    Returns:
        (K, rows, H, W) float32, and (rows, H, W) bool where cropping kept the volume, or ``None``
        where it kept everything.
    """
    first = axes[0]
    cut = Axis(first.low[part], first.high[part], first.share[part], first.inside[part])
    value = maps
    for number, axis in enumerate((cut, *axes[1:])):
        value = _along(value, 1 + number, axis)
    if all(bool(axis.inside.all()) for axis in (cut, *axes[1:])):
        return value, None
    d, h, w = (axis.inside for axis in (cut, *axes[1:]))
    return value, d[:, None, None] & h[None, :, None] & w[None, None, :]


def _along(value: Tensor, dim: int, axis: Axis) -> Tensor:
    low, high, share = (v.to(value.device) for v in (axis.low, axis.high, axis.share))
    first = value.index_select(dim, low).float()
    if float(share.max()) == 0:
        return first
    second = value.index_select(dim, high).float()
    view = [1] * value.ndim
    view[dim] = -1
    return first.lerp_(second, share.view(view))
