"""nnU-Net's plans, made once from a fingerprint of the images and frozen.

nnU-Net's own fingerprint takes for foreground what is labelled. Under partial labels that would be
wrong, and would change from cycle to cycle: here it follows from the intensities.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version
from typing import Any

import numpy as np

from al.io.errors import ConfigError

from .packages import (
    ConfigurationManager,
    DatasetFingerprintExtractor,
    ExperimentPlanner,
    LabelManager,
    PlansManager,
    get_pool_and_conv_props,
    recursive_fix_for_json_export,
    residual_planners,
    temporary_folders,
)
from .settings import NnunetSettings

NAME = "Dataset001_pool"
MOST_SAMPLES, CASE_SAMPLES = 100_000_000, 200_000
PERCENTILES = (0.5, 50.0, 99.5)
PLAIN = {"mean": 0.0, "median": 0.0, "std": 1.0, "min": 0.0, "max": 1.0, "percentile_99_5": 1.0,
         "percentile_00_5": 0.0}  # fmt: skip


@dataclass(frozen=True)
class CaseShape:
    """A volume as nnU-Net reads it: axes superior, anterior, right.

    Attributes:
        spacing: voxel size in mm.
        shape: in voxels, cropped to what is not zero.
        kept: share of the voxels that cropping keeps.
    """

    spacing: tuple[float, float, float]
    shape: tuple[int, int, int]
    kept: float = 1.0


@dataclass(frozen=True)
class Plans:
    """Frozen plans: what every training, of whatever cycle and run, goes by.

    Attributes:
        plans: nnU-Net's plans.
        dataset_json: its labels, with ``ignore`` for what is not revealed.
        configuration: the one that is trained.
    """

    plans: dict[str, Any]
    dataset_json: dict[str, Any]
    configuration: str

    @cached_property
    def manager(self) -> PlansManager:
        """nnU-Net's manager of the plans."""
        return PlansManager(self.plans)

    @cached_property
    def chosen(self) -> ConfigurationManager:
        """nnU-Net's manager of the configuration."""
        return self.manager.get_configuration(self.configuration)

    @cached_property
    def labels(self) -> LabelManager:
        """nnU-Net's manager of the labels."""
        return self.manager.get_label_manager(self.dataset_json)

    @property
    def key(self) -> str:
        """Hash of all that is planned."""
        return sha256(json.dumps(self.as_json(), sort_keys=True).encode()).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """Return what ``of_json`` takes."""
        return {
            "plans": self.plans,
            "dataset_json": self.dataset_json,
            "configuration": self.configuration,
        }

    @classmethod
    def of_json(cls, held: Mapping[str, Any]) -> Plans:
        """Return the plans of a JSON object."""
        return cls(held["plans"], held["dataset_json"], held["configuration"])


def nnunet_version() -> str:
    """Return the version of nnU-Net that is installed."""
    return version("nnunetv2")


def describe_labels(classes: Sequence[str], settings: NnunetSettings) -> dict[str, Any]:
    """Return nnU-Net's ``dataset.json`` for exclusive or nested classes, ``ignore`` the highest."""
    if settings.nested is None:
        # Names of our own: only the number counts, and one of the classes may be called so.
        labels: dict[str, Any] = {
            f"class {i}" if i else "background": i for i in range(len(classes))
        }
        order = {}
    else:
        labels = {"background": 0}
        labels |= {f"region {k}": list(held) for k, held in enumerate(settings.nested)}
        order = {"regions_class_order": list(settings.nested_order or ())}
    return {
        "channel_names": {"0": settings.modality or "zscore"},
        "labels": {**labels, "ignore": len(classes)},
        **order,
        "file_ending": ".nii.gz",
        "overwrite_image_reader_writer": "NibabelIOWithReorient",
    }


