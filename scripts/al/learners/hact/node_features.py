"""Features of nuclei and superpixels: handcrafted ones, or the outputs of a ResNet."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from skimage.segmentation import find_boundaries

from al.io.errors import ConfigError

from .nuclei import stain
from .settings import GraphSettings
from .tissue import centroids, strips

if TYPE_CHECKING:
    import torch

LEVELS = 8  # of haematoxylin, in the co-occurrence matrix
DENSEST = 2.0  # optical density of the highest level
DIRECTIONS = 16  # of the convex outline, over half a turn
CHANNELS = ("red", "green", "blue", "haematoxylin", "eosin", "gradient")
TEXTURE = ("contrast", "homogeneity", "energy", "entropy")
SHAPE = (
    "log_area", "log_perimeter", "log_major_axis", "log_minor_axis", "eccentricity", "roundness",
    "solidity", "log_feret", "log_breadth",
)  # fmt: skip
NAMES = (
    *(f"{channel}_{value}" for channel in CHANNELS for value in ("mean", "std")),
    *TEXTURE,
    *SHAPE,
)
BATCH = 64
SIDE = 224  # of what the network sees, pixels
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as torchvision's
RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101")


def handcrafted(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Describe nuclei or superpixels by colour, texture and shape.

    Mean and standard deviation of colour, of the optical densities of haematoxylin and eosin and
    of the former's gradient; contrast, homogeneity, energy and entropy of the co-occurrence of
    haematoxylin in neighbouring pixels (Haralick et al., IEEE Trans Syst Man Cybern 1973), colours
    0 to 1; area, perimeter (Crofton), axes and eccentricity of the ellipse with the same second
    moments, roundness 4 pi area / perimeter^2, share of the convex outline that is filled, longest
    and shortest diameter. Lengths are natural logarithms of pixels.

    Args:
        image: (H, W, 3) uint8.
        labels: (H, W) int32, 1 to N without gaps; 0 belongs to none.

    Returns:
        (N, 25) float32, in the order of ``NAMES``.
    """
    n = int(labels.max())
    if n == 0:
        return np.zeros((0, len(NAMES)), np.float32)
    sums = _Sums(n)
    for start, end in strips(labels):
        sums.add(image, labels, start, end)
    return sums.features()


