"""The configuration section ``nnunet``: defaults, checks, what belongs to the science of a run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from al.io.errors import ConfigError, nearest
from al.io.tables import PoolRow

from ..nested import check_nested, check_sets, measures

CONFIGURATIONS = ("2d", "3d_lowres", "3d_fullres")
PLANNERS = (
    "ExperimentPlanner", "nnUNetPlannerResEncM", "nnUNetPlannerResEncL", "nnUNetPlannerResEncXL",
)  # fmt: skip
LABELS = "labels"
FORMAT = 1  # of what is prepared; another number makes everything anew
CHOICES = {
    "configuration": CONFIGURATIONS,
    "planner": PLANNERS,
    "device": ("auto", "cpu", "cuda"),
    "start": ("scratch", "previous"),
    "member_labels": ("all", "folds"),
}
COUNTS = ("iterations", "members", "checkpoint_every", "threads")
# Decide what is made once per dataset: the plans and the preprocessed images.
PREPARATION = (
    "configuration", "planner", "gpu_memory", "modality", "foreground", "spacing", "patch",
    "batch", "features", "nested", "nested_order",
)  # fmt: skip
# Where and how fast something runs, or how the finished model is used: not part of the training.
MACHINE = ("checkpoint_every", "threads", "workers", "device", "mirror", "step_size")
# May be changed in the middle of a run.
RUNTIME = ("checkpoint_every", "threads", "workers")
# Left out of the key where they change nothing, so that it is the key of a single network.
ENSEMBLE = ("members", "member_labels")


@dataclass(frozen=True)
class NnunetSettings:
    """Settings of ``nnunet``.

    Attributes:
        configuration: of nnU-Net's plans: ``2d``, ``3d_lowres`` or ``3d_fullres``.
        planner: class of nnU-Net that plans, ``ExperimentPlanner`` or one of the residual encoders.
        gpu_memory: GB of a GPU that the plans are made for; ``None``: the planner's own, 8, or 24
            and 40 of the large residual encoders.
        modality: what nnU-Net calls the channel, of which its normalisation follows: ``CT``,
            ``noNorm``, ``rescale_to_0_1``; any other name and ``None`` stand for z-scores.
        foreground: voxels whose intensities the plans are made from: those within ``[low, high]``,
            ``labels`` (reads all ground truth: for controls alone), or ``None``, all that are not
            zero. Decides results with ``CT`` only, where it must be given.
        spacing: voxel size in mm that ``3d_fullres`` and ``2d`` resample to, along superior,
            anterior and right; ``None``: as nnU-Net plans it.
        patch: training patch of ``configuration``, in voxels; ``None``: as planned.
        batch: patches per step; ``None``: as planned.
        features: channels of the finest level; ``None``: as planned.
        iterations: steps per epoch; the learning rate falls from epoch to epoch.
        learning_rate: of the first epoch.
        weight_decay: of SGD with Nesterov momentum 0.99.
        oversample: share of each batch centred on a revealed voxel of a foreground class; the rest
            is centred on any revealed voxel.
        start: weights of the first step: random (``scratch``) or of the cycle before.
        members: networks of an ensemble; their probabilities are averaged.
        member_labels: what a member learns from: ``all``, so that members differ by their seed, or
            ``folds``: member i leaves out fold i of the annotated volumes.
        nested: hierarchical classes: per sigmoid output the classes it stands for, such as
            ``[[1, 2, 3], [2, 3], [2]]``; ``None``: one softmax over the classes.
        nested_order: class that each output writes over those before it where it is above 0.5;
            what none claims is class 0.
        mirror: predictions are averaged over all mirrorings.
        step_size: of prediction windows, in shares of the patch.
        checkpoint_every: steps between resume checkpoints.
        device: ``auto`` takes CUDA where there is one.
        threads: of the CPU; more than 1 may change the last bits of a training.
        workers: processes that augment; ``None``: with a GPU one per CPU of the job up to 12,
            otherwise none. Preprocessing takes as many threads; of ``None`` the 4 of its rule.
    """

    configuration: str = "3d_fullres"
    planner: str = "ExperimentPlanner"
    gpu_memory: float | None = None
    modality: str | None = None
    foreground: tuple[float, float] | str | None = None
    spacing: tuple[float, float, float] | None = None
    patch: tuple[int, ...] | None = None
    batch: int | None = None
    features: int | None = None
    iterations: int = 250
    learning_rate: float = 1e-2
    weight_decay: float = 3e-5
    oversample: float = 0.33
    start: str = "scratch"
    members: int = 1
    member_labels: str = "all"
    nested: tuple[tuple[int, ...], ...] | None = None
    nested_order: tuple[int, ...] | None = None
    mirror: bool = True
    step_size: float = 0.5
    checkpoint_every: int = 250
    device: str = "auto"
    threads: int = 1
    workers: int | None = None

    @classmethod
    def of(cls, section: Mapping[str, Any]) -> NnunetSettings:
        """Read and check the configuration section.

        Raises:
            ConfigError: naming the key, its value and what is allowed.
        """
        known = [f.name for f in fields(cls)]
        for key in section:
            if key not in known:
                raise ConfigError(f"nnunet.{key}: unknown key; {nearest(key, known)}")
        settings = cls(**{key: _tuples(value) for key, value in section.items()})
        _check(settings)
        return settings

    def science(self) -> dict[str, Any]:
        """Return what decides the trained weights beside the plans, for the key of a training."""
        left_out = MACHINE + PREPARATION + (ENSEMBLE if self.members == 1 else ())
        return {k: v for k, v in asdict(self).items() if k not in left_out}


def check(section: Mapping[str, Any], task: str, classes: int | None = None) -> None:
    """Refuse a section that cannot be used, with that number of classes if it is known.

    Raises:
        ConfigError: naming the key, its value and what is allowed.
    """
    settings = NnunetSettings.of(section)
    if classes is not None:
        check_nested("nnunet", settings.nested, settings.nested_order, classes)


def check_start(
    section: Mapping[str, Any],
    classes: Sequence[str],
    rows: Sequence[PoolRow],
    here: bool,
    layout: Any,
    prepared: Path | None,
) -> None:
    """Refuse what would fail in the first job; see ``learners.Description.check_start``."""
    try:
        from .preflight import check_all
    except ImportError as error:
        raise ConfigError(
            f"learner nnunet: {error}; install it with: make venv EXTRAS=workflow,slurm,nnunet,dev"
        ) from None
    check_all(NnunetSettings.of(section), classes, rows, here, layout, prepared)


def identity(
    section: Mapping[str, Any], classes: Sequence[str], rows: Sequence[PoolRow], layout: Any
) -> dict[str, Any]:
    """Return the version of nnU-Net and what it plans for the volumes of the pool."""
    from .preflight import identify

    return identify(NnunetSettings.of(section), classes, rows, layout)


def preparation(section: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides the plans and the preprocessed images, as JSON can hold it."""
    settings = asdict(NnunetSettings.of(section))
    return {key: settings[key] for key in PREPARATION}


