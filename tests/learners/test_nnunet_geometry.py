"""Labels to nnU-Net's grid and predictions back, against slow or nnU-Net's own implementations."""

from __future__ import annotations

import itertools
from fractions import Fraction

import nibabel as nib
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("nnunetv2", reason="the extra `nnunet` is not installed")

from al.learners.nnunet.geometry import Placement, Target, canonical_axes, oriented, sample
from al.learners.nnunet.packages import determine_do_sep_z_and_axis
from al.learners.nnunet.planning import PLAIN, CaseShape, make_plans
from al.learners.nnunet.settings import NnunetSettings
from al.learners.nnunet.store import preprocess

SIZES = st.tuples(*[st.integers(1, 7)] * 3)


@st.composite
def placements(draw: st.DrawFn) -> Placement:
    """Any placement: turned, flipped, cropped, at any resolution."""
    full = draw(SIZES)
    box = []
    for n in full:
        low = draw(st.integers(0, n - 1))
        box.append((low, draw(st.integers(low + 1, n))))
    return Placement(
        order=tuple(draw(st.permutations(range(3)))),
        flip=tuple(draw(st.tuples(*[st.booleans()] * 3))),
        full=full,
        box=tuple(box),
        shape=draw(SIZES),
        spacing=(1.0, 1.0, 1.0),
    )


def slow_labels(p: Placement, seen: np.ndarray) -> np.ndarray:
    """For each training voxel the annotator's voxel in which its centre lies, in fractions."""
    found = np.empty(p.shape, np.uint8)
    for voxel in np.ndindex(*p.shape):
        place = [0, 0, 0]
        for t in range(3):
            low, high = p.box[t]
            centre = low + Fraction(2 * voxel[t] + 1, 2 * p.shape[t]) * (high - low)
            g = seen.shape[p.order[t]]
            index = int(centre * g / p.full[t])
            place[p.order[t]] = g - 1 - index if p.flip[t] else index
        found[voxel] = seen[tuple(place)]
    return found


@settings(max_examples=50, deadline=None)
@given(placements(), SIZES, st.integers(0, 99))
def test_labels_as_by_fractions(p: Placement, seen_shape: tuple[int, ...], seed: int) -> None:
    seen = np.random.default_rng(seed).integers(0, 255, seen_shape).astype(np.uint8)
    np.testing.assert_array_equal(p.labels(seen), slow_labels(p, seen))


def affines() -> list[np.ndarray]:
    """Axes in any order and direction, anisotropic, and rotated by less than half a turn."""
    found = []
    for order, signs in itertools.product(
        itertools.permutations(range(3)), itertools.product((1, -1), repeat=3)
    ):
        affine = np.zeros((4, 4))
        for axis, (world, sign, size) in enumerate(zip(order, signs, (0.8, 3.0, 1.5), strict=True)):
            affine[world, axis] = sign * size
        affine[3, 3] = 1
        found.append(affine)
    c, s = np.cos(0.4), np.sin(0.4)
    turn = np.eye(4)
    turn[:2, :2] = [[c, -s], [s, c]]
    return found + [turn @ found[5], turn @ found[20], turn @ found[40]]


@pytest.mark.parametrize("affine", affines())
def test_axes_are_those_of_nnunets_reader(affine: np.ndarray) -> None:
    """Its NibabelIOWithReorient: nearest orientation RAS, axes reversed."""
    array = np.arange(2 * 3 * 4).reshape(2, 3, 4).astype(np.float32)
    image = nib.Nifti1Image(array, affine)
    expected = image.as_reoriented(nib.io_orientation(affine)).get_fdata().transpose(2, 1, 0)
    order, flip = canonical_axes(affine)
    np.testing.assert_array_equal(oriented(array, order, flip), expected)


def plans_for(spacing: tuple[float, ...], shape: tuple[int, ...], wanted: tuple[float, ...]):
    asked = NnunetSettings(spacing=wanted, patch=(8, 8, 8), batch=2, features=4)
    return make_plans([CaseShape(spacing, shape)] * 3, PLAIN, ["a", "b", "c"], asked)


def on_full_grid(p: Placement, maps: torch.Tensor, shape: tuple[int, ...], axis: int | None):
    target = Target(p, shape, axis)
    arranged, axes = target.arrange(maps), target.axes()
    parts = [sample(arranged, axes, part) for part in (slice(0, 1), slice(1, shape[0]))]
    value = torch.cat([v for v, _ in parts], 1)
    if all(inside is None for _, inside in parts):
        return value, None
    return value, torch.cat([inside for _, inside in parts], 0)


CASES = [
    ((5.0, 0.8, 0.8), (8, 24, 22), (5.0, 1.5, 1.5), 1),
    ((5.0, 0.8, 0.8), (8, 24, 22), (2.0, 1.2, 1.2), 4),
    ((2.0, 2.0, 2.0), (9, 11, 10), (1.1, 1.3, 0.9), 1),
]


@pytest.mark.parametrize("spacing, shape, wanted, which", CASES)
def test_predictions_come_back_as_nnunet_brings_them(spacing, shape, wanted, which: int) -> None:
    """Against its export of logits: resampled to the shape before, crop and transpose undone."""
    from nnunetv2.inference.export_prediction import (
        convert_predicted_logits_to_segmentation_with_correct_shape as export,
    )

    plans = plans_for(spacing, shape, wanted)
    # A file with its own axes whose canonical form has this spacing and shape.
    perm, signs = list(itertools.permutations(range(3)))[which], (1, -1, 1)
    affine = np.zeros((4, 4))
    for axis, (k, sign) in enumerate(zip(perm, signs, strict=True)):
        affine[2 - k, axis] = sign * spacing[k]
    affine[3, 3] = 1
    rng = np.random.default_rng(which)
    image = rng.normal(0, 1, [shape[k] for k in perm]).astype(np.float32)
    image[:2] = 0  # is cropped away
    data, p = preprocess(image, affine, plans)
    assert data.shape[1:] == p.shape
    logits = torch.from_numpy(rng.normal(0, 3, (3, *p.shape)).astype(np.float32))
    known = {
        "spacing": list(spacing),
        "shape_before_cropping": p.full,
        "bbox_used_for_cropping": [list(side) for side in p.box],
        "shape_after_cropping_and_before_resampling": [b - a for a, b in p.box],
    }
    labels, expected = export(
        logits.clone(), plans.manager, plans.chosen, plans.labels, known, True, 1
    )
    order, flip = canonical_axes(affine)
    _, axis = determine_do_sep_z_and_axis(None, plans.chosen.spacing, list(p.spacing))
    value, inside = on_full_grid(p, logits, image.shape, axis)
    found = value.softmax(0)
    assert inside is not None
    found[:, ~inside] = torch.tensor([1.0, 0, 0])[:, None]
    turned = np.stack([oriented(v, order, flip) for v in found.numpy()])
    np.testing.assert_allclose(turned, expected, atol=2e-4)
    assert (turned.argmax(0) == labels).mean() > 0.999
