"""Filling over cycles: what is annotated up to a cycle, in the colour of its cycle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import colormaps
from matplotlib.figure import Figure

from al.io.errors import DataError
from al.io.tables import RegionRow
from al.report.filling import (
    columns_of,
    draw_filling,
    fills,
    images_that_fill,
    painted,
    plot_filling,
    revealed,
)
from decomp_core import Region, footprint

from .drawing_sample import Drawn, colour_of, pool_of, roi, window


def _panels(figure: Figure) -> list[Any]:
    return [axes for axes in figure.axes if axes.get_title(loc="left")]


def _titles(figure: Figure) -> list[str]:
    return [axes.get_title(loc="left") for axes in _panels(figure)]


def _strips(figure: Figure) -> list[np.ndarray]:
    """Strips beside slices, (D, 3), slice 0 first."""
    found = [a.images[0].get_array() for a in figure.axes if len(a.get_yticks()) == 1]
    return [strip[::-1, 0] for strip in found]


def _texts(figure: Figure) -> str:
    return "\n".join(t.get_text() for t in figure.texts)


def _coloured(axes: Any) -> np.ndarray:
    pixels = axes.images[0].get_array().astype(int)
    return pixels.max(axis=2) - pixels.min(axis=2) > 2


def _new(axes: Any) -> list[tuple[float, float]]:
    """Corners of the boxes that are outlined; each has a rim."""
    return [(p.get_y(), p.get_x()) for p in axes.patches[1::2]]


def test_columns_are_spread_over_the_run() -> None:
    def cycles(*numbers: int) -> dict[str, list[RegionRow]]:
        return {"s": [window(n, "a", (0, 0)) for n in numbers], "t": []}

    assert columns_of(cycles(3, 1, 2, 2)) == [1, 2, 3]
    assert columns_of(cycles(*range(1, 14))) == [1, 4, 7, 10, 13]
    assert columns_of(cycles(*range(1, 10)), most=2) == [1, 9]
    assert columns_of(cycles(4)) == [4]


@given(st.sets(st.integers(1, 60), min_size=1), st.integers(1, 7))
@settings(max_examples=50, deadline=None)
def test_columns_are_cycles_of_the_run(cycles: set[int], most: int) -> None:
    found = columns_of({"s": [window(n, "a", (0, 0)) for n in cycles]}, most)
    assert found == sorted(set(found)) and set(found) <= cycles
    assert len(found) == min(most, len(cycles))
    assert found[0] == min(cycles)
    assert most == 1 or found[-1] == max(cycles)


def test_images_that_strategies_come_back_to_come_first() -> None:
    def chosen(*opened: tuple[int, str]) -> list[RegionRow]:
        return [window(cycle, image, (0, 0)) for cycle, image in opened]

    regions = {
        "s": chosen((1, "twice"), (2, "twice"), (1, "once"), (2, "long"), (3, "long"), (4, "long")),
        "t": chosen((1, "twice"), (3, "twice"), (1, "once"), (1, "once"), (2, "once")),
    }
    # twice: both came back; long: one, 3 cycles; once: one, 1 + 2 cycles but 4 regions
    assert images_that_fill(regions, 9) == ["twice", "once", "long"]
    assert images_that_fill(regions, 1) == ["twice"]


@given(st.integers(0, 2**32), st.sampled_from(["square", "disc", "annulus"]))
@settings(max_examples=25, deadline=None)
def test_only_what_is_annotated_has_colour(seed: int, shape: str) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 256, (20, 24, 3)).astype(np.uint8)
    mask = footprint(shape, (7, 9))
    colour = (0.2, 0.8, 0.4)
    found = painted(pixels, [((3, 5, 7, 9), None if shape == "square" else mask, colour)])
    whole = np.zeros((20, 24), bool)
    whole[3:10, 5:14] = mask
    assert ((np.ptp(found.astype(int), axis=2) > 0) == whole).all()
    for y in range(20):  # slowly, pixel by pixel
        for x in range(24):
            red, green, blue = (int(v) for v in pixels[y, x])
            grey = 255 * 0.3 + 0.7 * (0.299 * red + 0.587 * green + 0.114 * blue)
            own = colour if whole[y, x] else (grey / 255,) * 3
            share = 0.6 if whole[y, x] else 0.0
            expected = [(1 - share) * grey + share * 255 * c for c in own]
            assert np.abs(found[y, x] - expected).max() <= 0.51


@given(st.lists(st.tuples(st.sampled_from("st"), st.integers(1, 3), st.sampled_from("abc"))))
@settings(max_examples=100, deadline=None)
def test_images_fill_up_where_a_strategy_comes_back(opened: list[tuple[str, int, str]]) -> None:
    regions = {s: [window(n, i, (0, 0)) for t, n, i in opened if t == s] for s in "st"}
    back = any(
        a[0] == b[0] and a[2] == b[2] and a[1] != b[1] for a in opened for b in opened
    )  # by pairs
    assert fills(regions) == back


def test_an_image_fills_up() -> None:
    layout = Drawn()
    regions = {
        "decomp": [
            window(1, "a", (0, 0)),
            window(2, "a", (20, 30)),
            window(4, "a", (40, 5)),
            window(3, "b", (0, 0)),
        ],
        "random": [window(1, "a", (0, 0)), window(3, "a", (30, 60))],
    }
    figure = draw_filling(layout, pool_of((60, 80), None, "a", "b"), regions)
    assert layout.opened == ["a"] and "a" in _texts(figure).split("\n")
    assert _titles(figure) == [
        *("cycle 1: 1 region", "cycle 2: 2 regions", "cycle 3: 2 regions", "cycle 4: 3 regions"),
        *("cycle 1: 1 region", "cycle 2: 1 region", "cycle 3: 2 regions", "cycle 4: 2 regions"),
    ]
    panels = _panels(figure)
    assert [_coloured(a).sum() // 120 for a in panels] == [1, 2, 2, 3, 1, 1, 2, 2]
    news = [[(0, 0)], [(20, 30)], [], [(40, 5)], [(0, 0)], [], [(30, 60)], []]
    assert [_new(a) for a in panels] == news
    for before, after in zip(panels[:3], panels[1:4], strict=True):
        assert (_coloured(before) <= _coloured(after)).all(), "nothing is taken back"
    colours = [colormaps["viridis"](n / 3)[:3] for n in range(4)]
    last = panels[3].images[0].get_array()
    for (y, x), cycle in (((0, 0), 1), ((20, 30), 2), ((40, 5), 4)):
        hue = last[y : y + 10, x : x + 12].reshape(-1, 3).astype(float)
        grey = hue - 0.6 * 255 * np.array(colours[cycle - 1])
        assert np.ptp(grey, axis=1).max() <= 1.01, "the colour of its cycle over grey"


def test_regions_between_columns_are_new_in_the_next() -> None:
    regions = {"s": [window(n, "a", (0, 12 * (n - 1))) for n in range(1, 7)]}
    figure = draw_filling(Drawn(), pool_of((60, 80), None, "a"), regions)
    assert [t.split(":")[0] for t in _titles(figure)] == [f"cycle {n}" for n in (1, 2, 3, 5, 6)]
    assert [len(_new(axes)) for axes in _panels(figure)] == [1, 1, 1, 2, 1]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_volume_fills_up(axis: int) -> None:
    def placed(cycle: int, z: int, y: int, x: int, depth: int = 1) -> RegionRow:
        start, size = [y, x], [10, 12]
        start.insert(axis, z)
        size.insert(axis, depth)
        kind = "slice_window" if depth == 1 else "patch"
        return RegionRow.of(cycle, "ct", kind, Region(tuple(start), tuple(size)), 0)

    shape = [50, 60]
    shape.insert(axis, 20)
    regions = {"s": [placed(1, 3, 0, 0), placed(2, 8, 0, 0), placed(3, 6, 20, 30, depth=4)]}
    figure = draw_filling(Drawn(), pool_of(tuple(shape), axis, "ct"), regions)
    assert "ct, slice 8 of 20" in _texts(figure), "annotated in two cycles, slice 3 in one"
    panels = _panels(figure)
    assert [_coloured(a).sum() for a in panels] == [0, 120, 240]
    assert [_new(a) for a in panels] == [[], [(0, 0)], [(20, 30)]]
    viridis = [np.rint(255 * np.array(colormaps["viridis"](n / 2)[:3])) for n in range(3)]
    for strip, cycles in zip(
        _strips(figure), [{3: 1}, {3: 1, 8: 2}, {3: 1, 8: 2, 6: 3, 7: 3, 9: 3}], strict=True
    ):
        assert strip.shape == (20, 3)
        for z in range(20):
            expected = viridis[cycles[z] - 1] if z in cycles else [225] * 3
            assert np.array_equal(strip[z], expected)
    (tick,) = next(a for a in figure.axes if len(a.get_yticks()) == 1).get_yticks()
    assert tick == 20 - 8.5, "the middle of slice 8, counted from the bottom"


@pytest.mark.parametrize("shape", ["disc", "annulus"])
def test_windows_of_a_shape(shape: str) -> None:
    pool = pool_of((60, 80), None, "a") | pool_of((5, 60, 80), 0, "ct")
    for image, start in (("a", (20, 30)), ("ct", (2, 20, 30))):
        again = (*start[:-2], 0, 60)
        regions = {"s": [window(2, image, start), window(3, image, again)]}
        axes = _panels(draw_filling(Drawn(), pool, regions, shape=shape))[0]
        expected = np.zeros((60, 80), bool)
        expected[20:30, 30:42] = footprint(shape, (10, 12))
        assert np.array_equal(_coloured(axes), expected)


def test_a_slide_fills_up() -> None:
    layout = Drawn()
    names = [f"slide/r{i}" for i in range(6)]
    pool = pool_of((30, 30), None, *names, "other/r7")
    regions = {"s": [roi(1, "r0"), roi(2, "r3"), roi(2, "r5"), roi(3, "r7", image="other")]}
    figure = draw_filling(layout, pool, regions)
    assert layout.opened == names
    assert "slide, 6 of 6 RoIs" in _texts(figure)
    assert _titles(figure) == ["cycle 1: 1 RoI", "cycle 2: 3 RoIs", "cycle 3: 3 RoIs"]
    for axes, shown in zip(_panels(figure), ([0], [0, 3, 5], [0, 3, 5]), strict=True):
        pixels = axes.images[0].get_array()
        seen = set(map(tuple, pixels[_coloured(axes)].tolist()))
        assert seen == {colour_of(f"r{i}") for i in shown}
        assert _coloured(axes).sum() == len(shown) * 64 * 64
    borders = [[p.get_linewidth() for p in axes.patches] for axes in _panels(figure)]
    assert [[w > 2 for w in own] for own in borders] == [[True], [False, True, True], [False] * 3]


def test_of_many_rois_those_that_are_chosen_are_shown() -> None:
    pool = pool_of((8, 8), None, *(f"slide/r{i:02d}" for i in range(59)))
    used = [f"r{i:02d}" for i in range(0, 58, 2)]
    layout = Drawn()
    regions = {"s": [roi(1 + i % 2, name) for i, name in enumerate(used)]}
    figure = draw_filling(layout, pool, regions)
    assert len(layout.opened) == 40 and set(layout.opened) >= {f"slide/{name}" for name in used}
    assert "slide, 40 of 59 RoIs" in _texts(figure)
    layout = Drawn()
    figure = draw_filling(layout, pool, {"s": [roi(1 + i % 2, f"r{i:02d}") for i in range(50)]})
    assert layout.opened == [f"slide/r{i * 50 // 40:02d}" for i in range(40)], "evenly spaced"
    assert "slide, 40 of 59 RoIs (of the 50 that any strategy chose)" in _texts(figure)


def test_tiles_keep_their_own_colours() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 20, 3)).astype(np.uint8)
    found = revealed(pixels, [(2.0, 3.0, 5.0, 6.0)])
    assert np.array_equal(found[2:7, 3:9], pixels[2:7, 3:9])
    outside = np.ones((20, 20), bool)
    outside[2:7, 3:9] = False
    assert (np.ptp(found[outside].astype(int), axis=1) == 0).all() and found[outside].min() >= 165


def test_panels_lie_apart() -> None:
    pool = pool_of((60, 80), None, "wide") | pool_of((80, 30), None, "tall")
    regions = {
        name: [window(n, image, (0, 12)) for n in range(1, 9) for image in pool] for name in "abcd"
    }
    figure = draw_filling(Drawn(), pool, regions, n_images=2)
    places = [axes.get_position(original=True) for axes in figure.axes]
    assert len(places) == 2 * 4 * 5 + 1
    for i, a in enumerate(places):
        assert min(a.x0, a.y0) >= 0 and max(a.x1, a.y1) <= 1
        for b in places[:i]:
            assert a.x0 >= b.x1 or b.x0 >= a.x1 or a.y0 >= b.y1 or b.y0 >= a.y1


def test_of_many_strategies_the_first_are_shown() -> None:
    regions = {f"s{i}": [window(i + 1, "a", (0, 0))] for i in range(8)}
    regions["s0"].append(window(2, "a", (20, 30)))
    figure = draw_filling(Drawn(), pool_of((60, 80), None, "a"), regions)
    assert len(_panels(figure)) == 6 * 5
    assert "The first 6 of 8 strategies are shown." in _texts(figure)
    assert _titles(figure)[4].startswith("cycle 6"), "cycles of those that are shown"


def test_files(tmp_path: Path) -> None:
    png, pdf = tmp_path / "f.png", tmp_path / "f.pdf"
    pool = pool_of((400, 500), None, "a")
    regions = {name: [window(n, "a", (10 * n, 0)) for n in range(5)] for name in "ab"}
    plot_filling(Drawn(), pool, regions, png, pdf)
    assert png.stat().st_size > 10_000 and 10_000 < pdf.stat().st_size < 2_000_000
    plot_filling(Drawn(), pool, {"a": []}, png, None)
    assert 0 < png.stat().st_size < 10_000, "says that there is nothing yet"


def test_refusals() -> None:
    pool = pool_of((60, 80), None, "a")
    assert draw_filling(Drawn(), pool, {"s": []}) is None
    assert draw_filling(Drawn(), pool, {}) is None
    for cycles in ([1], [1, 2]):  # of the pool, and of the image
        with pytest.raises(DataError, match="b has regions but is not in the pool"):
            draw_filling(Drawn(), pool, {"s": [window(n, "b", (0, 0)) for n in cycles]})
        with pytest.raises(DataError, match="within the image's shape"):
            draw_filling(Drawn(), pool, {"s": [window(n, "a", (55, 0)) for n in cycles]})
    with pytest.raises(DataError, match="cannot be shown together"):
        draw_filling(Drawn(), pool, {"s": [window(1, "a", (0, 0)), roi(1, "r1", image="a")]})
    with pytest.raises(ValueError, match="n_images is 0"):
        draw_filling(Drawn(), pool, {"s": [window(1, "a", (0, 0))]}, n_images=0)