def made_by() -> list[Any]:
    """Return what else decides what is prepared: the form of the files, nnU-Net's version."""
    try:
        return [FORMAT, version("nnunetv2")]
    except PackageNotFoundError:  # a plan is made elsewhere, or will be refused
        return [FORMAT, None]


def reads_labels(section: Mapping[str, Any]) -> str | None:
    """Return the setting that reads ground truth of the whole dataset, if one does."""
    return f"nnunet.foreground: {LABELS}" if section.get("foreground") == LABELS else None


def members(section: Mapping[str, Any]) -> int:
    """Return the number of networks that a section asks for. Raises ConfigError."""
    return NnunetSettings.of(section).members


def uncertainties(section: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the uncertainty measures of models trained with a section."""
    settings = NnunetSettings.of(section)
    return measures(settings.members, settings.nested is not None)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list | tuple) else value


def _refuse(key: str, value: Any, allowed: str) -> None:
    raise ConfigError(f"nnunet.{key}: {value!r}; allowed: {allowed}")


def _whole(value: Any, lowest: int = 1) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= lowest


def _number(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)


def _check(settings: NnunetSettings) -> None:
    for key, allowed in CHOICES.items():
        if getattr(settings, key) not in allowed:
            _refuse(key, getattr(settings, key), ", ".join(allowed))
    for key in COUNTS:
        if not _whole(getattr(settings, key)):
            _refuse(key, getattr(settings, key), "a whole number from 1")
    for key, lowest in (("batch", 1), ("features", 4), ("workers", 0)):
        value = getattr(settings, key)
        if value is not None and not _whole(value, lowest):
            _refuse(key, value, f"a whole number from {lowest}, or null")
    memory, rate = settings.gpu_memory, settings.learning_rate
    if memory is not None and (not _number(memory) or memory <= 0):
        _refuse("gpu_memory", memory, "a number above 0, or null")
    if not _number(rate) or rate <= 0:
        _refuse("learning_rate", rate, "a number above 0")
    if not _number(settings.weight_decay) or settings.weight_decay < 0:
        _refuse("weight_decay", settings.weight_decay, "a number from 0")
    if not _number(settings.oversample) or not 0 <= settings.oversample <= 1:
        _refuse("oversample", settings.oversample, "0 to 1")
    if not _number(settings.step_size) or not 0 < settings.step_size <= 1:
        _refuse("step_size", settings.step_size, "above 0, up to 1")
    if not isinstance(settings.mirror, bool):
        _refuse("mirror", settings.mirror, "true, false")
    if settings.modality is not None and not isinstance(settings.modality, str):
        _refuse("modality", settings.modality, "the name of a channel, or null")
    _check_foreground(settings)
    _check_sizes(settings)
    check_sets("nnunet", settings.nested, settings.nested_order)
    if settings.nested is not None and max(map(len, settings.nested)) < 2:
        # nnU-Net takes lists of one class each for exclusive classes, and trains a softmax.
        _refuse("nested", settings.nested, "at least one list of two classes or more, or null")


def _check_foreground(settings: NnunetSettings) -> None:
    found, allowed = settings.foreground, f"[low, high], {LABELS}, or null"
    if isinstance(found, tuple):
        if len(found) != 2 or not all(map(_number, found)) or found[0] >= found[1]:
            _refuse("foreground", found, f"{allowed}; low below high")
    elif found not in (None, LABELS):
        _refuse("foreground", found, allowed)
    if found is None and (settings.modality or "").casefold() == "ct":
        _refuse(
            "foreground",
            found,
            f"[low, high] or {LABELS} for modality CT, whose normalisation is made from it",
        )


def _check_sizes(settings: NnunetSettings) -> None:
    spacing, patch = settings.spacing, settings.patch
    if spacing is not None and not (
        isinstance(spacing, tuple)
        and len(spacing) == 3
        and all(_number(v) and v > 0 for v in spacing)
    ):
        _refuse("spacing", spacing, "three numbers above 0 (superior, anterior, right), or null")
    axes = 2 if settings.configuration == "2d" else 3
    if patch is not None and not (
        isinstance(patch, tuple) and len(patch) == axes and all(_whole(v, 4) for v in patch)
    ):
        _refuse("patch", patch, f"{axes} whole numbers from 4, or null")
