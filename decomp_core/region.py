"""The one region type of every task."""

from __future__ import annotations

from dataclasses import dataclass
from operator import index


def _integers(name: str, value: object, low: int) -> tuple[int, ...]:
    try:
        numbers = tuple(index(v) for v in value)  # type: ignore[attr-defined]
    except TypeError:
        raise ValueError(f"{name} is {value!r}; it must be a tuple of integers") from None
    if not numbers or min(numbers) < low:
        raise ValueError(f"{name} is {value!r}; it must hold integers of at least {low}")
    return numbers


@dataclass(frozen=True)
class Region:
    """A box of pixels (voxels) in array axes.

    A window of one slice of a volume has size 1 along the slice axis.

    Attributes:
        start: first pixel, one integer per axis.
        size: number of pixels, one integer per axis.
        cls: class behind the choice, ``None`` where there was none.
        score: what the choice was ranked by, ``None`` where it was not ranked.

    Raises:
        ValueError: a negative start, a size below 1, or axes that differ in number.

    >>> Region((0, 4), (2, 2)).overlaps(Region((1, 5), (3, 3)))
    True
    """

    start: tuple[int, ...]
    size: tuple[int, ...]
    cls: int | None = None
    score: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", _integers("start", self.start, 0))
        object.__setattr__(self, "size", _integers("size", self.size, 1))
        if len(self.start) != len(self.size):
            raise ValueError(
                f"size is {self.size}; it must have as many axes as start, {self.start}"
            )

    @property
    def stop(self) -> tuple[int, ...]:
        """First pixel after the region, per axis."""
        return tuple(a + n for a, n in zip(self.start, self.size, strict=True))

    @property
    def slices(self) -> tuple[slice, ...]:
        """Index of the region's pixels in an array of the image."""
        return tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))

    def overlaps(self, other: Region) -> bool:
        """Whether the two boxes share a pixel."""
        return all(
            a < d and c < b
            for a, b, c, d in zip(self.start, self.stop, other.start, other.stop, strict=True)
        )
