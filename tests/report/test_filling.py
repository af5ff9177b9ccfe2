"""Filling over cycles: of an image's area, and of the pool where no image is chosen twice."""

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
from al.report.filling import draw_filling, images_that_fill, plot_filling
from al.report.pool_filling import NEVER, pool_images
from decomp_core import footprint

from .drawing_sample import Drawn, colour_of, placed, pool_of, roi, window

FEW = settings(max_examples=12, deadline=None)


def _panels(figure: Figure) -> list[Any]:
    return [axes for axes in figure.axes if axes.get_title(loc="left")]


def _cycles(figure: Figure) -> list[int]:
    titles = [axes.get_title(loc="left") for axes in _panels(figure)]
    return [int(t.split(":")[0].removeprefix("cycle ")) for t in titles]


def _texts(figure: Figure) -> str:
    return "\n".join(t.get_text() for t in figure.texts)


def _coloured(axes: Any) -> np.ndarray:
    pixels = axes.images[0].get_array().astype(int)
    return pixels.max(axis=2) - pixels.min(axis=2) > 2


def _new(axes: Any) -> list[tuple[float, float]]:
    """Corners of the boxes that are outlined; each has a rim."""
    return [(p.get_y(), p.get_x()) for p in axes.patches[1::2]]


def _viridis(*places: float) -> list[tuple[float, ...]]:
    return [colormaps["viridis"](place)[:3] for place in places]


