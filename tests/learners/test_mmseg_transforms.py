"""Crops around labels, and scaling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("mmseg", reason="the extra mmseg is not installed")

from al.io.labels import UNKNOWN
from al.learners.mmseg.transforms import CropAroundLabels, ScaleImage


@settings(max_examples=30, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    size=st.tuples(st.integers(1, 50), st.integers(1, 50)),
    seed=st.integers(0, 2**31),
    balanced=st.sampled_from([0.0, 1.0]),
)
def test_a_crop_holds_something_revealed(
    shape: tuple[int, int], size: tuple[int, int], seed: int, balanced: float
) -> None:
    rng = np.random.default_rng(seed)
    label = np.full(shape, UNKNOWN, np.uint8)
    for _ in range(rng.integers(1, 4)):
        label[tuple(rng.integers(n) for n in shape)] = rng.integers(0, 3)
    image = np.repeat(np.arange(label.size).reshape(shape)[..., None], 3, 2)
    np.random.seed(seed)
    found = CropAroundLabels(size, balanced)(
        {"img": image, "gt_seg_map": label, "seg_fields": ["gt_seg_map"]}
    )
    crop, cut = found["gt_seg_map"], found["img"][..., 0]
    assert (crop != UNKNOWN).any()
    assert crop.shape == found["img_shape"] == tuple(map(min, zip(shape, size, strict=True)))
    np.testing.assert_array_equal(crop, label.ravel()[cut])


def test_balanced_crops_find_the_rare_class() -> None:
    label = np.zeros((200, 200), np.uint8)
    label[100, 100] = 1
    counts = []
    for balanced in (0.0, 1.0):
        np.random.seed(0)
        crop = CropAroundLabels((8, 8), balanced)
        held = [(_crop(crop, label) == 1).any() for _ in range(200)]
        counts.append(sum(held))
    assert counts[0] < 10
    assert 70 < counts[1] < 130


def _crop(crop: CropAroundLabels, label: np.ndarray) -> np.ndarray:
    image = np.zeros((*label.shape, 3), np.uint8)
    return crop({"img": image, "gt_seg_map": label, "seg_fields": ["gt_seg_map"]})["gt_seg_map"]


def test_every_place_of_a_crop_around_a_pixel_is_as_likely() -> None:
    label = np.full((60, 60), UNKNOWN, np.uint8)
    label[30, 30] = 0
    np.random.seed(0)
    crop = CropAroundLabels((5, 5))
    places = [tuple(np.argwhere(_crop(crop, label) == 0)[0]) for _ in range(2500)]
    counts = np.unique(places, axis=0, return_counts=True)[1]
    assert len(counts) == 25
    assert counts.min() > 60


def test_scaling_keeps_labels_what_they_are() -> None:
    label = np.random.default_rng(0).choice([0, 3, UNKNOWN], (20, 30)).astype(np.uint8)
    image = np.zeros((20, 30, 3), np.uint8)
    found = ScaleImage(1.5, 1.5)({"img": image, "gt_seg_map": label, "seg_fields": ["gt_seg_map"]})
    assert found["gt_seg_map"].shape == found["img"].shape[:2] == (30, 45)
    assert set(np.unique(found["gt_seg_map"])) == {0, 3, UNKNOWN}
