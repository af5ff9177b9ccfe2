"""Refusing arguments: every message names the argument, its value and what is allowed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import index
from typing import Any

import numpy as np

from .region import Region

UNKNOWN = 255
_SLACK = 1e-3  # rounding of float16 probabilities


def integer(name: str, value: Any, low: int, high: int | None = None) -> int:
    """Return ``value`` as an int within ``low`` and ``high`` (both included)."""
    allowed = f"an integer of at least {low}" + ("" if high is None else f" and at most {high}")
    try:
        number = index(value)
    except TypeError:
        raise ValueError(f"{name} is {value!r}; it must be {allowed}") from None
    if number < low or (high is not None and number > high):
        raise ValueError(f"{name} is {value!r}; it must be {allowed}")
    return number


def sizes(
    name: str, value: Any, ndim: tuple[int, ...], most: Sequence[int] | int | None = None
) -> tuple[int, ...]:
    """Return ``value`` as integers of at least 1, one per axis, and at most ``most``."""
    if not isinstance(value, Sequence | np.ndarray) or len(value) not in ndim:
        allowed = " or ".join(str(n) for n in ndim)
        raise ValueError(f"{name} is {value!r}; it must be {allowed} integers")
    limits = most if isinstance(most, Sequence) else [most] * len(value)
    pairs = enumerate(zip(value, limits, strict=True))
    return tuple(integer(f"{name}[{i}]", k, 1, n) for i, (k, n) in pairs)


def real(name: str, value: Any, low: float, high: float) -> float:
    """Return ``value`` as a float within ``low`` and ``high`` (both included)."""
    number = np.asarray(value)
    if number.ndim or number.dtype.kind not in "iuf" or not low <= number <= high:
        raise ValueError(f"{name} is {value!r}; it must be a number from {low:g} to {high:g}")
    return float(number)


def generator(rng: Any) -> np.random.Generator:
    """Return ``rng`` if it is a generator."""
    if not isinstance(rng, np.random.Generator):
        raise ValueError(f"rng is {rng!r}; it must be a numpy.random.Generator")
    return rng


def plain(value: Any) -> np.ndarray:
    """Return ``value`` as an array, of a tensor of torch too, wherever it lies."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":  # numpy has no such type
            value = value.float()
    return np.asarray(value)


def array(
    name: str, value: Any, kinds: str, shape: tuple[int | None, ...] | None = None
) -> np.ndarray:
    """Return ``value`` as an array of a dtype kind in ``kinds`` and of a shape (None: any size)."""
    found = plain(value)
    if found.dtype.kind not in kinds:
        words = {"b": "boolean", "i": "integer", "f": "floating point"}
        allowed = " or ".join(words[k] for k in kinds if k in words)
        raise ValueError(f"{name} has dtype {found.dtype}; it must be {allowed}")
    if shape is not None and (
        found.ndim != len(shape)
        or any(n is not None and n != m for n, m in zip(shape, found.shape, strict=True))
    ):
        sizes = ", ".join("any" if n is None else str(n) for n in shape)
        raise ValueError(f"{name} has shape {found.shape}; it must be ({sizes})")
    return found


def numbers(
    name: str,
    value: Any,
    shape: tuple[int | None, ...],
    low: float = -np.inf,
    high: float = np.inf,
) -> np.ndarray:
    """Return ``value`` as finite float64 of a shape, within ``low`` and ``high``."""
    found = array(name, value, "iuf", shape).astype(np.float64)
    limits = "" if low == -np.inf else f", at least {low:g}"
    limits += "" if high == np.inf else f", at most {high:g}"
    right = np.isfinite(found) & (found >= low) & (found <= high)
    return everywhere(name, found, right, f"finite{limits}")


def weights(name: str, value: Any, shape: tuple[int | None, ...]) -> np.ndarray:
    """Return ``value`` as float64 of a shape, at least 0, not all 0."""
    found = numbers(name, value, shape, 0)
    if not found.any():
        raise ValueError(f"{name} is {found.tolist()}; it must not be 0 throughout")
    return found


def everywhere(name: str, found: np.ndarray, right: np.ndarray, allowed: str) -> np.ndarray:
    """Return an array if it is right everywhere."""
    if not right.all():
        place = tuple(int(i) for i in np.argwhere(~right)[0])
        raise ValueError(f"{name}{list(place)} is {found[place]}; it must be {allowed}")
    return found


