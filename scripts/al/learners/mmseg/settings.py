"""The configuration section ``mmseg``: defaults and checks; nothing here imports mmsegmentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from al.io.errors import ConfigError, nearest
from al.io.tables import PoolRow

from ..base import UNCERTAINTIES, VALIDATIONS, ImageSource

SCRATCH = "scratch"
CHOICES = {
    "device": ("auto", "cpu", "cuda"),
    "start": ("pretrained", "previous"),
    "validation": VALIDATIONS,
    "inference": (None, "whole", "slide"),
}
POSITIVE = ("accumulate", "validate_every", "patience", "checkpoint_every", "threads")
# Where and how fast something runs, or how the finished model is used: not part of the training.
MACHINE = ("checkpoint_every", "threads", "workers", "device")
# May be changed in the middle of a run. Of the weights, what the file holds is compared.
RUNTIME = (*MACHINE, "pretrained")
# How images are predicted; part of the training only where it is validated.
PREDICTION = ("inference", "window", "stride", "size_divisor")


@dataclass(frozen=True)
class MmsegSettings:
    """Settings of ``mmseg``; ``None`` stands for what the configuration of mmsegmentation says.

    Attributes:
        config: a configuration of mmsegmentation: a file ``.py``, a name in ``config/mmseg``, or
            the name of one that the package brings (without ``.py``).
        options: changes to it, by dotted key: ``{optim_wrapper.optimizer.lr: 1e-4}``.
        pretrained: file of weights that the first cycle starts from, of the backbone or of the
            whole network, or ``scratch``. Nothing is ever downloaded: a configuration that names
            weights needs this choice.
        start: weights a cycle's training starts from: ``pretrained`` (or scratch, as above), or
            those of the cycle before.
        crop: height, width of a training crop; it holds a revealed pixel.
        pad: images smaller than the crop are filled up (ignored by the loss) instead of refused.
        batch: crops per step.
        accumulate: a batch is run in so many parts, for devices with little memory.
        learning_rate: of the optimiser, before its schedule.
        scales: an image is resized by a factor drawn from this range before it is cropped;
            ``None``: the range of the configuration's ``RandomResize``. Relative to the image.
        balanced_crops: share of the crops that hold a pixel of a class drawn uniformly among
            those revealed in the image; the others any revealed pixel.
        validation: what stops a training early: ``none``, ``clean`` (a share of the revealed
            regions, held out; the best weights are kept) or ``paper`` (the scored images, as
            published; the last weights are kept, so that no checkpoint is chosen by them).
        validate_every: steps between two validations.
        patience: a training ends when the score has not improved for so many validations.
        held_out: share of the revealed regions that ``clean`` holds out; a region is on the same
            side in every cycle.
        inference: ``whole`` image or ``slide`` (windows).
        window, stride: of ``slide``, height and width in pixels.
        size_divisor: images are filled up to multiples of it for prediction.
        amp: a GPU trains in bfloat16; it predicts in float32 all the same.
        checkpoint_every: steps between resume checkpoints.
        device: ``auto`` takes CUDA where there is one.
        threads: of the CPU; more than 1 may change the last bits of a training.
        workers: processes that read and augment; ``None``: with a GPU one per CPU of the job up
            to 8, otherwise none.
    """

    config: str = "upernet_internimage_t"
    options: Mapping[str, Any] = field(default_factory=dict)
    pretrained: str | None = None
    start: str = "pretrained"
    crop: tuple[int, int] | None = None
    pad: bool = False
    batch: int | None = None
    accumulate: int = 1
    learning_rate: float | None = None
    scales: tuple[float, float] | None = None
    balanced_crops: float = 0.0
    validation: str = "none"
    validate_every: int = 1000
    patience: int = 5
    held_out: float = 0.2
    inference: str | None = None
    window: tuple[int, int] | None = None
    stride: tuple[int, int] | None = None
    size_divisor: int | None = None
    amp: bool = True
    checkpoint_every: int = 500
    device: str = "auto"
    threads: int = 1
    workers: int | None = None

    @classmethod
    def of(cls, section: Mapping[str, Any]) -> MmsegSettings:
        """Read and check the configuration section.

        Raises:
            ConfigError: naming the key, its value and what is allowed.
        """
        known = [f.name for f in fields(cls)]
        for key in section:
            if key not in known:
                raise ConfigError(f"mmseg.{key}: unknown key; {nearest(key, known)}")
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in section.items()}
        settings = cls(**values)
        _check(settings)
        return settings

    def science(self) -> dict[str, Any]:
        """Return what decides the trained weights, for the key of a training."""
        left_out = MACHINE + (PREDICTION if self.validation == "none" else ())
        left_out += ("pretrained",)  # its bytes count, not its place
        return {k: v for k, v in asdict(self).items() if k not in left_out}


def check(section: Mapping[str, Any], task: str, classes: int | None = None) -> None:
    """Refuse a section that cannot be used. Raises ConfigError; see ``MmsegSettings.of``."""
    MmsegSettings.of(section)


def check_start(
    section: Mapping[str, Any],
    classes: Sequence[str],
    rows: Sequence[PoolRow],
    here: bool,
    layout: ImageSource,
    prepared: Path | None,
) -> None:
    """Refuse what would fail in the first training; see ``learners.Description.check_start``."""
    try:
        from .preflight import check_all
    except ImportError as error:
        raise ConfigError(
            f"learner mmseg: {error}; install it with: make venv EXTRAS=workflow,slurm,mmseg,dev"
        ) from None
    check_all(MmsegSettings.of(section), classes, rows, here)


def identity(
    section: Mapping[str, Any],
    classes: Sequence[str],
    rows: Sequence[PoolRow],
    layout: ImageSource,
) -> dict[str, Any]:
    """Return the resolved configuration and a hash of the first weights."""
    from .preflight import identify

    return identify(MmsegSettings.of(section), classes)


def members(section: Mapping[str, Any]) -> int:
    """Return 1: there are no ensembles."""
    return 1


def uncertainties(section: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the uncertainty measures of one network with a softmax."""
    return tuple(u for u in UNCERTAINTIES if u != "mutual_information")


