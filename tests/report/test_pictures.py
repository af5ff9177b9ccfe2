"""Pictures of regions as data: the right pixels, boxes, slices and tiles."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from al.io.errors import DataError
from al.io.tables import RegionRow
from al.report.pictures import Box, Picture, fitted, pictures_of, slices_of
from decomp_core import Region

from .drawing_sample import Drawn, colour_of, placed, pool_of, roi, window


@given(st.integers(1, 5), st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_large_pictures_are_averaged_over_areas(
    factor: int, height: int, width: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (height * factor, width * factor, 3)).astype(np.uint8)
    box = Box("s", 1, 0, None, (factor, 0, 2 * factor, 3), "window")
    found = fitted(Picture("a", "a", pixels, (box,)), max(height, width))
    assert found.pixels.dtype == np.uint8
    means = pixels.reshape(height, factor, width, factor, 3).mean(axis=(1, 3))
    assert np.abs(found.pixels - means).max() <= 1
    assert found.boxes[0].rectangle == pytest.approx((1, 0, 2, 3 / factor))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_of_a_volume(axis: int) -> None:
    shape = [50, 60]
    shape.insert(axis, 20)
    pool = pool_of(tuple(shape), axis, "ct")
    regions = {
        "decomp": [placed(axis, 2, "ct", (7, 3, 4))],
        "clasp": [
            placed(axis, 2, "ct", (5, 20, 6), depth=4),  # on slices 5 to 8
            placed(axis, 2, "ct", (11, 1, 2)),
        ],
    }
    layout = Drawn()
    both = pictures_of(layout, pool, regions, ["ct"], 2, 100)
    assert [p.title for p in both] == ["ct, slice 7 of 20", "ct, slice 11 of 20"]
    assert [b.rectangle for b in both[0].boxes] == [(3, 4, 10, 12), (20, 6, 10, 12)]
    assert [b.rectangle for b in both[1].boxes] == [(1, 2, 10, 12)]
    assert layout.opened == ["ct"]
    volume = layout.open_image(pool["ct"]).astype(float)
    low, high = np.percentile(volume, 1), np.percentile(volume, 99.5)
    plane = np.moveaxis(volume, axis, 0)[7]
    expected = (np.clip(plane, low, high) - low) / (high - low) * 255
    assert np.abs(both[0].pixels - expected[..., None]).max() <= 0.51


@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(0, 9), st.integers(1, 4)), max_size=12),
    st.integers(1, 4),
)
@settings(max_examples=30, deadline=None)
def test_slices_hold_most_regions(given_regions: list[tuple[int, int, int]], most: int) -> None:
    regions = [
        RegionRow.of(cycle, "ct", "patch", Region((z, i, 0), (depth, 1, 1)), i)
        for i, (cycle, z, depth) in enumerate(given_regions)
    ]
    # slowly, with sets of slices
    spans = [set(range(z, z + depth)) for _, z, depth in given_regions]
    middles = sorted({z + depth // 2 for _, z, depth in given_regions})
    left, expected = set(range(len(spans))), []

    def value(z: int) -> tuple[int, int]:
        here = [i for i in left if z in spans[i]]
        return len([i for i in here if given_regions[i][0] > 1]), len(here)

    while left and len(expected) < most:
        expected.append(max(middles, key=value))
        left -= {i for i in left if expected[-1] in spans[i]}
    assert slices_of(regions + regions, 0, most) == sorted(expected), "shared ones count once"


def test_a_sheet_of_rois_shows_each_once() -> None:
    layout = Drawn()
    regions = {
        "decomp": [roi(1, "r0"), roi(2, "r1", 1), roi(3, "r4", 2)],
        "random": [roi(1, "r0"), roi(2, "r4"), roi(2, "r3", image="other")],
    }
    pool = pool_of((30, 50), None, *(f"slide/r{i}" for i in range(9)), "other/r3")
    (sheet,) = pictures_of(layout, pool, regions, ["slide"], 1, 300)
    assert layout.opened == ["slide/r0", "slide/r1", "slide/r4"]
    assert [(b.strategy, b.cycle, b.cls) for b in sheet.boxes] == [
        *(("decomp", 1, None), ("decomp", 2, 1), ("decomp", 3, 2)),
        *(("random", 1, None), ("random", 2, None)),
    ]
    places = [b.rectangle for b in sheet.boxes]
    assert places[0] == places[3] and places[2] == places[4], "one tile, two strategies"
    assert len(set(places)) == 3 and max(sheet.pixels.shape) <= 300
    for (y, x, height, width), name in zip(places, ["r0", "r1", "r4"], strict=False):
        middle = sheet.pixels[round(y + height / 2), round(x + width / 2)]
        assert tuple(middle) == colour_of(name)
        assert y >= 0 and y + height <= sheet.pixels.shape[0] and x + width <= sheet.pixels.shape[1]


@pytest.mark.parametrize(
    ("regions", "said"),
    [
        ([], "no regions to show for s"),
        ([window(2, "b", (0, 0))], "b has regions but is not in the pool of 2 rows"),
        ([roi(1, "r1")], "slide/r1 has regions but is not in the pool"),
        ([window(2, "a", (55, 0))], r"a: a region of cycle 2 from \(55, 0\) to \(65, 12\)"),
        ([window(2, "ct", (0, 0))], r"allowed: within the image's shape \(9, 60, 80\)"),
        ([window(2, "a", (0, 0)), window(2, "ct", (0, 0, 0))], "cannot be shown together"),
    ],
)
def test_refusals(regions: list[RegionRow], said: str) -> None:
    pool = pool_of((60, 80), None, "a") | pool_of((9, 60, 80), 0, "ct")
    with pytest.raises(DataError, match=said):
        pictures_of(Drawn(), pool, {"s": regions}, ["a", "b", "ct", "slide"], 1, 10)


def test_an_image_has_the_boxes_of_all_strategies() -> None:
    layout = Drawn()
    regions = {
        "decomp": [window(1, "a", (0, 0)), window(2, "a", (30, 40), 2, order=1)],
        "random": [window(2, "b", (5, 5)), window(3, "a", (50, 68))],
    }
    pool = pool_of((60, 80), None, "a", "b", "c")
    pictures = pictures_of(layout, pool, regions, ["b", "a", "c"], 3, 100)
    assert [p.title for p in pictures] == layout.opened == ["b", "a"], "c has no regions"
    assert pictures[1].boxes == (
        Box("decomp", 1, 0, None, (0, 0, 10, 12), "window"),
        Box("decomp", 2, 1, 2, (30, 40, 10, 12), "window"),
        Box("random", 3, 0, None, (50, 68, 10, 12), "window"),
    )
    assert np.array_equal(pictures[1].pixels, layout.open_image(pool["a"]))