def test_images_that_strategies_come_back_to_come_first() -> None:
    def chosen(*opened: tuple[int, str]) -> list[RegionRow]:
        return [window(cycle, image, (0, 0)) for cycle, image in opened]

    regions = {
        "s": chosen((1, "twice"), (2, "twice"), (1, "once"), (2, "long"), (3, "long"), (4, "long")),
        "t": chosen((1, "twice"), (3, "twice"), (1, "once"), (1, "once"), (2, "once")),
    }
    # twice: both came back; long: one, 3 cycles; once: one, 1 + 2 cycles but 4 regions
    assert images_that_fill(regions, 9) == ["twice", "once", "long"]


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
    panels = _panels(figure)
    assert _cycles(figure) == 2 * [1, 2, 3, 4]
    assert [_coloured(a).sum() // 120 for a in panels] == [1, 2, 2, 3, 1, 1, 2, 2]
    news = [[(0, 0)], [(20, 30)], [], [(40, 5)], [(0, 0)], [], [(30, 60)], []]
    assert [_new(a) for a in panels] == news
    last = panels[3].images[0].get_array()
    for (y, x), colour in zip(((0, 0), (20, 30), (40, 5)), _viridis(0.0, 1 / 3, 1.0), strict=True):
        grey = last[y : y + 10, x : x + 12].astype(float) - 0.6 * 255 * np.array(colour)
        assert np.ptp(grey, axis=2).max() <= 1.01, "the colour of its cycle over grey"
    between = {"s": [window(n, "a", (0, 12 * (n - 1))) for n in range(1, 7)]}
    shown = _panels(draw_filling(Drawn(), pool_of((60, 80), None, "a"), between))
    assert [len(_new(axes)) for axes in shown] == [1, 1, 1, 2, 1], "cycle 4 has no column"
    regions = {"s": [window(2, "a", (20, 30)), window(3, "a", (0, 60))]}
    figure = draw_filling(Drawn(), pool_of((60, 80), None, "a"), regions, shape="disc")
    expected = np.zeros((60, 80), bool)
    expected[20:30, 30:42] = footprint("disc", (10, 12))
    assert np.array_equal(_coloured(_panels(figure)[0]), expected)


def test_a_volume_fills_up() -> None:
    axis, shape = 1, (50, 20, 60)
    regions = {
        "s": [
            placed(axis, 1, "ct", (3, 0, 0)),
            placed(axis, 2, "ct", (8, 0, 0)),
            placed(axis, 3, "ct", (6, 20, 30), depth=4),
        ]
    }
    figure = draw_filling(Drawn(), pool_of(shape, axis, "ct"), regions)
    assert "slice 8 of 20" in _texts(figure), "annotated in two cycles, slice 3 in one"
    panels = _panels(figure)
    assert [_coloured(a).sum() for a in panels] == [0, 120, 240]
    assert [_new(a) for a in panels] == [[], [(0, 0)], [(20, 30)]]
    viridis = [np.rint(255 * np.array(c)) for c in _viridis(0.0, 0.5, 1.0)]
    strips = [a.images[0].get_array()[::-1, 0] for a in figure.axes if len(a.get_yticks()) == 1]
    cycles: dict[int, int] = {}
    for strip, new in zip(strips, [{3: 1}, {8: 2}, {6: 3, 7: 3, 9: 3}], strict=True):
        cycles |= new
        for z in range(20):
            expected = viridis[cycles[z] - 1] if z in cycles else [225] * 3
            assert np.array_equal(strip[z], expected)


def test_a_slide_fills_up() -> None:
    pool = pool_of((30, 30), None, *(f"slide/r{i}" for i in range(6)), "other/r7")
    regions = {"s": [roi(1, "r0"), roi(2, "r3"), roi(2, "r5"), roi(3, "r7", image="other")]}
    figure = draw_filling(Drawn(), pool, regions)
    for axes, shown in zip(_panels(figure), ([0], [0, 3, 5], [0, 3, 5]), strict=True):
        pixels = axes.images[0].get_array()
        seen = set(map(tuple, pixels[_coloured(axes)].tolist()))
        assert seen == {colour_of(f"r{i}") for i in shown}
    pool = pool_of((8, 8), None, *(f"slide/r{i:02d}" for i in range(59)))
    used = [f"r{i:02d}" for i in range(0, 58, 2)]
    layout = Drawn()
    draw_filling(layout, pool, {"s": [roi(1 + i % 2, name) for i, name in enumerate(used)]})
    assert len(layout.opened) == 40 and set(layout.opened) >= {f"slide/{name}" for name in used}


def test_files_and_refusals(tmp_path: Path) -> None:
    png, pdf, empty = (tmp_path / name for name in ("f.png", "f.pdf", "empty.png"))
    pool = pool_of((60, 80), None, "a")
    plot_filling(Drawn(), pool, {"a": [window(n, "a", (10 * n, 0)) for n in range(3)]}, png, pdf)
    plot_filling(Drawn(), pool, {"a": []}, empty, None)
    assert 0 < empty.stat().st_size < png.stat().st_size / 2, "says that there is nothing yet"
    assert pdf.stat().st_size > 5_000
    for cycles in ([1], [1, 2]):  # of the pool, and of the image
        with pytest.raises(DataError, match="b has regions but is not in the pool"):
            draw_filling(Drawn(), pool, {"s": [window(n, "b", (0, 0)) for n in cycles]})


def _train(shape: tuple[int, ...], *names: str) -> dict[str, PoolRow]:
    return {k: r.with_split("train") for k, r in pool_of(shape, None, *names).items()}


def _cells(figure: Figure) -> list[list[tuple[float, ...]]]:
    """Colours of the cells of each strategy, row by row."""
    found = []
    for axes in figure.axes:
        for cells in (c for c in axes.collections if isinstance(c, PatchCollection)):
            corners = [tuple(path.vertices.min(axis=0)[::-1]) for path in cells.get_paths()]
            assert corners == sorted(corners), "in the pool's order"
            found.append([tuple(c[:3]) for c in cells.get_facecolors()])
    return found


def test_the_pool_fills_up() -> None:
    layout, test = Drawn(), pool_of((60, 80), None, "x")["x"]
    rows = _train((60, 80), *"abcdef") | {"x": replace(test, split="test")}
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
    one, two, four = _viridis(0.0, 1 / 3, 1.0)
    assert _cells(figure) == [
        [four, NEVER, one, NEVER, two, two],
        [NEVER, two, one, NEVER, NEVER, NEVER],
    ]
    assert "4 of 6 images" in _texts(figure) and "2 of 6 images" in _texts(figure)
    assert _cycles(figure) == [1, 2, 4, 1, 2]
    assert layout.opened == ["c", "f", "a", "c", "b"], "the first that each cycle opened"
    news = [[(0, 0), (20, 0)], [(40, 30)], [(0, 0)], [(0, 0)], [(0, 0)]]
    assert [_new(axes) for axes in _panels(figure)] == news
    back = regions | {"random": [window(1, "c", (0, 0)), window(2, "c", (20, 0))]}
    assert not _cells(draw_filling(Drawn(), rows, back)), "an image that fills is drawn instead"


@FEW
@given(st.integers(1, 60), st.integers(0, 40), st.integers(1, 30), st.integers(0, 2**32))
def test_every_image_is_in_one_cell(train: int, others: int, most: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    names = [f"i{n:04d}" for n in range(train + others)]
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
