"""What one person annotates at a time, and what a store keeps of it."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, field_validator

from al.io.labels import UNKNOWN
from al.io.shapes import mask_of
from al.io.tables import PoolRow, RegionRow
from decomp_core import Region

DONE, SKIPPED, OPEN = "done", "skipped", "open"
WINDOWS = ("window", "slice_window")
VOID = 254  # of drafts alone: "cannot tell", where 255 is not painted; an event has 255 for both


@dataclass(frozen=True)
class Target:
    """A region that people annotate.

    Attributes:
        region: as a cycle chose it.
        row: its image, or its RoI.
        footprint: shape of windows in the run.
        sha256: of the file of its image, if it is known: what was said of another file of that
            name does not count.
    """

    region: RegionRow
    row: PoolRow
    footprint: str = "square"
    sha256: str = ""

    @property
    def shape(self) -> tuple[int, ...]:
        """Size of its box in array axes; empty for a RoI."""
        return () if self.row.roi else tuple(self.region.region.size)

    @property
    def form(self) -> str:
        """What fills its box: patches are always annotated whole."""
        return self.footprint if self.region.kind in WINDOWS else "square"

    @cached_property
    def key(self) -> str:
        """What makes it the same region in any run on the dataset."""
        held = self.region
        if self.row.roi:
            return json.dumps([held.image, held.roi])
        return json.dumps([held.image, held.region.start, held.region.size, self.form])

    def concerns(self, event: Event) -> bool:
        """Whether an event is of this image, on this grid, and not of another of its name."""
        same = not (self.sha256 and event.sha256) or event.sha256 == self.sha256
        return same and event.shape == tuple(self.row.shape)

    def mask(self) -> np.ndarray | None:
        """Return the pixels of its box that are annotated, bool; ``None``: all of them."""
        return None if self.row.roi else mask_of(self.shape, self.row.axis, self.form)


def pack(pixels: np.ndarray) -> str:
    """Return uint8 labels as text: base64 of a zlib stream of their bytes in C order."""
    return base64.b64encode(zlib.compress(np.ascontiguousarray(pixels).tobytes(), 6)).decode()


@lru_cache(maxsize=16)  # what regions that overlap ask for; all of a log does not fit into memory
def unpack(text: str, shape: tuple[int, ...]) -> np.ndarray:
    """Return what ``pack`` was given, read-only uint8; raises ValueError if of another size."""
    size = int(np.prod(shape))
    try:
        data = zlib.decompressobj().decompress(base64.b64decode(text, validate=True), size + 1)
    except zlib.error as error:
        raise ValueError(f"pixels cannot be read: {error}") from None
    if len(data) != size:
        raise ValueError(f"{len(data)} pixels or more, expected {size}")
    return np.frombuffer(data, np.uint8).reshape(shape)


class Work(BaseModel):
    """How a region was annotated.

    Attributes:
        annotator: who.
        run, cycle: for which run's cycle.
        sha256: of the image's file.
        opened: when it was first opened (ISO, UTC).
        seconds: that the annotator was at work.
        tools: how often each was used.
        shown: whether the model's proposal was shown.
        changed: pixels that differ from it at the end; ``None`` where it was not.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    annotator: str = Field(min_length=1, max_length=60)
    run: str = ""
    cycle: int = Field(0, ge=0)
    sha256: str = ""
    opened: str = ""
    seconds: float = Field(0.0, ge=0, allow_inf_nan=False)
    tools: dict[str, int] = Field(default_factory=dict)
    shown: bool = False
    changed: int | None = Field(None, ge=0)


class Event(Work):
    """One entry of the log of a store.

    Attributes:
        number: its place in the log, from 1; the name of its file.
        time: when it was written (ISO, UTC).
        action: ``done`` or ``skipped``.
        image, roi: what was annotated; ``roi`` is empty for segmentation.
        start, size: of the region in array axes; empty for a RoI.
        shape: of the image on the annotator's grid, in array axes.
        form: what fills that box: ``square``, ``disc`` or ``annulus``.
        axis: slice axis of a volume.
        reason: why it was skipped.
        label: class of a RoI.
        pixels: labels of the box, as of ``pack``; 255 is void.
    """

    number: int = Field(0, ge=0, exclude=True)
    time: str
    action: Literal["done", "skipped"]
    image: str
    roi: str = ""
    start: tuple[int, ...] = Field((), strict=False)
    size: tuple[int, ...] = Field((), strict=False)
    shape: tuple[int, ...] = Field((), strict=False)
    form: Literal["square", "disc", "annulus"] = "square"
    axis: int | None = None
    reason: str = ""
    label: int | None = Field(None, ge=0, le=253)
    pixels: str | None = None

    @field_validator("start", "size", "shape", mode="before")
    @classmethod
    def _whole(cls, value: Any) -> Any:
        if any(type(v) is not int or v < 0 for v in value):
            raise ValueError(f"{value!r} in place of whole numbers from 0")
        return value

    @property
    def key(self) -> str:
        """As of ``Target``."""
        if self.roi:
            return json.dumps([self.image, self.roi])
        return json.dumps([self.image, self.start, self.size, self.form])

    @property
    def region(self) -> Region:
        """Its box; not defined for a RoI."""
        return Region(self.start, self.size)

    @property
    def labels(self) -> np.ndarray:
        """Labels of the box, uint8; raises ValueError where they do not fill it."""
        return unpack(self.pixels or "", self.size)

    def mask(self) -> np.ndarray:
        """Return the pixels of the box that were annotated, bool."""
        mask = mask_of(self.size, self.axis, self.form)
        return np.ones(self.size, bool) if mask is None else mask


def checked_pixels(
    pixels: np.ndarray, target: Target, classes: int, draft: bool = False
) -> np.ndarray:
    """Return labels of a target's box, 255 outside its mask.

    Raises:
        ValueError: another shape or dtype, or a value that is neither a class nor 255, nor
            ``VOID`` in a ``draft``.
    """
    if pixels.dtype != np.uint8 or pixels.shape != target.shape:
        raise ValueError(f"pixels: {pixels.dtype} {pixels.shape}; allowed: uint8 {target.shape}")
    mask = target.mask()
    kept = pixels if mask is None else np.where(mask, pixels, np.uint8(UNKNOWN))
    wrong = kept[(kept >= classes) & (kept != UNKNOWN) & ~(draft & (kept == VOID))]
    if wrong.size:
        raise ValueError(f"pixels: class {wrong[0]}; allowed: 0 to {classes - 1}, {UNKNOWN}")
    return kept