class _Sums:
    """What features are made of, added up strip by strip; row n belongs to label n + 1."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.area = np.zeros(n)
        self.values = np.zeros((len(CHANNELS), 2, n))
        self.places = np.zeros((5, n))
        self.crossings = np.zeros(n)
        self.pairs = np.zeros((n, LEVELS * LEVELS))
        angles = np.pi * np.arange(DIRECTIONS) / DIRECTIONS
        self.axes = np.concatenate([np.stack([np.sin(angles), np.cos(angles)], 1)] * 2)
        self.axes[DIRECTIONS:] *= -1
        self.reach = np.full((2 * DIRECTIONS, n), -np.inf)

    def count(self, held: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        return np.bincount(held, weights, self.n)

    def add(self, image: np.ndarray, labels: np.ndarray, start: int, end: int) -> None:
        """Add the rows from ``start`` to ``end``; those next to them are looked at."""
        above, below = max(0, start - 1), min(end + 1, len(labels))
        here, ids = image[above:below], labels[above:below]
        own = slice(start - above, end - above)
        y, x = np.nonzero(ids[own])
        held = ids[own][y, x] - 1
        self.area += self.count(held)
        haematoxylin = stain(here, 0)
        gradient = _gradient(haematoxylin)
        colours = [here[own][y, x, c] / np.float32(255) for c in range(3)]
        densities = [haematoxylin[own][y, x], stain(here[own], 1)[y, x], gradient[own][y, x]]
        for sums, values in zip(self.values, colours + densities, strict=True):
            sums[0] += self.count(held, values)
            sums[1] += self.count(held, np.square(values, dtype=np.float64))
        y = y + float(start)
        x = x.astype(np.float64)
        for sums, values in zip(self.places, (y, x, y * y, x * x, x * y), strict=True):
            sums += self.count(held, values)
        levels = np.clip(haematoxylin * (LEVELS / DENSEST), 0, LEVELS - 1).astype(np.int64)
        self._pairs(ids, levels, own)
        self._outline(ids, own, start)

    def _pairs(self, ids: np.ndarray, levels: np.ndarray, own: slice) -> None:
        """Count levels of neighbours within a label, and crossings of its outline."""
        # A pair belongs to the strip of its upper pixel; the image's border is an outline too.
        top, bottom = own.start == 0, own.stop == len(ids)
        ids, levels = (np.pad(of, ((top, bottom), (1, 1))) for of in (ids, levels))
        for dy, dx, weight in ((0, 1, 1.0), (1, 0, 1.0), (1, 1, 0.5**0.5), (1, -1, 0.5**0.5)):
            rows = slice(own.start, min(own.stop + top, len(ids) - dy))
            low = slice(rows.start + dy, rows.stop + dy)
            left, right = (slice(None, -1), slice(1, None)) if dx else (slice(None), slice(None))
            if dx < 0:
                left, right = right, left
            a, b = ids[rows, left], ids[low, right]
            differ = a != b
            for side in (a[differ], b[differ]):
                self.crossings += weight * self.count(side[side > 0] - 1, None)
            if dy and dx:
                continue
            same = ~differ & (a > 0)
            p, q = levels[rows, left][same], levels[low, right][same]
            code = (a[same].astype(np.int64) - 1) * LEVELS**2 + p * LEVELS + q
            self.pairs += np.bincount(code, minlength=self.pairs.size).reshape(self.pairs.shape)

    def _outline(self, ids: np.ndarray, own: slice, start: int) -> None:
        """Find how far each label reaches in each direction; count the image's border."""
        outline = find_boundaries(np.pad(ids, 1), mode="inner")[1:-1, 1:-1]
        y, x = np.nonzero(outline[own])
        held = ids[own][y, x] - 1
        order = np.argsort(held, kind="stable")
        y, x, held = y[order] + start, x[order], held[order]
        first = np.flatnonzero(np.diff(held, prepend=-1))
        if not len(first):
            return
        for reach, (of_y, of_x) in zip(self.reach, self.axes, strict=True):
            # A pixel is a square: its corners reach further than its middle.
            far = np.maximum.reduceat(y * of_y + x * of_x, first) + (abs(of_y) + abs(of_x)) / 2
            at = held[first]
            reach[at] = np.maximum(reach[at], far)

    def features(self) -> np.ndarray:
        """Return (n, 25) float32."""
        means = self.values[:, 0] / self.area
        spread = np.sqrt(np.maximum(self.values[:, 1] / self.area - means**2, 0))
        colour = np.stack([means, spread], 1).reshape(-1, self.n).T
        return np.hstack([colour, self._texture(), self._shape()]).astype(np.float32)

    def _texture(self) -> np.ndarray:
        pairs = self.pairs.reshape(-1, LEVELS, LEVELS)
        pairs = (pairs + pairs.transpose(0, 2, 1)).reshape(len(pairs), -1)
        share = pairs / np.maximum(pairs.sum(1, keepdims=True), 1)
        level = np.arange(LEVELS)
        apart = np.square(level[:, None] - level).ravel()
        told = share * np.log(np.where(share > 0, share, 1))
        columns = share @ apart, share @ (1 / (1 + apart)), (share**2).sum(1), -told.sum(1)
        return np.stack(columns, 1)

    def _shape(self) -> np.ndarray:
        y, x, yy, xx, xy = self.places / self.area
        # The square of a pixel itself adds 1/12.
        yy, xx, xy = yy - y * y + 1 / 12, xx - x * x + 1 / 12, xy - x * y
        root = np.sqrt(np.square((yy - xx) / 2) + xy**2)
        long, short = (yy + xx) / 2 + root, np.maximum((yy + xx) / 2 - root, 1 / 12)
        perimeter = np.maximum(np.pi / 8 * self.crossings, 1)
        breadth = self.reach[:DIRECTIONS] + self.reach[DIRECTIONS:]
        round_off = 4 * np.pi * self.area / perimeter**2
        columns = (
            np.log(self.area), np.log(perimeter), np.log(4 * np.sqrt(long)),
            np.log(4 * np.sqrt(short)), np.sqrt(np.maximum(1 - short / long, 0)), round_off,
            self.area / self._convex(), np.log(breadth.max(0)), np.log(breadth.min(0)),
        )  # fmt: skip
        return np.stack(columns, 1)

    def _convex(self) -> np.ndarray:
        """Return the area of the polygon of tangents around each label."""
        turn = np.pi / DIRECTIONS
        next_, last = np.roll(self.reach, -1, 0), np.roll(self.reach, 1, 0)
        side = (next_ + last - 2 * self.reach * math.cos(turn)) / math.sin(turn)
        return np.maximum((self.reach * side).sum(0) / 2, self.area)


def _gradient(values: np.ndarray) -> np.ndarray:
    """Return the length of the gradient by central differences, (H, W) float32."""
    gy, gx = (
        np.gradient(values, axis=axis) if values.shape[axis] > 1 else np.zeros_like(values)
        for axis in (0, 1)
    )
    return np.hypot(gy, gx)


