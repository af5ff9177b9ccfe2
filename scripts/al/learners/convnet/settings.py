"""The configuration section ``convnet``: defaults, checks, what belongs to the science of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from al.io.errors import ConfigError, nearest

from ..nested import check_nested, check_sets, measures

CROP = {2: (96, 96), 3: (32, 32, 32)}
TILE = {2: (1024, 2048), 3: (160, 160, 160)}
BATCH = {"2d": 8, "3d": 2, "roi": 64}
FLIPS: dict[str, tuple[int, ...]] = {"2d": (1,), "3d": (), "roi": (0, 1)}
CHOICES = {
    "device": ("auto", "cpu", "cuda"),
    "start": ("scratch", "previous"),
    "class_weights": ("none", "balanced"),
    "member_labels": ("all", "folds"),
}
FRACTIONS = ("ema", "overlap", "balanced_crops", "warmup", "noise", "contrast")
# Where and how fast something runs, or how the finished model is used: not part of the training.
MACHINE = ("checkpoint_every", "threads", "cache_mb", "tile", "overlap")
# May be changed in the middle of a run.
RUNTIME = ("checkpoint_every", "threads", "cache_mb")
# Left out of the key where they change nothing, so that it is the key of a single plain network.
ENSEMBLE = ("members", "member_labels")
NESTED = ("nested", "nested_order")


@dataclass(frozen=True)
class ConvnetSettings:
    """Settings of ``convnet``; ``None`` stands for the task's default.

    Attributes:
        width: channels of the finest level; they double from level to level.
        depth: number of levels.
        stem: stride of the first convolution, one number or one per axis.
        position: images and volumes get one more channel per axis that says where a pixel lies.
        crop: size of a training crop in pixels (voxels) per axis.
        batch: crops (RoIs) per step.
        learning_rate: peak of the cosine; ``warmup`` is the share of steps that lead up to it.
        weight_decay: of AdamW.
        ema: decay of the averaged weights that predict; lower during the first steps.
        balanced_crops: share of the crops centred on a pixel of a class drawn uniformly among
            the revealed ones; the others are centred on any revealed pixel.
        class_weights: ``balanced`` weighs the loss by 1 / sqrt(frequency) among what is revealed.
        start: weights of the first step: random (``scratch``) or of the cycle before.
        members: networks of an ensemble; their probabilities are averaged.
        member_labels: what a member learns from: ``all``, so that members differ by their seed, or
            ``folds``: member i leaves out fold i of the annotated images.
        nested: hierarchical classes: per sigmoid output the classes it stands for, such as
            ``[[1, 2, 3], [2, 3], [2]]``; ``None``: one softmax over the classes.
        nested_order: class that each output writes over those before it where it is above 0.5;
            what none claims is class 0.
        augment: flips along ``flips`` (axes), brightness and contrast, noise.
        rotate: quarter turns in the last two axes (RoIs).
        clip: intensities of a volume are clipped to these two; ``None``: z-score only.
        input_size: RoIs are resized to it; ``None``: all have one size already.
        checkpoint_every: steps between resume checkpoints.
        tile: larger images are predicted in tiles that share ``overlap`` of their length.
        device: ``auto`` takes CUDA where there is one.
        threads: of the CPU; more than 1 may change the last bits of a training.
        cache_mb: memory for decoded images.
    """

    width: int = 16
    depth: int = 4
    stem: int | tuple[int, ...] = 2
    position: bool = False
    crop: tuple[int, ...] | None = None
    batch: int | None = None
    learning_rate: float = 3e-3
    warmup: float = 0.1
    weight_decay: float = 1e-2
    ema: float = 0.98
    balanced_crops: float = 0.5
    class_weights: str = "none"
    start: str = "scratch"
    members: int = 1
    member_labels: str = "all"
    nested: tuple[tuple[int, ...], ...] | None = None
    nested_order: tuple[int, ...] | None = None
    augment: bool = True
    flips: tuple[int, ...] | None = None
    rotate: bool | None = None
    contrast: float = 0.2
    noise: float = 0.02
    clip: tuple[float, float] | None = None
    input_size: tuple[int, int] | None = None
    checkpoint_every: int = 100
    tile: tuple[int, ...] | None = None
    overlap: float = 0.25
    device: str = "auto"
    threads: int = 1
    cache_mb: int = 4096

    @classmethod
    def of(cls, section: Mapping[str, Any], task: str) -> ConvnetSettings:
        """Read, complete and check the configuration section for a task (``2d``, ``3d``, ``roi``).

        Raises:
            ConfigError: naming the key, its value and what is allowed.
        """
        known = [f.name for f in fields(cls)]
        for key in section:
            if key not in known:
                raise ConfigError(f"convnet.{key}: unknown key; {nearest(key, known)}")
        if task not in BATCH:
            raise ConfigError(f"convnet: task {task!r}; allowed: {', '.join(BATCH)}")
        dim = 3 if task == "3d" else 2
        values = {k: _tuples(v) for k, v in section.items()}
        defaults = {
            "crop": CROP[dim],
            "tile": TILE[dim],
            "batch": BATCH[task],
            "flips": FLIPS[task],
            "rotate": task == "roi",
        }
        for key, value in defaults.items():
            if values.get(key) is None:
                values[key] = value
        if isinstance(values.setdefault("stem", cls.stem), int):
            values["stem"] = (values["stem"],) * dim
        settings = cls(**values)
        _check(settings, task, dim)
        return settings

    def science(self) -> dict[str, Any]:
        """Return what decides the trained weights, for the key of a training."""
        left_out = MACHINE + (ENSEMBLE if self.members == 1 else ())
        left_out += NESTED if self.nested is None else ()
        return {k: v for k, v in asdict(self).items() if k not in left_out}


def check(section: Mapping[str, Any], task: str, classes: int | None = None) -> None:
    """Refuse a section that cannot be used, with that number of classes if it is known.

    Raises:
        ConfigError: see ``ConvnetSettings.of`` and ``nested.check_nested``.
    """
    settings = ConvnetSettings.of(section, task)
    if classes is not None:
        check_nested("convnet", settings.nested, settings.nested_order, classes)


def members(section: Mapping[str, Any]) -> int:
    """Return the number of networks that a section asks for. Raises ConfigError."""
    found = section.get("members", ConvnetSettings.members)
    _check_sizes("members", (found,), 1)
    return found


def uncertainties(section: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the uncertainty measures of models trained with a section."""
    return measures(members(section), section.get("nested") is not None)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _refuse(key: str, value: Any, allowed: str) -> None:
    raise ConfigError(f"convnet.{key}: {value!r}; allowed: {allowed}")


