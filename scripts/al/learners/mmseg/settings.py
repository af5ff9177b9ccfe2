"""The configuration section ``mmseg``; nothing here imports mmsegmentation."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from ..settings import (
    Count,
    Device,
    LearnerSettings,
    Many,
    Positive,
    Share,
    Side,
    Text,
    Workers,
    setting,
)

SCRATCH = "scratch"
# How images are predicted; part of the training only where it is validated.
PREDICTION = ("inference", "window", "stride", "size_divisor")


class MmsegSettings(LearnerSettings):
    """Settings of ``mmseg``; ``None`` stands for what the configuration of mmsegmentation says."""

    learner: ClassVar[str] = "mmseg"
    tasks: ClassVar[frozenset[str]] = frozenset({"2d"})
    has_features: ClassVar[bool] = True

    config: Text = setting(
        "upernet_internimage_t",
        "A configuration of mmsegmentation: a file .py, a name in config/mmseg, or that of one "
        "that the package brings (without .py).",
    )
    options: dict[str, Any] = setting(
        {}, "Changes to it, by dotted key: {optim_wrapper.optimizer.lr: 1e-4}."
    )
    # Its bytes decide a training, not its place.
    pretrained: str | None = setting(
        None,
        "File of weights that the first cycle starts from, of the backbone or the whole network, "
        "or `scratch`. Nothing is ever downloaded: a configuration that names weights needs this "
        "choice.",
        "nothing",
    )
    start: Literal["pretrained", "previous"] = setting(
        "pretrained",
        "Weights a cycle's training starts from: `pretrained` (or scratch, as above), or those of "
        "the cycle before.",
    )
    crop: tuple[Side, Side] | None = setting(
        None, "Height and width of a training crop; it holds a revealed pixel."
    )
    pad: bool = setting(
        False, "Images smaller than the crop are filled up (ignored by the loss), not refused."
    )
    batch: Many | None = setting(None, "Crops per step.")
    accumulate: Many = setting(
        1, "A batch is run in so many parts, for devices with little memory."
    )
    learning_rate: Positive | None = setting(None, "Of the optimiser, before its schedule.")
    scales: tuple[Positive, Positive] | None = setting(
        None,
        "An image is resized by a factor drawn from this range, relative to itself, before it is "
        "cropped; null: the range of the configuration's RandomResize.",
    )
    balanced_crops: Share = setting(
        0.0,
        "Share of the crops that hold a pixel of a class drawn uniformly among those revealed in "
        "the image; the others any revealed pixel.",
    )
    validation: Literal["none", "clean", "paper"] = setting(
        "none",
        "What stops a training early: `none`, `clean` (a share of the revealed regions, held out; "
        "the best weights are kept) or `paper` (the scored images, as published; the last weights "
        "are kept, so that no checkpoint is chosen by them).",
    )
    validate_every: Count = setting(1000, "Steps between two validations.")
    patience: Count = setting(
        5, "A training ends when the score has not improved for so many validations."
    )
    held_out: float = setting(
        0.2,
        "Share of the revealed regions that `clean` holds out; a region is on the same side in "
        "every cycle.",
        gt=0,
        lt=1,
    )
    inference: Literal["whole", "slide"] | None = setting(
        None, "Whole image or `slide` (windows).", "prediction"
    )
    window: tuple[Side, Side] | None = setting(
        None, "Height and width of the windows of `slide`, pixels.", "prediction"
    )
    stride: tuple[Side, Side] | None = setting(
        None, "Distance of the windows of `slide`, pixels.", "prediction"
    )
    size_divisor: Many | None = setting(
        None, "Images are filled up to multiples of it for prediction.", "prediction"
    )
    amp: bool = setting(True, "A GPU trains in bfloat16; it predicts in float32 all the same.")
    checkpoint_every: Count = setting(500, "Steps between resume checkpoints.", "nothing")
    device: Device = setting("auto", "`auto` takes CUDA where there is one.", "nothing")
    workers: Workers | None = setting(
        None,
        "Processes that read and augment; null: with a GPU one per CPU of the job up to 8, "
        "otherwise none.",
        "nothing",
    )

    def is_checked(self) -> bool:
        """Always."""
        return True

    def check(self, task: str | None, classes: int | None) -> None:
        """Refuse values that do not fit each other. Raises ConfigError."""
        if self.scales is not None and self.scales[0] > self.scales[1]:
            self.refuse("scales", "[low, high], above 0")
        if self.inference != "slide" and (self.window or self.stride):
            self.refuse("inference", "slide, where window or stride are given")
        pairs = zip(self.stride or (), self.window or ())  # noqa: B905 - one may be left out
        if any(step > size for step, size in pairs):
            self.refuse("stride", f"at most the window, {self.window}")
        if self.batch is not None and self.batch % self.accumulate:
            self.refuse("accumulate", f"a divisor of batch {self.batch}")

    def early_stopping(self) -> tuple[str, float]:
        """Return what stops trainings early, and the share of the regions held out for it."""
        return self.validation, self.held_out

    def science(self) -> dict[str, Any]:
        """Return what decides the trained weights, for the key of a training."""
        found = super().science()
        if self.validation != "none":
            found |= {key: getattr(self, key) for key in PREDICTION}
        return found
