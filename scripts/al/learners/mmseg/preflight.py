"""What of a run can be refused before its first training."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import nn

from al.io.errors import ConfigError
from al.io.tables import PoolRow

from ..base import Start
from ..training import choose_device
from .configs import Plan, check_weights, digest_of_weights, make_plan
from .data import compose, refuse_small
from .model import Segmentor, build, load_pretrained
from .settings import SCRATCH, MmsegSettings

# A network that takes an image usually takes one that is smaller by a multiple of 64.
MULTIPLE, SMALL = 64, 128
KINDS = 8
CPU = torch.device("cpu")


def check_all(settings: MmsegSettings, start: Start) -> None:
    """Build the network and the pipeline, load the first weights, try what sizes they take.

    Raises:
        ConfigError: for what a training or a prediction would refuse.
    """
    classes, rows = start.classes, start.rows
    if start.here:
        choose_device(settings.device, "mmseg")
    plan = make_plan(settings, classes, steps=1)
    check_weights(settings, plan)
    taught = {row.image: row.shape for row in rows if row.split in ("train", "")}
    refuse_small(taught, plan.crop, settings.pad)
    network = build(plan.model, settings.config)
    if settings.pretrained not in (None, SCRATCH):
        load_pretrained(network, settings.pretrained)
    compose(plan)
    _try_training(network, plan, len(classes), max(1, plan.batch // settings.accumulate))
    _try_prediction(Segmentor(network, CPU, start.layout, settings), plan, rows)


def identify(settings: MmsegSettings, start: Start) -> dict[str, Any]:
    """Return what decides a training beside the settings, as JSON can hold it."""
    made = make_plan(settings, start.classes, steps=1000)
    plan = json.loads(json.dumps(asdict(made), default=str))
    return {"config": plan, "pretrained": digest_of_weights(settings)}


def _try_training(network: nn.Module, plan: Plan, classes: int, batch: int) -> None:
    """Compute a loss: some networks need sizes they can halve, or more than one crop at a time."""
    count = min(2, batch)

    def loss(size: tuple[int, int]) -> None:
        samples = []
        for _ in range(count):
            label = torch.arange(size[0] * size[1]).view(1, *size) % classes
            sample = SegDataSample(metainfo={"img_shape": size})
            sample.gt_sem_seg = PixelData(data=label)
            samples.append(sample)
        images = [torch.zeros(3, *size, dtype=torch.uint8)] * count
        network.data_preprocessor.size = size
        with torch.no_grad():
            data = {"inputs": images, "data_samples": samples}
            network(**network.data_preprocessor(data, True), mode="loss")

    network.train()
    try:
        _first_that_works(loss, plan.crop)
    except Exception as error:  # whatever a network raises
        raise ConfigError(
            f"mmseg.crop: {plan.crop[0]} x {plan.crop[1]}, {batch} at a time; the network cannot "
            f"be trained on that ({type(error).__name__}: {error}); allowed: a size that it can "
            "divide, such as a multiple of 32, and for most networks two or more at a time"
        ) from error


def _try_prediction(model: Segmentor, plan: Plan, rows: Sequence[PoolRow]) -> None:
    """Predict an image of every kind of size, or of the size of a window."""
    model.network.eval()
    test = plan.model["test_cfg"]
    if test.get("mode", "whole") == "slide":
        sizes = {"a window": tuple(test["crop_size"])}
    else:
        sizes = {row.image: row.shape for row in rows}
    kinds = {tuple(n % MULTIPLE for n in size): (name, size) for name, size in sizes.items()}

    def predict(size: tuple[int, ...]) -> None:
        model.softmax(np.zeros((*size, 3), np.uint8))

    for name, size in list(kinds.values())[:KINDS]:
        try:
            _first_that_works(predict, size)
        except Exception as error:  # whatever a network raises
            raise ConfigError(
                f"mmseg.config: the network cannot predict {size[0]} x {size[1]} pixels, such as "
                f"{name} ({type(error).__name__}: {error}); mmseg.size_divisor fills images up to "
                "multiples of a number, such as 16 or 32"
            ) from error


def _first_that_works(attempt: Callable, size: tuple[int, ...]) -> None:
    """Try a smaller size of the same kind, and where that fails the size itself."""
    small = tuple(min(n, n % MULTIPLE + SMALL) for n in size)
    if small != size:
        with suppress(Exception):  # whatever a network raises
            return attempt(small)
    attempt(size)