def sample_intensities(image: np.ndarray, mask: np.ndarray, cases: int) -> np.ndarray:
    """Draw intensities of the voxels of a mask, as nnU-Net draws those of labelled voxels.

    Args:
        image: (D, H, W) float32.
        mask: (D, H, W) bool.
        cases: number of volumes of the dataset; the more, the fewer are drawn from each.

    Returns:
        (N,) float32, drawn with replacement; empty where the mask is.
    """
    count = min(CASE_SAMPLES, MOST_SAMPLES // cases)
    found, _ = DatasetFingerprintExtractor.collect_foreground_intensities(
        mask[None], image[None], num_samples=count
    )
    return np.asarray(found[0], np.float32)


def summarise(samples: Sequence[np.ndarray]) -> dict[str, float]:
    """Return nnU-Net's statistics of the foreground's intensities.

    Raises:
        ConfigError: where there is no foreground in any volume.
    """
    values = np.concatenate(samples)
    if not len(values):
        raise ConfigError(
            "nnunet.foreground: no voxel of any volume belongs to it; allowed: intensities that "
            "occur"
        )
    low, median, high = np.percentile(values, PERCENTILES)
    return {
        "mean": float(np.mean(values, dtype=np.float64)),
        "median": float(median),
        "std": float(np.std(values, dtype=np.float64)),
        "min": float(values.min()),
        "max": float(values.max()),
        "percentile_99_5": float(high),
        "percentile_00_5": float(low),
    }


def make_plans(
    cases: Sequence[CaseShape],
    intensities: Mapping[str, float],
    classes: Sequence[str],
    settings: NnunetSettings,
) -> Plans:
    """Plan for volumes of these shapes.

    Args:
        cases: all volumes of the dataset.
        intensities: of ``summarise``; ``PLAIN`` where only the shapes matter.
        classes: class names.
        settings: the learner's.

    Raises:
        ConfigError: for a configuration that nnU-Net does not plan, or a patch it cannot use.
    """
    dataset_json = describe_labels(classes, settings)
    fingerprint = {
        "spacings": [list(case.spacing) for case in cases],
        "shapes_after_crop": [list(case.shape) for case in cases],
        "foreground_intensity_properties_per_channel": {"0": dict(intensities)},
        "median_relative_size_after_cropping": float(np.median([case.kept for case in cases])),
    }
    # nnU-Net wants names of files, which it does not open.
    files = {str(k): {"images": [f"{k}.nii.gz"], "label": f"{k}.nii.gz"} for k in range(len(cases))}
    told = {**dataset_json, "numTraining": len(cases), "dataset": files}
    with temporary_folders() as folder:
        for kind, name, value in (
            ("raw", "dataset.json", told),
            ("preprocessed", "dataset_fingerprint.json", fingerprint),
        ):
            (folder / kind / NAME).mkdir(parents=True)
            (folder / kind / NAME / name).write_text(json.dumps(value))
        plans = _planner(settings).plan_experiment()
    recursive_fix_for_json_export(plans)
    offered = [name for name in plans["configurations"] if "cascade" not in name]
    if settings.configuration not in offered:
        raise ConfigError(
            f"nnunet.configuration: {settings.configuration!r}; allowed for volumes of this size: "
            f"{', '.join(offered)}"
        )
    held = {
        "configurations": {settings.configuration: plans["configurations"][settings.configuration]}
    }
    plans = json.loads(json.dumps({**plans, **held, "dataset_name": NAME}))
    return Plans(plans, dataset_json, settings.configuration)


def refuse_shallow(plans: Plans) -> None:
    """Refuse a network of one or two stages: nnU-Net's loss leaves out its only output, as NaN.

    Raises:
        ConfigError: naming the patch.
    """
    if plans.chosen.network_arch_init_kwargs["n_stages"] < 3:
        patch = tuple(int(n) for n in plans.chosen.patch_size)
        raise ConfigError(
            f"nnunet.patch: {patch}; allowed: one that can be halved twice, from 16 voxels along "
            "an axis"
        )


def _planner(settings: NnunetSettings) -> ExperimentPlanner:
    base = getattr(residual_planners, settings.planner, ExperimentPlanner)

    class Planner(base):  # type: ignore[misc, valid-type]
        """nnU-Net's planner, with what the settings fix."""

        def generate_data_identifier(self, configuration_name: str) -> str:
            return configuration_name

        def get_plans_for_configuration(
            self, spacing: Any, median_shape: Any, data_identifier: str, *others: Any
        ) -> dict[str, Any]:
            plan = super().get_plans_for_configuration(
                spacing, median_shape, data_identifier, *others
            )
            if data_identifier == settings.configuration:
                _fix(self, plan, settings)
            return plan

    size = settings.spacing and [float(v) for v in settings.spacing]
    memory = {"gpu_memory_target_in_gb": settings.gpu_memory} if settings.gpu_memory else {}
    planner = Planner(NAME, overwrite_target_spacing=size, **memory)
    planner.plans_identifier = "plans"
    return planner


def _fix(planner: ExperimentPlanner, plan: dict[str, Any], settings: NnunetSettings) -> None:
    """Put patch, batch and features that the settings give in place of the planned ones."""
    network = plan["architecture"]["arch_kwargs"]
    if settings.patch is not None:
        least = planner.UNet_featuremap_min_edge_length
        asked = np.array(settings.patch)
        _, strides, kernels, patch, _ = get_pool_and_conv_props(
            plan["spacing"], asked, least, 999999
        )
        if tuple(patch) != settings.patch:
            raise ConfigError(
                f"nnunet.patch: {settings.patch}; allowed: sizes that the network can halve as "
                f"often as nnU-Net plans, such as {tuple(int(n) for n in patch)}"
            )
        stages = len(strides)
        network |= {"n_stages": stages, "strides": strides, "kernel_sizes": kernels}
        network["n_conv_per_stage_decoder"] = planner.UNet_blocks_per_stage_decoder[: stages - 1]
        for key in ("n_conv_per_stage", "n_blocks_per_stage"):
            if key in network:
                network[key] = planner.UNet_blocks_per_stage_encoder[:stages]
        plan["patch_size"] = patch
    if settings.features is not None or settings.patch is not None:
        first = settings.features or planner.UNet_base_num_features
        flat = len(plan["patch_size"]) == 2
        most = planner.UNet_max_features_2d if flat else planner.UNet_max_features_3d
        network["features_per_stage"] = [
            min(most, first * 2**stage) for stage in range(network["n_stages"])
        ]
    if settings.batch is not None:
        plan["batch_size"] = settings.batch
