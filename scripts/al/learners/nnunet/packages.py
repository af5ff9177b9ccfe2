"""Imports nnU-Net, also where torch is a CPU build, and keeps its environment variables in place.

nnU-Net finds its folders through environment variables. Nothing of ours lies in such folders: where
one of its classes insists on them it gets temporary ones.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from ..torchvision_cpu import import_torchvision

import_torchvision()

# ruff: noqa: E402, F401 - torchvision comes first; others import all this from here
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms
from batchgeneratorsv2.transforms.utils.remove_label import RemoveLabelTransform
from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import (
    DatasetFingerprintExtractor,
)
from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import (
    ExperimentPlanner,
)
from nnunetv2.experiment_planning.experiment_planners.network_topology import (
    get_pool_and_conv_props,
)
from nnunetv2.experiment_planning.experiment_planners.residual_unets import (
    residual_encoder_unet_planners as residual_planners,
)
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.preprocessing.resampling.default_resampling import determine_do_sep_z_and_axis
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from nnunetv2.training.dataloading.nnunet_dataset import comp_blosc2_params
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from nnunetv2.utilities.json_export import recursive_fix_for_json_export
from nnunetv2.utilities.label_handling.label_handling import (
    LabelManager,
    determine_num_input_channels,
)
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager


@contextlib.contextmanager
def temporary_folders() -> Iterator[Path]:
    """Point nnU-Net to new folders ``raw``, ``preprocessed`` and ``results``; its prints go away.

    They are removed with all that is in them.
    """
    with TemporaryDirectory(prefix="nnunet-") as name, contextlib.redirect_stdout(io.StringIO()):
        values = {f"nnUNet_{kind}": f"{name}/{kind}" for kind in ("raw", "preprocessed", "results")}
        # It wants at least one to plan, and the number of CPUs would be asked of the machine.
        values |= {"nnUNet_n_proc_DA": "1", "nnUNet_wandb_enabled": "0"}
        before = {key: os.environ.get(key) for key in values}
        os.environ.update(values)
        try:
            yield Path(name)
        finally:
            for key, value in before.items():
                if value is None:
                    os.environ.pop(key, None)
                else:
                    os.environ[key] = value


# Networks are not compiled here, whatever the user sets for other work with nnU-Net.
os.environ.pop("nnUNet_compile", None)
