"""What of a run can be refused before its first training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from mmcv.transforms import Compose
from torch import nn

from glue.errors import ConfigError

from ..running import choose_device
from .configs import check_weights, make_plan
from .data import refuse_small
from .model import Loaded, build, load_pretrained
from .settings import SCRATCH, MmsegSettings

# A network that takes an image takes one that is smaller by a multiple of this.
MULTIPLE = 64


def check_all(
    settings: MmsegSettings,
    classes: Sequence[str],
    shapes: Mapping[str, Sequence[int]],
    here: bool,
) -> None:
    """Build the network and the pipeline, load the first weights, look at device and sizes.

    Raises:
        ConfigError: for what a training would refuse.
    """
    if here:
        choose_device(settings.device, "mmseg")
    plan = make_plan(settings, classes, steps=1)
    check_weights(settings, plan)
    refuse_small(shapes, plan.crop, settings.pad)
    network = build(plan.model, settings.config)
    if settings.pretrained not in (None, SCRATCH):
        load_pretrained(network, settings.pretrained)
    try:
        Compose(plan.pipeline)
    except Exception as error:  # a registry passes on whatever a constructor raises
        raise ConfigError(f"mmseg.config: pipeline: {type(error).__name__}: {error}") from error
    if plan.model["test_cfg"].get("mode", "whole") == "whole":
        _try_sizes(network, len(classes), shapes, settings.size_divisor)


def _try_sizes(
    network: nn.Module, classes: int, shapes: Mapping[str, Sequence[int]], divisor: int | None
) -> None:
    """Predict a small image for every kind of size: some networks refuse what they cannot halve."""
    loaded = Loaded(network.eval(), torch.device("cpu"), classes, amp=False)
    kinds = {tuple(n % MULTIPLE + MULTIPLE for n in s): (k, s) for k, s in shapes.items()}
    for small, (name, shape) in list(kinds.items())[:3]:
        try:
            loaded.probabilities(np.zeros((*small, 3), np.uint8))
        except Exception as error:  # whatever a network raises
            raise ConfigError(
                f"mmseg.size_divisor: {divisor or 'null'}; the network cannot predict images of "
                f"{shape[0]} x {shape[1]}, such as {name} ({type(error).__name__}: {error}); "
                "allowed: what it must be able to divide both sides by, such as 16 or 32"
            ) from error