def validation(section: Mapping[str, Any]) -> tuple[str, float]:
    """Return what stops trainings early, and the share of the revealed regions held out for it."""
    settings = MmsegSettings.of(section)
    return settings.validation, settings.held_out


def _refuse(key: str, value: Any, allowed: str) -> None:
    raise ConfigError(f"mmseg.{key}: {value!r}; allowed: {allowed}")


def _whole(value: Any, lowest: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= lowest


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check(settings: MmsegSettings) -> None:
    for key, allowed in CHOICES.items():
        if getattr(settings, key) not in allowed:
            _refuse(key, getattr(settings, key), ", ".join(str(a or "null") for a in allowed))
    for key in POSITIVE:
        if not _whole(getattr(settings, key)):
            _refuse(key, getattr(settings, key), "a whole number from 1")
    for key, lowest in (("batch", 1), ("size_divisor", 1), ("workers", 0)):
        value = getattr(settings, key)
        if value is not None and not _whole(value, lowest):
            _refuse(key, value, f"a whole number from {lowest}, or null")
    for key in ("crop", "window", "stride"):
        value = getattr(settings, key)
        if value is not None and not (
            isinstance(value, tuple) and len(value) == 2 and all(_whole(v, 8) for v in value)
        ):
            _refuse(key, value, "two whole numbers from 8, height and width, or null")
    if not _number(settings.balanced_crops) or not 0 <= settings.balanced_crops <= 1:
        _refuse("balanced_crops", settings.balanced_crops, "0 to 1")
    if not _number(settings.held_out) or not 0 < settings.held_out < 1:
        _refuse("held_out", settings.held_out, "above 0 and below 1")
    rate = settings.learning_rate
    if rate is not None and not (_number(rate) and rate > 0):
        _refuse("learning_rate", rate, "a number above 0, or null")
    for key in ("amp", "pad"):
        if not isinstance(getattr(settings, key), bool):
            _refuse(key, getattr(settings, key), "true, false")
    _check_texts(settings)
    _check_slide(settings)
    if settings.batch is not None and settings.batch % settings.accumulate:
        _refuse("accumulate", settings.accumulate, f"a divisor of batch {settings.batch}")


def _check_texts(settings: MmsegSettings) -> None:
    if not isinstance(settings.config, str) or not settings.config:
        _refuse("config", settings.config, "a file or a name")
    if settings.pretrained is not None and not isinstance(settings.pretrained, str):
        _refuse("pretrained", settings.pretrained, f"a file, {SCRATCH}, or null")
    if not isinstance(settings.options, Mapping):
        _refuse("options", settings.options, "a mapping of dotted keys")
    scales = settings.scales
    if scales is not None and not (
        isinstance(scales, tuple)
        and len(scales) == 2
        and all(map(_number, scales))
        and 0 < scales[0] <= scales[1]
    ):
        _refuse("scales", scales, "[low, high], above 0")


def _check_slide(settings: MmsegSettings) -> None:
    if settings.inference != "slide" and (settings.window or settings.stride):
        _refuse("inference", settings.inference, "slide, where window or stride are given")
    if settings.window and settings.stride:
        for step, size in zip(settings.stride, settings.window, strict=True):
            if step > size:
                _refuse("stride", settings.stride, f"at most the window, {settings.window}")
