"""The annotator's grid: mapped both ways, against slow loops over voxel centres."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from al.io.errors import ConfigError
from al.layouts import get_layout
from al.layouts.grid import Grid
from decomp_core import Region

SHAPES = st.tuples(*[st.integers(1, 13)] * 3)


def owner(voxel: int, before: int, after: int) -> int:
    """The voxel of the other grid in which a voxel's centre lies, in exact fractions."""
    centre = Fraction(2 * voxel + 1, 2 * before) * after
    return min(after - 1, int(centre))


@settings(max_examples=40, deadline=None)
@given(SHAPES, SHAPES, st.integers(0, 2**31))
def test_labels_are_those_at_the_centres(full, shape, seed) -> None:
    grid = Grid(full, shape)
    labels = np.random.default_rng(seed).integers(0, 255, full).astype(np.uint8)
    seen = grid.labels_seen(labels)
    for voxel in np.ndindex(*shape):
        there = tuple(owner(v, m, n) for v, m, n in zip(voxel, shape, full, strict=True))
        assert seen[voxel] == labels[there]
    other = np.random.default_rng(seed + 1).integers(0, 255, shape).astype(np.uint8)
    back = grid.labels_in_full(other)
    for voxel in np.ndindex(*full):
        there = tuple(owner(v, n, m) for v, n, m in zip(voxel, full, shape, strict=True))
        assert back[voxel] == other[there]


@settings(max_examples=40, deadline=None)
@given(SHAPES, st.data())
def test_there_and_back_is_the_same_where_voxels_grow(full, data) -> None:
    shape = tuple(data.draw(st.integers(1, n)) for n in full)
    grid = Grid(full, shape)
    labels = np.arange(np.prod(shape), dtype=np.int64).reshape(shape)
    np.testing.assert_array_equal(grid.labels_seen(grid.labels_in_full(labels)), labels)


@settings(max_examples=40, deadline=None)
@given(SHAPES, SHAPES, st.data())
def test_a_region_holds_the_voxels_whose_centres_it_holds(full, shape, data) -> None:
    grid = Grid(full, shape)
    start = tuple(data.draw(st.integers(0, n - 1)) for n in shape)
    size = tuple(data.draw(st.integers(1, n - s)) for n, s in zip(shape, start, strict=True))
    mask = np.zeros(shape, bool)
    mask[Region(start, size).slices] = True
    expected = grid.labels_in_full(mask)
    found = grid.region_in_full(Region(start, size))
    inside = np.zeros(full, bool)
    if found is not None:
        inside[found.slices] = True
    np.testing.assert_array_equal(inside, expected)


@settings(max_examples=40, deadline=None)
@given(SHAPES, SHAPES)
def test_regions_that_tile_the_grid_tile_the_file(full, shape) -> None:
    grid = Grid(full, shape)
    count = np.zeros(full, int)
    for voxel in np.ndindex(*shape):
        region = grid.region_in_full(Region(voxel, (1, 1, 1)))
        if region is not None:
            count[region.slices] += 1
    assert (count == 1).all()


def test_images_are_averaged_where_voxels_grow() -> None:
    rng = np.random.default_rng(0)
    image = rng.random((6, 9, 8)).astype(np.float32)
    seen = Grid((6, 9, 8), (3, 3, 8)).image_seen(image)
    expected = image.reshape(3, 2, 3, 3, 8).mean((1, 3))
    np.testing.assert_allclose(seen, expected, atol=1e-6)
    assert seen.dtype == np.float32
    # Parts of voxels count by their share.
    seen = Grid((3, 1, 1), (2, 1, 1)).image_seen(np.array([1.0, 2, 4]).reshape(3, 1, 1))
    np.testing.assert_allclose(seen.ravel(), [(1 + 0.5 * 2) / 1.5, (0.5 * 2 + 4) / 1.5])


def test_images_are_interpolated_where_voxels_shrink() -> None:
    seen = Grid((2, 1, 1), (4, 1, 1)).image_seen(np.array([0.0, 4]).reshape(2, 1, 1))
    np.testing.assert_allclose(seen.ravel(), [0, 1, 3, 4])


@settings(max_examples=25, deadline=None)
@given(SHAPES, SHAPES, st.floats(-5, 5))
def test_a_constant_stays(full, shape, value) -> None:
    seen = Grid(full, shape).image_seen(np.full(full, value, np.float32))
    assert seen.shape == shape
    np.testing.assert_allclose(seen, np.float32(value), atol=1e-5)