def counts(name: str, value: Any, shape: tuple[int | None, ...] | None = None) -> np.ndarray:
    """Return ``value`` as int64 of a shape, at least 0."""
    found = array(name, value, "iu", shape).astype(np.int64)
    if found.size and found.min() < 0:
        raise ValueError(f"{name} holds {found.min()}; it must be at least 0")
    return found


def features(name: str, value: Any, rows: int | None = None) -> np.ndarray:
    """Return ``value`` contiguous and read-only if it is finite (R, F) float32 or float64."""
    found = plain(value)
    if found.dtype not in (np.float32, np.float64):
        raise ValueError(f"{name} has dtype {found.dtype}; it must be float32 or float64")
    array(name, found, "f", (rows, None))
    if len(found) and not found.shape[1]:
        raise ValueError(f"{name} has shape {found.shape}; it must hold a value per row")
    everywhere(name, found, np.isfinite(found), "finite")
    found = np.ascontiguousarray(found).view()
    found.flags.writeable = False
    return found


def probabilities(name: str, value: Any, shape: tuple[int | None, ...]) -> np.ndarray:
    """Return ``value`` if it is a float array of a shape whose values are probabilities."""
    found = array(name, value, "f", shape)
    # NaN fails both comparisons; the extremes alone spare temporaries of the image's size
    if found.size and not (found.min() >= -_SLACK and found.max() <= 1 + _SLACK):
        everywhere(name, found, (found >= -_SLACK) & (found <= 1 + _SLACK), "from 0 to 1")
    return found


def labels(name: str, value: Any) -> np.ndarray:
    """Return ``value`` as uint8 if it holds integers from 0 to 255, of any integer dtype."""
    found = array(name, value, "iu")
    if found.dtype == np.uint8:
        return found
    if found.size and not (found.min() >= 0 and found.max() <= UNKNOWN):
        worst = found.min() if found.min() < 0 else found.max()
        raise ValueError(f"{name} holds {worst}; it must hold 0 to 254, or {UNKNOWN} for none")
    return found.astype(np.uint8)


def image(name: str, value: Any, ndim: tuple[int, ...] = (), floats: bool = False) -> np.ndarray:
    """Return ``value`` if it holds labels, or is uint8 or float, in a number of axes, not empty."""
    found = plain(value)
    if not floats:
        found = labels(name, found)
    elif found.dtype != np.uint8:
        found = array(f"{name} (if not uint8)", found, "f")
    if not found.ndim or not found.size or (ndim and found.ndim not in ndim):
        axes = " or ".join(str(n) for n in ndim) + " axes" if ndim else "axes"
        raise ValueError(f"{name} has shape {found.shape}; it must have {axes}, none empty")
    return found


def known_classes(name: str, present: np.ndarray, n_classes: int) -> list[int]:
    """Return the classes in a mask of the 256 label values present; 255 is none."""
    classes = [c for c in np.flatnonzero(present).tolist() if c != UNKNOWN]
    if classes and classes[-1] >= n_classes:
        allowed = f"0 to {n_classes - 1}, or {UNKNOWN} for none"
        raise ValueError(f"{name} holds {classes[-1]}; it must hold {allowed}")
    return classes


def regions(taken: Any, ndim: int) -> list[Region]:
    """Return ``taken`` as a list of regions in ``ndim`` axes."""
    found = list(taken)
    for number, region in enumerate(found):
        if not isinstance(region, Region) or len(region.start) != ndim:
            raise ValueError(f"taken[{number}] is {region!r}; it must be a Region in {ndim} axes")
    return found


def indices(taken: Any, stop: int) -> np.ndarray:
    """Return a boolean mask (stop,) of the indices in ``taken``."""
    mask = np.zeros(stop, bool)
    for number, value in enumerate(taken):
        mask[integer(f"taken[{number}]", value, 0, stop - 1)] = True
    return mask


def class_list(classes: Iterable[int], stop: int) -> list[int]:
    """Return ``classes`` in ascending order.

    Raises:
        ValueError: a value outside 0 to ``stop`` - 1, or one that comes twice.
    """
    given = enumerate(classes)
    found = sorted(integer(f"classes[{i}]", cls, 0, stop - 1) for i, cls in given)
    if len(set(found)) < len(found):
        raise ValueError(f"classes is {found}; it must hold every class once")
    return found
