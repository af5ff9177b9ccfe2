"""Overlays: the right images, slices and boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Ellipse, Rectangle

from al.io.errors import DataError
from al.io.tables import RegionRow
from al.report.overlays import choose_images, draw_regions, plot_overlays
from decomp_core import Region

from .drawing_sample import Drawn, placed, pool_of, roi, window

CLASSES = ["road", "pole", "pedestrian"]


def _boxes(axes: Any) -> list[tuple[float, float, float, float]]:
    """Coloured boxes as (top, left, height, width); each is drawn on its rim."""
    patches = [p for p in axes.patches if isinstance(p, Rectangle)]
    assert len(patches) % 2 == 0
    return [(p.get_y(), p.get_x(), p.get_height(), p.get_width()) for p in patches[1::2]]


def _titles(figure: Figure) -> list[str]:
    return [axes.get_title(loc="left") for axes in figure.axes]


def _texts(figure: Figure) -> list[str]:
    return [t.get_text() for t in figure.texts]


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
    said = _texts(figure)
    assert any("random, late, none" in t for t in said)
    assert any(t.endswith("none") and "No regions" in t for t in said), "nothing is dropped"
    start = {"a": [window(1, "x", (0, 0))], "b": [window(1, "x", (0, 0))], "c": []}
    alone = draw_regions(Drawn(), pool_of((60, 80), None, "x"), start, CLASSES)
    assert _titles(alone) == ["a", "b"], "a first cycle alone is shown"


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_windows_in_slices(axis: int) -> None:
    where = [(7, 3, 4), (7, 30, 20), (11, 1, 2)]
    regions = {"decomp": [placed(axis, 2, "ct", start) for start in where]}
    shape = [50, 60]
    shape.insert(axis, 20)
    figure = draw_regions(Drawn(), pool_of(tuple(shape), axis, "ct"), regions, CLASSES)
    assert _titles(figure) == ["decomp · slice 7", "decomp · slice 11"]
    first, second = figure.axes
    assert _boxes(first) == [(3, 4, 10, 12), (30, 20, 10, 12)]
    assert _boxes(second) == [(1, 2, 10, 12)]


def test_few_slices_of_many_and_patches_in_their_middle() -> None:
    windows = [window(2, "ct", (z, 0, 0), 0) for z in range(9)]
    windows += [window(2, "ct", (z, 20, 20), 0) for z in (3, 8)]
    windows += [window(1, "ct", (9, y, 20)) for y in (0, 10, 20)]
    figure = draw_regions(Drawn(), pool_of((10, 40, 40), 0, "ct"), {"decomp": windows}, CLASSES)
    assert _titles(figure) == [f"decomp · slice {z}" for z in (0, 1, 3, 8)]
    patch = RegionRow.of(2, "mr", "patch", Region((4, 2, 6), (5, 10, 12)), 0)
    pool = pool_of((20, 40, 40), 0, "mr")
    figure = draw_regions(Drawn(), pool, {"clasp": [patch]}, CLASSES, shape="disc")
    assert _titles(figure) == ["clasp · slice 6"]
    assert _boxes(figure.axes[0]) == [(2, 6, 10, 12)], "a patch is annotated whole"


@pytest.mark.parametrize(("shape", "widths"), [("disc", [12]), ("annulus", [12, 6])])
def test_shapes_of_windows(shape: str, widths: list[float]) -> None:
    pool = pool_of((60, 80), None, "a")
    regions = {"s": [window(2, "a", (30, 40), 0)]}
    (axes,) = draw_regions(Drawn(), pool, regions, CLASSES, shape=shape).axes
    drawn = [p for p in axes.patches if isinstance(p, Ellipse)]
    assert not _boxes(axes)
    assert [p.width for p in drawn] == widths * 2, "the rim, then the line"
    assert {p.center for p in drawn} == {(46, 35)}


def test_many_strategies_wrap_and_panels_lie_apart() -> None:
    names = [f"s{i:02d}" for i in range(13)]
    regions = {n: [window(2, "a", (i, i), 1), window(2, "b", (0, i))] for i, n in enumerate(names)}
    figure = draw_regions(Drawn(), pool_of((60, 80), None, "a", "b"), regions, CLASSES)
    assert _titles(figure) == 2 * names
    for i, axes in enumerate(figure.axes[:13]):
        assert _boxes(axes) == [(i, i, 10, 12)]
    places = [axes.get_position(original=True) for axes in figure.axes]
    for i, a in enumerate(places):
        assert min(a.x0, a.y0) >= 0 and max(a.x1, a.y1) <= 1
        for b in places[:i]:
            assert a.x0 >= b.x1 or b.x0 >= a.x1 or a.y0 >= b.y1 or b.y0 >= a.y1


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


def test_equal_runs_give_equal_files_and_refusals_none(tmp_path: Path) -> None:
    pool, regions = pool_of((60, 80), None, "a"), {"s": [window(2, "a", (0, 0), 0)]}
    written = []
    for i in range(2):
        png, pdf = tmp_path / f"{i}.png", tmp_path / f"{i}.pdf"
        plot_overlays(Drawn(), pool, regions, CLASSES, png, pdf)
        written.append((png.read_bytes(), pdf.read_bytes()))
    assert written[0] == written[1]
    out = tmp_path / "o.png"
    mixed = [window(2, "a", (0, 0)), window(2, "a", (0, 0, 0))]
    for chosen, said in (
        ([], "no regions to show for decomp"),
        ([window(2, "b", (0, 0))], "b has regions but is not in the pool"),
        (mixed, "cannot be shown together"),
    ):
        with pytest.raises(DataError, match=said):
            plot_overlays(Drawn(), pool, {"decomp": chosen}, CLASSES, out)
    assert not out.exists()


def test_boxes_have_the_colours_of_the_dataset() -> None:
    regions = {"decomp": [window(2, "a", (5 + 15 * i, 20), i) for i in range(3)]}
    pool = pool_of((60, 80), None, "a")
    given = [(0.0, 0.0, 0.0), (1.0, 1.0, 0.0), (0.0, 0.0, 0.55)]
    (axes,) = draw_regions(Drawn(), pool, regions, CLASSES, colours=given).axes
    patches = [p for p in axes.patches if isinstance(p, Rectangle)]
    assert [to_rgb(p.get_edgecolor()) for p in patches[1::2]] == given
    with pytest.raises(DataError, match="class_colours: 2 colours"):
        draw_regions(Drawn(), pool, regions, CLASSES, colours=given[:2])