@pytest.mark.parametrize(
    ("full", "spacing", "wanted", "shape"),
    [
        ((512, 512, 100), (0.78, 0.78, 3.0), (1.84, 1.84, 1.84), (217, 217, 163)),
        ((512, 512, 100), (0.78, 0.78, 3.0), (1.84, 1.84, None), (217, 217, 100)),
        ((9, 9, 9), (1.5, 1.4999999, 1.5000001), (3.0, 3.0, 3.0), (5, 5, 5)),
        ((4, 4, 4), (1.0, 1.0, 1.0), (90.0, 1.0, 0.5), (1, 4, 8)),
    ],
)
def test_voxel_sizes_become_shapes(full, spacing, wanted, shape) -> None:
    assert Grid.of(full, spacing, wanted).shape == shape


def test_labels_of_another_grid_are_refused() -> None:
    grid = Grid((4, 4, 4), (2, 2, 2))
    with pytest.raises(ValueError, match=r"shape \(2, 2, 2\); allowed: \(4, 4, 4\)"):
        grid.labels_seen(np.zeros((2, 2, 2), np.uint8))


AFFINES = {
    "plain": np.diag([-1.5, 2.0, 3.0, 1.0]),
    "turned": np.array([[0, 1.5, 0, 5], [0, 0, 2.0, -7], [3.0, 0, 0, 2], [0, 0, 0, 1.0]]),
    "oblique": np.vstack(
        [
            np.c_[
                np.linalg.qr([[1, 0.3, 0.1], [-0.2, 1, 0.4], [0.1, -0.3, 1]])[0] * [1.5, 2.0, 3.0],
                [4.0, 5.0, 6.0],
            ],
            [0, 0, 0, 1.0],
        ]
    ),
}


def dataset(root: Path, affine: np.ndarray, shape: tuple[int, ...]) -> Path:
    """One case in nnU-Net's raw form, its labels a counter modulo 3."""
    for folder in ("imagesTr", "labelsTr"):
        (root / folder).mkdir(parents=True)
    labels = (np.arange(np.prod(shape)).reshape(shape) % 3).astype(np.uint8)
    image = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    nib.save(nib.Nifti1Image(image, affine), root / "imagesTr/a_0000.nii.gz")
    nib.save(nib.Nifti1Image(labels, affine), root / "labelsTr/a.nii.gz")
    return root


@pytest.mark.parametrize("name", list(AFFINES))
@pytest.mark.parametrize("option", [4.0, [3.0, 4.0], [None, 3.0], [1.0, None]])
def test_a_layout_shows_one_grid_and_is_scored_on_the_other(
    name: str, option: object, tmp_path: Path
) -> None:
    affine = AFFINES[name]
    root = dataset(tmp_path, affine, (9, 12, 7))
    layout = get_layout("nnunet_raw", {"grid": option}, ["a", "b", "c"])
    plain = get_layout("nnunet_raw", {}, ["a", "b", "c"])
    (row,), (own,) = layout.index(root), plain.index(root)
    layout.check([row])
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    pair = option if isinstance(option, list) else [option, option]
    wanted = [pair[0] if axis == row.axis else pair[1] for axis in range(3)]
    assert row.shape == Grid.of(own.shape, spacing, wanted).shape != own.shape
    assert row.axis == own.axis
    assert layout.open_image(row).shape == layout.open_label(row).shape == row.shape
    np.testing.assert_array_equal(layout.open_scored_label(row), plain.open_label(own))
    back = layout.to_scored(row, layout.open_label(row))
    assert back.shape == own.shape
    expected = layout.grid_of(row).labels_in_full(layout.open_label(row))
    np.testing.assert_array_equal(back, expected)
    assert plain.spacing(own) == layout.spacing(row)
    bare = replace(row, label_path="")
    assert np.array_equal(layout.open_label(bare), np.full(row.shape, 255))
    assert np.array_equal(layout.open_scored_label(bare), np.full(own.shape, 255))
    for opened in (layout, plain):
        full, found = opened.open_full(row), opened.affine(row)
        assert full.shape == own.shape and full.dtype == np.float32
        np.testing.assert_array_equal(full, plain.open_image(own))
        assert found.dtype == np.float64
        np.testing.assert_allclose(found, affine, atol=1e-5)
    np.testing.assert_array_equal(layout.grid_of(row).image_seen(full), layout.open_image(row))
    np.testing.assert_array_equal(
        plain.to_scored(own, plain.open_label(own)), plain.open_label(own)
    )


@pytest.mark.parametrize("value", [0, -1.0, [1.0], [1, 2, 3], "fine", [True, 1.0], [1.0, np.inf]])
def test_other_grids_are_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="layout_options.grid of nnunet_raw.*allowed: null"):
        get_layout("nnunet_raw", {"grid": value}, ["a", "b"])
