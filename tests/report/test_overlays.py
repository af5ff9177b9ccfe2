"""Overlays: the right images, slices and boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse, Rectangle

from al.io.errors import DataError
from al.report.overlays import choose_images, draw_regions

from .drawing_sample import Drawn, pool_of, roi, window

CLASSES = ["road", "pole", "pedestrian"]


def _boxes(axes: Any) -> list[tuple[float, float, float, float]]:
    """Coloured boxes as (top, left, height, width); each is drawn on its rim."""
    patches = [p for p in axes.patches if isinstance(p, Rectangle)]
    return [(p.get_y(), p.get_x(), p.get_height(), p.get_width()) for p in patches[1::2]]


def _titles(figure: Figure) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes]


def test_images_that_most_strategies_opened_come_first() -> None:
    first = [window(1, "first", (0, 0)), window(1, "first", (20, 20))]
    regions = {
        "a": [*first, window(2, "both", (0, 0)), window(2, "only", (0, 0))],
        "b": [*first, window(3, "both", (0, 0)), window(2, "zoo", (0, 0))],
    }
    assert choose_images(regions, 9) == ["both", "only", "zoo", "first"]
    assert choose_images({"a": first}, 3) == ["first"]
    opened = {"a": "wxy", "b": "wx", "c": "wz", "d": "z", "e": "y"}
    regions = {n: [window(2, image, (0, 0)) for image in own] for n, own in opened.items()}
    # w has a, b and c; then x has none that is new, y has e, z has d
    assert choose_images(regions, 3) == ["w", "y", "z"]


def test_boxes_on_an_image_and_who_has_none() -> None:
    layout = Drawn()
    regions = {
        "decomp": [window(1, "a", (0, 0)), window(2, "a", (30, 40), 2)],
        "random": [window(1, "a", (0, 0)), window(2, "b", (5, 5))],
        "late": [window(1, "a", (0, 0))],
        "none": [],
    }
    pool = pool_of((60, 80), None, "a", "b")
    figure = draw_regions(layout, pool, regions, CLASSES)
    assert _titles(figure) == ["decomp", "random", "late · a"]
    decomp, random, late = figure.axes
    assert _boxes(decomp) == [(0, 0, 10, 12), (30, 40, 10, 12)]
    assert _boxes(random) == [(5, 5, 10, 12)] and _boxes(late) == [(0, 0, 10, 12)]
    assert np.array_equal(decomp.images[0].get_array(), layout.open_image(pool["a"]))
    assert [t.get_text() for t in decomp.texts] == ["pedestrian"]
    said = [t.get_text() for t in figure.texts]
    assert any("random, late, none" in t for t in said)
    assert any(t.endswith("none") for t in said), "nothing is dropped"


@pytest.mark.parametrize(("shape", "widths"), [("disc", [12]), ("annulus", [12, 6])])
def test_shapes_of_windows(shape: str, widths: list[float]) -> None:
    regions = {"s": [window(2, "a", (30, 40), 0)]}
    (axes,) = draw_regions(
        Drawn(), pool_of((60, 80), None, "a"), regions, CLASSES, shape=shape
    ).axes
    drawn = [p for p in axes.patches if isinstance(p, Ellipse)]
    assert not _boxes(axes) and {p.center for p in drawn} == {(46, 35)}
    assert [p.width for p in drawn] == widths * 2, "the rim, then the line"


def test_mosaic_of_rois() -> None:
    layout = Drawn()
    regions = {
        "decomp": [roi(1, "r0"), roi(2, "r1", 1), roi(3, "r2", 2)],
        "random": [roi(2, f"r{i}") for i in range(17)],
    }
    pool = pool_of((30, 50), None, *(f"slide/r{i}" for i in range(17)))
    figure = draw_regions(layout, pool, regions, CLASSES)
    left, right = figure.axes
    assert _titles(figure) == ["decomp · 3 of 3 RoIs", "random · 15 of 17 RoIs"]
    assert layout.opened[:3] == ["slide/r2", "slide/r1", "slide/r0"], "the latest come first"
    assert (len(_boxes(left)), len(_boxes(right))) == (3, 15)
    assert [t.get_text() for t in left.texts if t.get_text()] == ["pedestrian", "pole"]


def test_boxes_have_the_colours_of_the_dataset() -> None:
    regions = {"decomp": [window(2, "a", (5 + 15 * i, 20), i) for i in range(3)]}
    pool = pool_of((60, 80), None, "a")
    colours = [(0.0, 0.0, 0.0), (1.0, 1.0, 0.0), (0.0, 0.0, 0.55)]
    (axes,) = draw_regions(Drawn(), pool, regions, CLASSES, colours=colours).axes
    patches = [p for p in axes.patches if isinstance(p, Rectangle)]
    assert [to_rgb(p.get_edgecolor()) for p in patches[1::2]] == colours
    with pytest.raises(DataError, match="class_colours: 2 colours"):
        draw_regions(Drawn(), pool, regions, CLASSES, colours=colours[:2])