def patch_places(labels: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return middles of patches (P, 2) and their superpixels (P,), sorted by the latter.

    Patches lie side by side over the image; a superpixel has those whose middle lies in it, or one
    at its own centroid.
    """
    own = centroids(labels)
    grid = [np.arange(min(side // 2, (length - 1) // 2), length, side) for length in labels.shape]
    y, x = (axis.ravel() for axis in np.meshgrid(*grid, indexing="ij"))
    owner = labels[y, x].astype(np.int64) - 1
    without = np.flatnonzero(np.bincount(owner, minlength=len(own)) == 0)
    places = np.concatenate([np.stack([y, x], 1), own[without]])
    owner = np.concatenate([owner, without])
    order = np.argsort(owner, kind="stable")
    return places[order], owner[order]


class Cnn:
    """The average-pooled outputs of a ResNet of torchvision, without its classifier.

    A nucleus: the patch around its centroid. A superpixel: mean over the patches in it. Patches are
    reflected at the image's border, resized to 224 pixels and normalised as for ImageNet.

    Attributes:
        dim: number of features, 512, of the larger networks 2048.
    """

    def __init__(self, settings: GraphSettings, device: str = "cpu") -> None:
        """Load ``settings.weights``, a state dict written by torch, or safetensors.

        Raises:
            ConfigError: the file is missing, of another kind, or of another network.
        """
        self.settings, self.device = settings, device
        network, self.dim = _network(Path(settings.weights))
        self.network = network.eval().to(device)

    def describe(
        self, image: np.ndarray, cells: np.ndarray, superpixels: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the features of nuclei (N, F) and of superpixels (M, F), float32.

        Args:
            image: (H, W, 3) uint8.
            cells: (N, 2) centroids of nuclei.
            superpixels: (H, W) int32, 1 to M.
        """
        patches, owner = patch_places(superpixels, self.settings.tissue_patch)
        found = self.embed(image, patches, self.settings.tissue_patch)
        first = np.flatnonzero(np.diff(owner, prepend=-1))
        sums = np.add.reduceat(found, first, axis=0, dtype=np.float64)
        tissue = (sums / np.bincount(owner)[:, None]).astype(np.float32)
        return self.embed(image, cells, self.settings.nucleus_patch), tissue

    def embed(self, image: np.ndarray, places: np.ndarray, side: int) -> np.ndarray:
        """Return the features of patches, (N, F) float32.

        Args:
            image: (H, W, 3) uint8.
            places: (N, 2) middles, row and column.
            side: of a patch, pixels.
        """
        import torch

        result = np.zeros((len(places), self.dim), np.float32)
        with torch.inference_mode():
            for start in range(0, len(places), BATCH):
                batch = np.stack([cut(image, at, side) for at in places[start : start + BATCH]])
                seen = self._input(torch.from_numpy(batch).to(self.device))
                result[start : start + BATCH] = self.network(seen).float().cpu().numpy()
        return result

    def _input(self, batch: torch.Tensor) -> torch.Tensor:
        import torch

        values = batch.permute(0, 3, 1, 2).float() / 255
        values = torch.nn.functional.interpolate(
            values, (SIDE, SIDE), mode="bilinear", align_corners=False
        )
        shape = (1, 3, 1, 1)
        mean, deviation = (values.new_tensor(v).view(shape) for v in (MEAN, DEVIATION))
        return (values - mean) / deviation


def cut(image: np.ndarray, place: np.ndarray, side: int) -> np.ndarray:
    """Return the square (side, side, 3) around a place, reflected at the image's border."""
    index = []
    for middle, length in zip(place, image.shape, strict=False):
        at = np.arange(side) + math.floor(middle + 0.5) - side // 2
        period = max(1, 2 * (length - 1))
        at = np.mod(at, period)
        index.append(np.where(at < length, at, period - at))
    return image[index[0][:, None], index[1]]


def _network(path: Path) -> tuple[torch.nn.Module, int]:
    """Return the network whose weights a file holds, and the number of its features.

    Raises:
        ConfigError: the file holds those of no such network.
    """
    import torch

    from ..torchvision_cpu import import_torchvision

    import_torchvision()
    from torchvision import models

    state = _read_weights(path)

    def known(name: str) -> int:
        with torch.device("meta"):
            return len(getattr(models, name)(weights=None).state_dict().keys() & state.keys())

    name = max(RESNETS, key=known)
    network = getattr(models, name)(weights=None)
    dim, network.fc = network.fc.in_features, torch.nn.Identity()
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        first = str(error).splitlines()[-1].strip()
        raise ConfigError(
            f"hact.weights: {path}: no complete {name} ({first}); allowed: state dicts of "
            f"torchvision's {', '.join(RESNETS)}"
        ) from None
    return network, dim


def _read_weights(path: Path) -> dict[str, Any]:
    import pickle

    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise ConfigError(f"hact.weights: {path}: no such file; allowed: weights of a ResNet")
    try:
        if path.suffix == ".safetensors":
            held = load_file(path)
        else:
            held = torch.load(path, map_location="cpu", weights_only=True)
        return {key: values for key, values in held.items() if not key.startswith("fc.")}
    except (pickle.UnpicklingError, SafetensorError, RuntimeError, OSError, EOFError, ValueError,
            KeyError, AttributeError) as error:  # fmt: skip
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ConfigError(
            f"hact.weights: {path}: unreadable ({told}); allowed: a state dict of tensors, "
            "by torch.save or as .safetensors"
        ) from None