def _check(settings: ConvnetSettings, task: str, dim: int) -> None:
    for key, allowed in CHOICES.items():
        if getattr(settings, key) not in allowed:
            _refuse(key, getattr(settings, key), ", ".join(allowed))
    for key in FRACTIONS:
        value = getattr(settings, key)
        if not _is_number(value) or not 0 <= value < (1 if key in ("ema", "overlap") else 1.001):
            _refuse(key, value, "0 to 1")
    for key in ("width", "depth", "batch", "members", "checkpoint_every", "threads", "cache_mb"):
        _check_sizes(key, (getattr(settings, key),), 1)
    for key in ("learning_rate", "weight_decay"):
        value = getattr(settings, key)
        if not _is_number(value) or value < 0:
            _refuse(key, value, "a number from 0")
    for key in ("augment", "rotate", "position"):
        if not isinstance(getattr(settings, key), bool):
            _refuse(key, getattr(settings, key), "true, false")
    _check_sizes("crop", settings.crop, dim, lowest=8)
    _check_sizes("tile", settings.tile, dim, lowest=16)
    _check_sizes("stem", settings.stem, dim)
    if settings.input_size is not None:
        _check_sizes("input_size", settings.input_size, 2, lowest=8)
    if task == "roi" and settings.position:
        _refuse("position", True, "false for RoIs")
    if any(a not in range(dim) for a in settings.flips or ()):
        _refuse("flips", settings.flips, f"axes 0 to {dim - 1}")
    _check_clip(settings.clip)
    if task == "roi" and settings.nested is not None:
        _refuse("nested", settings.nested, "null for RoIs")
    check_sets("convnet", settings.nested, settings.nested_order)


def _check_clip(clip: Any) -> None:
    if clip is not None and not (
        isinstance(clip, tuple) and len(clip) == 2 and all(map(_is_number, clip))
    ):
        _refuse("clip", clip, "[low, high]")
    if clip is not None and clip[0] >= clip[1]:
        _refuse("clip", clip, "low below high")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_sizes(key: str, value: Any, count: int, lowest: int = 1) -> None:
    whole = isinstance(value, Sequence) and all(
        isinstance(v, int) and not isinstance(v, bool) and v >= lowest for v in value
    )
    if not whole or len(value) != count:
        shown = value[0] if count == 1 and isinstance(value, tuple) else value
        _refuse(key, shown, f"{count} whole number{'s' if count > 1 else ''} from {lowest}")
