"""The configuration section ``pixels``."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field

from al.io.errors import ConfigError

from ..settings import Count, EnsembleSettings, Few, Many, NotNegative, Text, setting

FORMAT = 1  # of the features: another one makes them anew
SCALES = {"2d": 5, "3d": 3, "roi": 4}
# RoIs are few, and their features many
DECAY, NOISE = {"2d": 0.1, "3d": 0.1, "roi": 1.0}, {"2d": 0.3, "3d": 0.3, "roi": 1.0}
BATCH = {"2d": 1024, "3d": 1024, "roi": 128}
Factor = Annotated[int, Field(ge=1, le=64)]


class PixelsSettings(EnsembleSettings):
    """Settings of ``pixels``; ``None`` stands for the task's default, which ``of`` fills in."""

    learner: ClassVar[str] = "pixels"
    tasks: ClassVar[frozenset[str]] = frozenset({"2d", "3d", "roi"})
    has_features: ClassVar[bool] = True
    prepares: ClassVar[bool] = True
    prepares_on_file_grid: ClassVar[bool] = False
    prepares_each_image: ClassVar[bool] = True

    scales: Annotated[int, Field(ge=1, le=8)] | None = setting(
        None,
        "Number of scales of the features: Gaussians of 1, 2, 4, ... pixels (voxels).",
        "preparation",
    )
    position: bool = setting(
        False,
        "One more feature per axis that says where a pixel lies in its image.",
        "preparation",
    )
    reduce: Factor | tuple[Factor, ...] | None = setting(
        None,
        "Features are made of images reduced by this factor, one number or one per axis, and "
        "predictions brought back to the size of the image; null: by `cells`.",
        "preparation",
    )
    cells: Annotated[int, Field(ge=1000, le=100_000_000)] = setting(
        600_000,
        "Images of more pixels (voxels) are reduced, by the least whole factor that will do.",
        "preparation",
    )
    clip: tuple[float, float] | None = setting(
        None,
        "Intensities of a volume are clipped to these two; null: z-score only.",
        "preparation",
    )
    encoder: Text | None = setting(
        None,
        "Name of a vision transformer of timm whose frozen patch features are appended, such as "
        "vit_small_patch14_dinov2; null: none.",
        "preparation",
    )
    weights: Text | None = setting(
        None, "File of the encoder's weights, .safetensors or of torch.", "preparation"
    )
    hidden: Annotated[tuple[Many, ...], Field(min_length=1)] = setting(
        (64, 32), "Widths of the hidden layers."
    )
    batch: Many | None = setting(None, "Pixels (voxels, RoIs) per step.")
    most_pixels: Count = setting(
        20_000, "Revealed pixels of an image that are learnt from, at most; drawn at random."
    )
    learning_rate: NotNegative = setting(1e-2, "Peak of the cosine that the rate follows.")
    weight_decay: NotNegative | None = setting(None, "Of AdamW.")
    noise: NotNegative | None = setting(
        None, "Deviation of the noise on features in training, in units of their own deviation."
    )
    class_weights: Literal["none", "balanced"] = setting(
        "none", "`balanced` weighs the loss by 1 / sqrt(frequency) among what is revealed."
    )
    start: Literal["scratch", "previous"] = setting(
        "scratch", "Weights of the first step: random (`scratch`) or of the cycle before."
    )
    checkpoint_every: Count = setting(1000, "Steps between resume checkpoints.", "nothing")
    workers: Few | None = setting(None, "Threads that prepare; null: those of the job.", "nothing")

    def is_checked(self) -> bool:
        """An encoder has a file of weights."""
        return self.encoder is not None

    @classmethod
    def made_by(cls) -> list[Any]:
        """Return what computes features: our own version, and a library's."""
        return [FORMAT, version("scikit-image")]

    def decides(self) -> dict[str, Any]:
        """Return all that decides features, as JSON can hold it.

        Raises:
            ConfigError: the encoder's weights cannot be read.
        """
        found = {**self.preparation(), "made_by": self.made_by()}
        if self.weights is None:
            return found
        try:
            digest = sha256(Path(self.weights).read_bytes()).hexdigest()
        except OSError as error:
            raise ConfigError(
                f"pixels.weights: {self.weights}: {error.strerror}; allowed: a file of weights"
            ) from None
        return {**found, "sha256": digest}

    def as_made(self, made: Mapping[str, Any]) -> Self:
        """Return the settings with which features were made, by what ``decides`` returned."""
        kept = {key: made[key] for key in self.that_decide("preparation")}
        return self.model_copy(
            update={key: tuple(v) if isinstance(v, list) else v for key, v in kept.items()}
        )

    def for_task(self, task: str | None) -> Self:
        """Fill in the defaults of a task."""
        if task is None:
            return self
        defaults = {"scales": SCALES, "weight_decay": DECAY, "noise": NOISE, "batch": BATCH}
        missing = {k: v[task] for k, v in defaults.items() if getattr(self, k) is None}
        return self.model_copy(update=missing)

    def check(self, task: str | None, classes: int | None) -> None:
        """Refuse what does not fit the task. Raises ConfigError."""
        if self.clip is not None and self.clip[0] >= self.clip[1]:
            self.refuse("clip", "[low, high], low below high")
        if (self.encoder is None) != (self.weights is None):
            self.refuse("weights", "a file where `encoder` is set, else null")
        if self.encoder is not None and ":" in self.encoder:  # timm would look for it on the net
            self.refuse("encoder", "the name of a network of timm alone")
        if task is None:
            return
        dim = 3 if task == "3d" else 2
        if isinstance(self.reduce, tuple) and len(self.reduce) != dim:
            self.refuse("reduce", f"one whole number, or {dim}, for task {task}")
        if task == "roi" and self.position:
            self.refuse("position", "false for RoIs")


def factors_of(shape: Sequence[int], settings: PixelsSettings) -> tuple[int, ...]:
    """Return by what an image of a spatial shape is reduced along each axis."""
    if isinstance(settings.reduce, tuple):
        return settings.reduce
    factor = settings.reduce or 1
    while settings.reduce is None and math.prod(-(-n // factor) for n in shape) > settings.cells:
        factor += 1
    return (factor,) * len(shape)


def cells_of(shape: Sequence[int], settings: PixelsSettings) -> tuple[int, ...]:
    """Return the spatial shape of the features of an image, that of the image reduced."""
    factors = factors_of(shape, settings)
    return tuple(-(-n // f) for n, f in zip(shape, factors, strict=True))
