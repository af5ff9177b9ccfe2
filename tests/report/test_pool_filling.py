"""Filling of the pool: a cell per image, in the colour of the cycle that annotated it first."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import colormaps
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure

from al.io.errors import DataError
from al.io.tables import PoolRow, RegionRow
from al.report.filling import draw_filling, plot_filling
from al.report.pool_filling import (
    LARGEST_CELL,
    NEVER,
    first_cycles,
    grid_shape,
    pool_images,
)

from .drawing_sample import Drawn, pool_of, roi, window

Cells = list[tuple[int, int, tuple[float, ...]]]


def _train(shape: tuple[int, ...], axis: int | None, *names: str) -> dict[str, PoolRow]:
    return {k: r.with_split("train") for k, r in pool_of(shape, axis, *names).items()}


def _names(count: int) -> list[str]:
    return [f"i{n:04d}" for n in range(count)]


def _cells(figure: Figure) -> list[Cells]:
    """Row, column and colour of the cells of each strategy."""
    found = []
    for axes in figure.axes:
        for cells in (c for c in axes.collections if isinstance(c, PatchCollection)):
            corners = [path.vertices.min(axis=0) for path in cells.get_paths()]
            colours = [tuple(c[:3]) for c in cells.get_facecolors()]
            found.append([(int(y), int(x), c) for (x, y), c in zip(corners, colours, strict=True)])
    return found


def _pictures(figure: Figure) -> list[Any]:
    return [axes for axes in figure.axes if axes.get_title(loc="left")]


def _texts(figure: Figure) -> list[str]:
    return [t.get_text() for t in figure.texts]


def _edges(axes: Any) -> set[tuple[float, ...]]:
    """Colours of the boxes; each has a rim."""
    return {tuple(p.get_edgecolor()[:3]) for p in axes.patches[1::2]}


def test_the_pool_fills_up() -> None:
    layout = Drawn()
    rows = _train((60, 80), None, *"abcdef") | {
        "x": replace(pool_of((60, 80), None, "x")["x"], split="test")
    }
    regions = {
        "decomp": [
            window(1, "c", (0, 0), order=0),
            window(1, "c", (20, 0), order=1),
            window(2, "e", (0, 0), order=1),
            window(2, "f", (40, 30), order=0),
            window(4, "a", (0, 0)),
        ],
        "random": [window(1, "c", (0, 0)), window(2, "b", (0, 0))],
    }
    figure = draw_filling(layout, rows, regions)
    one, two, four = (colormaps["viridis"](n)[:3] for n in (0.0, 1 / 3, 1.0))
    decomp, random = _cells(figure)
    assert [c for _, _, c in decomp] == [four, NEVER, one, NEVER, two, two]
    assert [c for _, _, c in random] == [NEVER, two, one, NEVER, NEVER, NEVER]
    assert [(y, x) for y, x, _ in decomp] == [(0, n) for n in range(6)], "in the pool's order"
    texts = _texts(figure)
    assert "4 of 6 images annotated" in texts and "2 of 6 images annotated" in texts
    assert "A cell is an image; in the order of the pool." in texts
    assert not any("validation" in t or "strategies" in t for t in texts)
    titles = [axes.get_title(loc="left") for axes in _pictures(figure)]
    assert titles == ["cycle 1", "cycle 2", "cycle 4", "cycle 1", "cycle 2"]
    assert layout.opened == ["c", "f", "a", "c", "b"], "the first that each cycle opened"
    assert [_edges(axes) for axes in _pictures(figure)] == [{one}, {two}, {four}, {one}, {two}]
    corners = [[(p.get_y(), p.get_x()) for p in a.patches[1::2]] for a in _pictures(figure)]
    assert corners == [[(0, 0), (20, 0)], [(40, 30)], [(0, 0)], [(0, 0)], [(0, 0)]]
    pictures = _pictures(figure)
    for above, below in zip(pictures[:2], pictures[3:], strict=True):
        assert above.get_position().x0 == below.get_position().x0, "the same cycles in columns"


def test_one_image_that_a_strategy_comes_back_to_is_drawn_instead() -> None:
    rows = _train((60, 80), None, *"abc")
    once = {"s": [window(1, "a", (0, 0)), window(2, "b", (0, 0))], "t": [window(2, "a", (0, 0))]}
    assert _cells(draw_filling(Drawn(), rows, once))
    twice = once | {"t": [window(1, "c", (0, 0)), window(2, "c", (20, 0))]}
    figure = draw_filling(Drawn(), rows, twice)
    assert not _cells(figure) and "c" in _texts(figure)


@given(st.integers(1, 60), st.integers(0, 40), st.integers(1, 30), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_every_image_is_in_one_cell(train: int, others: int, most: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = _names(train + others)
    splits = rng.permutation(["train"] * train + ["val", "test", "val", "test"] * others)
    rows = {
        key: row.with_split(str(split))
        for (key, row), split in zip(pool_of((9, 9), None, *names).items(), splits, strict=False)
    }
    used = list(rng.choice(names, rng.integers(1, len(names) + 1), replace=False))
    regions = {"s": [window(1, str(i), (0, 0)) for i in used], "t": []}
    pool = pool_images(rows, regions, most)
    expected = [n for n in names if rows[n].split == "train" or n in used]
    assert [i for cell in pool.cells for i in cell] == expected
    assert pool.validation == sum(rows[n].split == "val" for n in expected)
    assert len(pool.cells) <= most
    assert all(len(cell) == pool.per_cell for cell in pool.cells[:-1])
    assert pool.per_cell == 1 or math.ceil(len(expected) / (pool.per_cell - 1)) > most, "no fewer"


def test_slides_are_cells_and_their_rois_are_pictures() -> None:
    names = [f"s{i}/r{j}" for i in range(3) for j in range(4)]
    layout = Drawn()
    chosen = [roi(1, "r1", image="s2"), roi(1, "r3", image="s2"), roi(2, "r0", image="s0")]
    figure = draw_filling(layout, _train((30, 30), None, *names), {"s": chosen})
    first, last = (colormaps["viridis"](n)[:3] for n in (0.0, 1.0))
    assert [c for _, _, c in _cells(figure)[0]] == [last, NEVER, first]
    assert layout.opened == ["s2/r1", "s2/r3", "s0/r0"]
    assert [len(axes.patches) // 2 for axes in _pictures(figure)] == [2, 1]


def test_a_picture_of_a_volume_is_a_slice_with_regions() -> None:
    rows = _train((5, 60, 80), 0, "a", "b")
    regions = {"s": [window(1, "b", (3, 0, 0)), window(2, "a", (1, 20, 30))]}
    figure = draw_filling(Drawn(), rows, regions)
    titles = [axes.get_title(loc="left") for axes in _pictures(figure)]
    assert titles == ["cycle 1, slice 3", "cycle 2, slice 1"]


def test_images_of_a_large_pool_share_cells() -> None:
    names = _names(1500)
    regions = {"s": [window(c, names[i], (0, 0)) for c, i in ((3, 0), (1, 2), (2, 4), (3, 1499))]}
    figure = draw_filling(Drawn(), _train((60, 80), None, *names), regions)
    (cells,) = _cells(figure)
    assert len(cells) == 500
    one, two, three = (colormaps["viridis"](n)[:3] for n in (0.0, 0.5, 1.0))
    coloured = {n: c for n, (_, _, c) in enumerate(cells) if c != NEVER}
    assert coloured == {0: one, 1: two, 499: three}, "the earliest of a cell"
    text = "A cell is 3 images, with the colour of the first annotated; in the order of the pool."
    assert text in _texts(figure) and "4 of 1500 images annotated" in _texts(figure)


def test_validation_images_with_regions_are_counted() -> None:
    rows = _train((60, 80), None, *"abc")
    rows |= {i: pool_of((60, 80), None, i)[i].with_split("val") for i in "vw"}
    regions = {"s": [window(1, "a", (0, 0)), window(1, "w", (0, 0), order=1)]}
    figure = draw_filling(Drawn(), rows, regions)
    assert len(_cells(figure)[0]) == 4
    assert "1 image is for validation." in _texts(figure)


def test_of_many_strategies_and_cycles_some_are_shown() -> None:
    names = _names(12)
    rows = _train((60, 80), None, *names)
    regions = {f"s{n}": [window(c + 1, names[c], (0, 0)) for c in range(10)] for n in range(6)}
    regions |= {"s6": [window(20, "i0000", (0, 0)), window(21, "i0000", (0, 0))]}
    figure = draw_filling(Drawn(), rows, regions)
    assert len(_cells(figure)) == 6
    assert "The first 6 of 7 strategies are shown." in _texts(figure)
    titles = [axes.get_title(loc="left") for axes in _pictures(figure)]
    assert titles == ["cycle 1", "cycle 4", "cycle 7", "cycle 10"] * 6


@given(st.lists(st.tuples(st.integers(1, 9), st.sampled_from("abcd"))))
def test_first_cycles(opened: list[tuple[int, str]]) -> None:
    regions: list[RegionRow] = [window(cycle, image, (0, 0)) for cycle, image in opened]
    expected = {i: min(c for c, image in opened if image == i) for _, i in opened}
    assert first_cycles(regions) == expected


@given(st.integers(1, 600), st.floats(0.5, 5), st.floats(0.5, 5))
@settings(max_examples=60, deadline=None)
def test_cells_are_as_large_as_they_can_be(n_cells: int, width: float, height: float) -> None:
    rows, columns = grid_shape(n_cells, width, height)
    assert (rows - 1) * columns < n_cells <= rows * columns
    side = min(width / columns, height / rows, LARGEST_CELL)
    for other in range(1, n_cells + 1):  # none larger
        lines = 0
        while lines * other < n_cells:
            lines += 1
        assert min(width / other, height / lines, LARGEST_CELL) <= side


@pytest.mark.parametrize("shape", [(60, 80), (80, 30), (300, 100)])
@pytest.mark.parametrize("count", [1, 7, 400, 3000])
def test_nothing_overlaps(shape: tuple[int, int], count: int) -> None:
    names = _names(count)
    rows = _train(shape, None, *names)
    regions = {
        name * 60: [window(c + 1, i, (0, 12)) for c, i in enumerate(names[:9])]
        for name in "abcdefg"
    }
    figure = draw_filling(Drawn(), rows, regions)
    assert figure.get_figwidth() <= 7.0
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    places = [axes.get_tightbbox(renderer) for axes in figure.axes]
    places += [text.get_window_extent(renderer) for text in figure.texts]
    for i, a in enumerate(places):
        assert min(a.x0, a.y0) >= 0
        assert a.x1 <= figure.bbox.x1 and a.y1 <= figure.bbox.y1
        for b in places[:i]:
            assert a.x0 >= b.x1 or b.x0 >= a.x1 or a.y0 >= b.y1 or b.y0 >= a.y1


def test_files(tmp_path: Path) -> None:
    png, pdf = tmp_path / "f.png", tmp_path / "f.pdf"
    names = _names(700)
    rows = _train((400, 500), None, *names)
    regions = {s: [window(n + 1, names[n], (10 * n, 0)) for n in range(5)] for s in "ab"}
    plot_filling(Drawn(), rows, regions, png, pdf)
    assert png.stat().st_size > 10_000 and 10_000 < pdf.stat().st_size < 2_000_000


def test_refusals() -> None:
    rows = _train((30, 30), None, "s/r0")
    with pytest.raises(DataError, match="s/r1 has regions but is not in the pool of 1 rows"):
        draw_filling(Drawn(), rows, {"s": [roi(1, "r1", image="s")]})
    # Of an image of which no picture is drawn as well.
    rows = _train((60, 80), None, "a", "b")
    regions = {"s": [window(1, "a", (0, 0), order=0), window(1, "z", (0, 0), order=1)]}
    with pytest.raises(DataError, match="z has regions but is not in the pool of 2 rows"):
        draw_filling(Drawn(), rows, regions)
