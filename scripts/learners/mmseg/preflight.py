"""What of a run can be refused before its first training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmcv.transforms import Compose

from glue.errors import ConfigError

from ..running import choose_device
from .configs import check_weights, make_plan
from .data import refuse_small
from .model import build, load_pretrained
from .settings import SCRATCH, MmsegSettings


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
