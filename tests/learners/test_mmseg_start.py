"""What ``mmseg`` refuses by size before the first job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mmseg", reason="the extra mmseg is not installed")

import torch

from al.io.errors import ConfigError
from al.io.tables import PoolRow
from al.learners import Start, get_learner
from al.learners.mmseg import preflight
from tests.learners.fakes import CLASSES, FakeLayout, Toy
from tests.learners.test_mmseg import SMALL, fit


def pool(*shapes: tuple[int, int]) -> list[PoolRow]:
    return [PoolRow(f"i{n}", "", "train", "", "", shape) for n, shape in enumerate(shapes)]


def test_crops_larger_than_an_image_are_refused(tmp_path: Path) -> None:
    toy = Toy("2d")
    with pytest.raises(ConfigError, match=r"mmseg.crop: 32 x 80, but image i0 has 48 x 64"):
        fit(toy, tmp_path, crop=[32, 80])
    with pytest.raises(ConfigError, match="mmseg.crop"):
        section = {**SMALL, "crop": [32, 80]}
        get_learner("mmseg").check_start(
            section, Start(CLASSES, pool((100, 100), (48, 64)), FakeLayout({}))
        )
    filled = {"crop": [32, 80], "pad": True}
    get_learner("mmseg").check_start(
        {**SMALL, **filled}, Start(CLASSES, pool((48, 64)), FakeLayout({}))
    )
    assert np.isfinite(fit(toy, tmp_path, **filled)["loss"])


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({}, r"cannot predict 1045 x 2059 pixels, such as i1 .*mmseg\.size_divisor"),
        ({"size_divisor": 4}, ""),
        ({"size_divisor": 4, "crop": [30, 30]}, r"mmseg\.crop: 30 x 30, 4 at a time"),
        ({"inference": "slide", "window": [30, 30]}, "cannot predict 30 x 30 .* a window"),
        ({"inference": "slide", "window": [32, 32]}, ""),
        (
            {"inference": "slide", "stride": [48, 64]},
            r"mmseg\.stride: \(48, 64\); allowed",
        ),
    ],
)
def test_sizes_that_a_network_refuses_are_told_before_the_first_job(
    section: dict[str, Any], message: str
) -> None:
    check, rows = get_learner("mmseg").check_start, pool((48, 64), (1045, 2059))
    if not message:
        return check({**SMALL, **section}, Start(CLASSES, rows, FakeLayout({})))
    with pytest.raises(ConfigError, match=message):
        check({**SMALL, **section}, Start(CLASSES, rows, FakeLayout({})))


def test_a_device_is_looked_for_where_jobs_run() -> None:
    check, section = get_learner("mmseg").check_start, {**SMALL, "device": "cuda"}
    if not torch.cuda.is_available():
        with pytest.raises(ConfigError, match=r"mmseg\.device: 'cuda', but no CUDA device"):
            check(section, Start(CLASSES, [], FakeLayout({}), here=True))
    check(section, Start(CLASSES, [], FakeLayout({}), here=False))


def test_a_network_that_needs_large_images_is_tried_on_them() -> None:
    """Where a smaller size of the same kind fails, the size itself decides."""
    asked: list[tuple[int, ...]] = []

    def attempt(size: tuple[int, ...]) -> None:
        asked.append(size)
        if size[0] < 512:
            raise RuntimeError("too small")

    preflight._first_that_works(attempt, (512, 1024))
    assert asked == [(128, 128), (512, 1024)]
    with pytest.raises(RuntimeError, match="too small"):
        preflight._first_that_works(attempt, (300, 1024))
