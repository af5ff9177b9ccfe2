"""From a configuration of mmsegmentation to what a training here needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from al.io.errors import ConfigError

from .files import nodes, read_config
from .settings import SCRATCH, MmsegSettings

LOADING = ("LoadImageFromFile", "LoadAnnotations")
# They read a second image, or files beside the image.
FOREIGN = ("RandomMosaic", "RandomDepthMix", "ConcatCDInput")
# They learn the outlines of labels, which are those of the windows where few are revealed.
OUTLINES = ("GenerateEdge", "STDCHead")
SISTERS = ("mmdet", "mmpretrain", "mmcls")
SYNCED = ("SyncBN", "MMSyncBN", "torch.nn.SyncBatchNorm")


@dataclass(frozen=True)
class Plan:
    """What one training does.

    Attributes:
        model: of the segmentor, as mmsegmentation's registry builds it.
        optim_wrapper: optimiser and its parameter groups.
        schedule: learning-rate schedulers, by iterations, fitted to the number of steps.
        pipeline: transforms of a training sample, reading left out.
        crop: height, width.
        batch: crops per step.
        wanted: weights that the configuration names, to start from.
    """

    model: dict[str, Any]
    optim_wrapper: dict[str, Any]
    schedule: list[dict[str, Any]]
    pipeline: list[dict[str, Any]]
    crop: tuple[int, int]
    batch: int
    wanted: str | None


def make_plan(settings: MmsegSettings, classes: Sequence[str], steps: int) -> Plan:
    """Read a configuration and fit it to the dataset.

    Ours are: the number of classes, losses averaged over revealed pixels, batch normalisation of
    one device, crops around labels, no weights from elsewhere.

    Raises:
        ConfigError: naming what of the configuration cannot be used.
    """
    config = read_config(settings)
    _check_parts(config)
    _check_classes(config, classes)
    model = config.model.to_dict()
    wanted = _strip_weights(model)
    crop = settings.crop or _crop_of(config)
    _fit_model(model, len(classes), crop)
    set_inference(model, settings, crop)
    batch = settings.batch or config.get("train_dataloader", {}).get("batch_size")
    if not batch:
        raise ConfigError(f"mmseg.batch: null, and {settings.config} has no batch size")
    if batch % settings.accumulate:
        raise ConfigError(f"mmseg.accumulate: {settings.accumulate}; allowed: a divisor of {batch}")
    return Plan(
        model=model,
        optim_wrapper=_optimizer(config, settings),
        schedule=_schedule(config, settings, steps),
        pipeline=_pipeline(config, settings, crop),
        crop=crop,
        batch=batch,
        wanted=wanted,
    )


def _check_parts(config: Config) -> None:
    """Refuse what cannot be built here, and what cannot learn from regions of single images."""
    for node in [*nodes(config.model), *_transforms(config)]:
        kind = str(node.get("type"))
        package = kind.partition(".")[0]
        if package in SISTERS:
            told = f"needs {package}, which does not work with these packages"
        elif kind in OUTLINES:
            told = "learns the outlines of labels, and of regions those are known in part alone"
        elif kind in FOREIGN or (kind.startswith("Load") and kind not in LOADING):
            told = "reads more than an image and its labels"
        else:
            continue
        raise ConfigError(
            f"mmseg.config: {config.filename}: {kind} {told}; allowed: configurations without it"
        )


def _check_classes(config: Config, classes: Sequence[str]) -> None:
    """Refuse class names and weights of another dataset; mere numbers of classes are set by us."""
    for node in nodes(config.get("train_dataloader", {}).get("dataset", {})):
        named = (node.get("metainfo") or {}).get("classes")
        if named is not None and list(named) != list(classes):
            raise ConfigError(
                f"mmseg.config: {config.filename} is for the {len(named)} classes "
                f"{', '.join(named)}; the dataset has {len(classes)}: {', '.join(classes)}"
            )
    for node in nodes(config.model):
        weights = node.get("class_weight")
        if isinstance(weights, list | tuple) and len(weights) != len(classes):
            raise ConfigError(
                f"mmseg.config: {config.filename}: class_weight has {len(weights)} numbers, and "
                f"the dataset {len(classes)} classes; give mmseg.options another class_weight"
            )


def _strip_weights(model: dict[str, Any]) -> str | None:
    """Remove every reference to pretrained weights; return the first."""
    found = []
    for node in nodes(model):
        if node.get("pretrained"):
            plain = node["pretrained"] is True
            found.append("pretrained weights" if plain else str(node["pretrained"]))
            node["pretrained"] = False if plain else None
        inits = node.get("init_cfg")
        listed = inits if isinstance(inits, list | tuple) else [inits]
        kept = [init for init in listed if (init or {}).get("type") != "Pretrained"]
        if len(kept) < len(listed):
            found += [str(init["checkpoint"]) for init in listed if init not in kept]
            node["init_cfg"] = kept or None
    return found[0] if found else None


def _fit_model(model: dict[str, Any], classes: int, crop: tuple[int, int]) -> None:
    for node in nodes(model):
        if node.get("type") in SYNCED:
            node["type"] = "BN"
        # One output is a boundary, not a class.
        before = node.get("num_classes", 1)
        if before > 1:
            node["num_classes"] = classes
            # One output for two classes, or one for each; other widths are of features.
            if node.get("out_channels") in (1, before):
                node.pop("out_channels")
                node.pop("threshold", None)
        losses = node.get("loss_decode")
        for loss in losses if isinstance(losses, list | tuple) else [losses]:
            if loss is not None and loss.get("type", "CrossEntropyLoss") == "CrossEntropyLoss":
                # Few pixels are revealed: the mean must run over those, and over one softmax, whose
                # probabilities are what selection reads. With class weights it does so by itself,
                # and mmsegmentation fails where both are asked for.
                weighted = loss.get("class_weight") is not None
                loss |= {"avg_non_ignore": not weighted, "use_sigmoid": False}
    preprocessor = model.get("data_preprocessor")
    if isinstance(preprocessor, dict):
        preprocessor |= {"size": crop, "seg_pad_val": 255}
        preprocessor.pop("size_divisor", None)


def set_inference(model: dict[str, Any], settings: MmsegSettings, crop: tuple[int, int]) -> None:
    test = dict(model.get("test_cfg") or {"mode": "whole"})
    if settings.inference is not None:
        test["mode"] = settings.inference
    if test.get("mode", "whole") == "slide":
        window = settings.window or test.get("crop_size", crop)
        half = tuple(max(1, n // 2) for n in window)
        test["crop_size"] = window
        test["stride"] = settings.stride or (half if settings.window else test.get("stride", half))
        stride = tuple(test["stride"])
        if any(step > n for step, n in zip(stride, window, strict=True)):
            raise ConfigError(f"mmseg.stride: {stride}; allowed: at most the window, {window}")
    model["test_cfg"] = test
    if settings.size_divisor is not None:
        model.setdefault("data_preprocessor", {})["test_cfg"] = {
            "size_divisor": settings.size_divisor
        }


def _crop_of(config: Config) -> tuple[int, int]:
    sizes = [t.get("crop_size") for t in _transforms(config) if t.get("type") == "RandomCrop"]
    size = next((s for s in (*sizes, config.get("crop_size")) if s is not None), None)
    if size is None:
        raise ConfigError(f"mmseg.crop: null, and {config.filename} has no crop size")
    return (size, size) if isinstance(size, int) else tuple(size)


def _transforms(config: Config) -> list[dict[str, Any]]:
    found = config.get("train_pipeline")
    dataset = config.get("train_dataloader", {}).get("dataset", {})
    while found is None and dataset:
        found, dataset = dataset.get("pipeline"), dataset.get("dataset", {})
    return [t.to_dict() if isinstance(t, ConfigDict) else dict(t) for t in found or ()]


def _pipeline(
    config: Config, settings: MmsegSettings, crop: tuple[int, int]
) -> list[dict[str, Any]]:
    cut = {"type": "CropAroundLabels", "size": crop, "balanced": settings.balanced_crops}
    scaled = settings.scales and _scaling(settings.scales)
    steps: list[dict[str, Any]] = []
    for transform in _transforms(config):
        kind = transform.get("type")
        if kind == "RandomResize":
            steps.append(scaled or _scaling(transform.get("ratio_range") or (1, 1)))
        elif kind == "RandomCrop":
            steps.append(cut)
        elif kind not in (*LOADING, "Pad", "PackSegInputs"):  # a batch is filled up as a whole
            steps.append(transform)
    kinds = [t["type"] for t in steps]
    if scaled and "ScaleImage" not in kinds:
        steps.insert(0, scaled)
        kinds.insert(0, "ScaleImage")
    if "CropAroundLabels" not in kinds:
        sized = [i for i, kind in enumerate(kinds) if "Resize" in kind or kind == "ScaleImage"]
        steps.insert(max(sized, default=-1) + 1, cut)
    return [*steps, {"type": "PackSegInputs"}]


def _scaling(ratios: Sequence[float]) -> dict[str, Any]:
    return {"type": "ScaleImage", "low": float(ratios[0]), "high": float(ratios[1])}


def _optimizer(config: Config, settings: MmsegSettings) -> dict[str, Any]:
    wrapper = config.optim_wrapper.to_dict()
    if wrapper.get("type", "OptimWrapper") not in ("OptimWrapper", "AmpOptimWrapper"):
        raise ConfigError(
            f"mmseg.config: {config.filename}: optim_wrapper {wrapper['type']!r}; "
            "allowed: OptimWrapper, AmpOptimWrapper"
        )
    if wrapper.get("accumulative_counts", 1) != 1:
        raise ConfigError("mmseg.config: accumulative_counts; use mmseg.accumulate instead")
    for key in ("dtype", "loss_scale", "use_fp16"):
        wrapper.pop(key, None)
    if settings.learning_rate is not None:
        wrapper.setdefault("optimizer", {})["lr"] = settings.learning_rate
    # Mixed precision is ours (mmseg.amp).
    return {**wrapper, "type": "OptimWrapper"}


def _schedule(config: Config, settings: MmsegSettings, steps: int) -> list[dict[str, Any]]:
    """Fit the schedulers to ``steps``: a warm-up keeps its length, up to a tenth of the steps."""
    found = config.get("param_scheduler") or []
    schedulers = [dict(s) for s in (found if isinstance(found, list | tuple) else [found])]
    length = config.get("train_cfg", {}).get("max_iters")
    if schedulers and not length:
        length = max(s.get("end") or 0 for s in schedulers)
    for scheduler in schedulers:
        if scheduler.get("by_epoch", True) or not length:
            raise ConfigError(
                f"mmseg.config: {config.filename}: param_scheduler {scheduler.get('type')} counts "
                "epochs; allowed: by_epoch=False, with train_cfg.max_iters"
            )
    rise = max((s["end"] for s in schedulers if _is_warm_up(s, length)), default=0)
    kept = min(rise, steps // 10)

    def place(old: float) -> int:
        if old <= rise:
            return round(old * kept / rise) if rise else 0
        return kept + round((old - rise) * (steps - kept) / (length - rise))

    for scheduler in schedulers:
        scheduler.setdefault("begin", 0)
        for key in ("begin", "end", "T_max"):
            if scheduler.get(key) is not None:
                scheduler[key] = place(scheduler[key])
        if "milestones" in scheduler:
            scheduler["milestones"] = [place(m) for m in scheduler["milestones"]]
    return [s for s in schedulers if s.get("end") is None or s["begin"] < s["end"]]


def _is_warm_up(scheduler: Mapping[str, Any], length: int) -> bool:
    end = scheduler.get("end")
    return scheduler.get("begin", 0) == 0 and end is not None and end <= length / 5


def check_weights(settings: MmsegSettings, plan: Plan) -> None:
    """Refuse a configuration that names weights where it was not said what to do.

    Raises:
        ConfigError: for no choice, or a file that is not there.
    """
    if settings.pretrained is None and plan.wanted is not None:
        raise ConfigError(
            f"mmseg.pretrained: null, but {settings.config} starts from {source_of(plan.wanted)}, "
            f"and nothing is downloaded; allowed: the file of those weights, or {SCRATCH}"
        )
    if settings.pretrained not in (None, SCRATCH) and not Path(settings.pretrained).is_file():
        raise ConfigError(
            f"mmseg.pretrained: {settings.pretrained} is no file; allowed: a file of weights for "
            f"{settings.config} (it names {source_of(plan.wanted)}), or {SCRATCH}. What is not on "
            "the command line comes from config/datasets"
        )


def digest_of_weights(settings: MmsegSettings) -> str | None:
    """Return a hash of the file of the first weights; ``None`` where there is none."""
    named = settings.pretrained
    if named in (None, SCRATCH) or not Path(named).is_file():
        return None
    return sha256(Path(named).read_bytes()).hexdigest()


def source_of(wanted: str | None) -> str:
    """Return where weights are to be had, with the address behind one of OpenMMLab's names."""
    if wanted is None:
        return "none"
    scheme, _, name = wanted.partition("://")
    if scheme != "open-mmlab":
        return wanted
    from mmengine.runner.checkpoint import get_external_models

    return get_external_models().get(name, wanted)
