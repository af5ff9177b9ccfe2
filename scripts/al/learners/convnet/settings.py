"""The configuration section ``convnet``."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field

from ..nested import NestedSettings
from ..settings import Count, Device, Few, Many, NotNegative, Share, Side, setting

CROP = {2: (96, 96), 3: (32, 32, 32)}
TILE = {2: (1024, 2048), 3: (160, 160, 160)}
BATCH = {"2d": 8, "3d": 2, "roi": 64}
FLIPS: dict[str, tuple[int, ...]] = {"2d": (1,), "3d": (), "roi": (0, 1)}
BelowOne = Annotated[float, Field(ge=0, lt=1)]


class ConvnetSettings(NestedSettings):
    """Settings of ``convnet``; ``None`` stands for the task's default, which ``of`` fills in."""

    learner: ClassVar[str] = "convnet"
    tasks: ClassVar[frozenset[str]] = frozenset({"2d", "3d", "roi"})
    has_features: ClassVar[bool] = True

    width: Many = setting(16, "Channels of the finest level; they double from level to level.")
    depth: Annotated[int, Field(ge=1, le=12)] = setting(4, "Number of levels.")
    stem: Few | tuple[Few, ...] = setting(
        2, "Stride of the first convolution, one number or one per axis."
    )
    position: bool = setting(
        False, "Images and volumes get one more channel per axis that says where a pixel lies."
    )
    crop: tuple[Side, ...] | None = setting(
        None, "Size of a training crop in pixels (voxels) per axis."
    )
    batch: Many | None = setting(None, "Crops (RoIs) per step.")
    learning_rate: NotNegative = setting(3e-3, "Peak of the cosine that the rate follows.")
    warmup: Share = setting(0.1, "Share of the steps that lead up to the peak.")
    weight_decay: NotNegative = setting(1e-2, "Of AdamW.")
    ema: BelowOne = setting(
        0.98, "Decay of the averaged weights that predict; lower during the first steps."
    )
    balanced_crops: Share = setting(
        0.5,
        "Share of the crops centred on a pixel of a class drawn uniformly among the revealed ones; "
        "the others are centred on any revealed pixel.",
    )
    class_weights: Literal["none", "balanced"] = setting(
        "none", "`balanced` weighs the loss by 1 / sqrt(frequency) among what is revealed."
    )
    start: Literal["scratch", "previous"] = setting(
        "scratch", "Weights of the first step: random (`scratch`) or of the cycle before."
    )
    augment: bool = setting(
        True, "Flips along `flips`, brightness and contrast (`contrast`), noise (`noise`)."
    )
    flips: tuple[int, ...] | None = setting(None, "Axes that are flipped.")
    rotate: bool | None = setting(None, "Quarter turns in the last two axes.")
    contrast: Share = setting(0.2, "Largest change of contrast and brightness.")
    noise: Share = setting(0.02, "Standard deviation of the noise that is added.")
    clip: tuple[float, float] | None = setting(
        None, "Intensities of a volume are clipped to these two; null: z-score only."
    )
    input_size: tuple[Side, Side] | None = setting(
        None, "Height and width that RoIs are resized to; null: all have one size already."
    )
    checkpoint_every: Count = setting(100, "Steps between resume checkpoints.", "nothing")
    tile: tuple[Annotated[int, Field(ge=16, le=20_000)], ...] | None = setting(
        None, "Larger images are predicted in tiles of this size.", "prediction"
    )
    overlap: BelowOne = setting(0.25, "Share of their length that tiles share.", "prediction")
    device: Device = setting("auto", "`auto` takes CUDA where there is one.")
    cache_mb: Count = setting(4096, "Memory for decoded images, MB.", "nothing")

    def for_task(self, task: str | None) -> Self:
        """Fill in the defaults of a task."""
        if task is None:
            return self
        dim = 3 if task == "3d" else 2
        defaults: dict[str, Any] = {
            "crop": CROP[dim], "tile": TILE[dim], "batch": BATCH[task], "flips": FLIPS[task],
            "rotate": task == "roi",
        }  # fmt: skip
        missing = {key: v for key, v in defaults.items() if getattr(self, key) is None}
        if isinstance(self.stem, int):
            missing["stem"] = (self.stem,) * dim
        return self.model_copy(update=missing)

    def check(self, task: str | None, classes: int | None) -> None:
        """Refuse what does not fit the task. Raises ConfigError."""
        if self.clip is not None and self.clip[0] >= self.clip[1]:
            self.refuse("clip", "[low, high], low below high")
        if task is not None:
            dim = 3 if task == "3d" else 2
            for key in ("crop", "tile", "stem"):
                if len(getattr(self, key)) != dim:
                    self.refuse(key, f"{dim} whole numbers, for task {task}")
            if not set(self.flips or ()) <= set(range(dim)):
                self.refuse("flips", f"axes 0 to {dim - 1}")
        if task == "roi" and self.position:
            self.refuse("position", "false for RoIs")
        if task == "roi" and self.nested is not None:
            self.refuse("nested", "null for RoIs")
        super().check(task, classes)
