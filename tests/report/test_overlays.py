"""Overlays: the right images, slices and boxes, and names that cover nothing."""

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
from al.report.boxes import blank, draw_box, place_names, save_pictures
from al.report.overlays import choose_images, draw_regions, plot_overlays
from decomp_core import Region

from .drawing_sample import Drawn, pool_of, roi, window

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


def _lines(figure: Figure) -> list[list[str]]:
    """Titles of the panels that lie side by side, from the top."""
    held: dict[float, list[str]] = {}
    for axes in figure.axes:
        place = axes.get_position(original=True)
        held.setdefault(round(place.y1, 6), []).append(axes.get_title(loc="left"))
    return [held[y] for y in sorted(held, reverse=True)]


def test_images_that_most_strategies_opened_come_first() -> None:
    first = [window(1, "first", (0, 0)), window(1, "first", (20, 20))]
    regions = {
        "a": [*first, window(2, "both", (0, 0)), window(2, "only", (0, 0))],
        "b": [*first, window(3, "both", (0, 0)), window(2, "zoo", (0, 0))],
    }
    assert choose_images(regions, 2) == ["both", "only"]
    assert choose_images(regions, 9) == ["both", "only", "zoo", "first"]
    assert choose_images({"a": first}, 3) == ["first"]


def test_of_images_opened_alike_the_one_with_other_strategies_comes_first() -> None:
    opened = {"a": "wxy", "b": "wx", "c": "wz", "d": "z", "e": "y"}
    regions = {n: [window(2, image, (0, 0)) for image in own] for n, own in opened.items()}
    # w has a, b and c; then x has none that is new, y has e, z has d
    assert choose_images(regions, 3) == ["w", "y", "z"]


def test_boxes_on_an_image() -> None:
    layout = Drawn()
    regions = {
        "decomp": [window(1, "a", (0, 0)), window(2, "a", (30, 40), 2)],
        "random": [window(1, "a", (0, 0)), window(2, "b", (5, 5))],
        "late": [window(1, "a", (0, 0))],
        "none": [],
    }
    pool = pool_of((60, 80), None, "a", "b")
    figure = draw_regions(layout, pool, regions, CLASSES)
    assert layout.opened == ["a", "b", "a"], "each once, and once more at the end"
    assert _titles(figure) == ["decomp", "random", "late · a"]
    decomp, random, late = figure.axes
    assert _boxes(decomp) == [(0, 0, 10, 12), (30, 40, 10, 12)]
    assert _boxes(random) == [(5, 5, 10, 12)] and _boxes(late) == [(0, 0, 10, 12)]
    assert decomp.get_xlim() == (0, 80) and decomp.get_ylim() == (60, 0)
    assert np.array_equal(decomp.images[0].get_array(), layout.open_image(pool["a"]))
    assert [t.get_text() for t in decomp.texts] == ["pedestrian"]
    assert _texts(figure) == [
        "a",
        "Nothing chosen here after the first cycle by random, late, none",
        "b",
        "Nothing chosen here after the first cycle by decomp, late, none",
        "Strategies in none of these images, each on the image it chose most of",
        "No regions at all: none",
    ]
    legend = figure.legends[0]
    labels = [t.get_text() for t in legend.get_texts()]
    assert labels == ["pedestrian", "no class behind the choice", "first cycle, shared by all"]
    assert "predicted" in legend.get_title().get_text(), "not ground truth"


def test_a_first_cycle_alone_is_shown() -> None:
    regions = {"a": [window(1, "x", (0, 0))], "b": [window(1, "x", (0, 0))], "c": []}
    figure = draw_regions(Drawn(), pool_of((60, 80), None, "x"), regions, CLASSES)
    assert _titles(figure) == ["a", "b"]
    assert _texts(figure)[1:] == ["Nothing chosen here by c", "No regions at all: c"]
    assert figure.legends[0].get_title().get_text() == ""


def test_boxes_have_the_colours_of_the_dataset() -> None:
    regions = {"decomp": [window(2, "a", (5 + 15 * i, 20), i) for i in range(3)]}
    pool = pool_of((60, 80), None, "a")
    given = [(0.0, 0.0, 0.0), (1.0, 1.0, 0.0), (0.0, 0.0, 0.55)]
    (axes,) = draw_regions(Drawn(), pool, regions, CLASSES, colours=given).axes
    patches = [p for p in axes.patches if isinstance(p, Rectangle)]
    assert [to_rgb(p.get_edgecolor()) for p in patches[1::2]] == given
    rims = [to_rgb(p.get_edgecolor()) for p in patches[::2]]
    assert rims == [(1, 1, 1), (0, 0, 0), (1, 1, 1)], "white around dark colours"
    with pytest.raises(DataError, match="class_colours: 2 colours; allowed: one for each of the 3"):
        draw_regions(Drawn(), pool, regions, CLASSES, colours=given[:2])


def test_a_large_image_is_shown_smaller_with_its_boxes() -> None:
    pool = pool_of((1500, 2000), None, "a")
    (axes,) = draw_regions(Drawn(), pool, {"s": [window(2, "a", (300, 600), 0)]}, CLASSES).axes
    assert axes.images[0].get_array().shape == (750, 1000, 3)
    assert _boxes(axes) == [pytest.approx((150, 300, 5, 6))]


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_windows_in_slices(axis: int) -> None:
    def placed(z: int, y: int, x: int, cls: int) -> RegionRow:
        start, size = list((y, x)), [10, 12]
        start.insert(axis, z)
        size.insert(axis, 1)
        region = Region(tuple(start), tuple(size), cls)
        return RegionRow.of(2, "ct", "slice_window", region, 0)

    shape = [50, 60]
    shape.insert(axis, 20)
    regions = {"decomp": [placed(7, 3, 4, 0), placed(7, 30, 20, 1), placed(11, 1, 2, 2)]}
    layout = Drawn()
    figure = draw_regions(layout, pool_of(tuple(shape), axis, "ct"), regions, CLASSES)
    assert _texts(figure) == ["ct, 20 slices"] and layout.opened == ["ct"]
    assert _titles(figure) == ["decomp · slice 7", "decomp · slice 11"]
    first, second = figure.axes
    assert _boxes(first) == [(3, 4, 10, 12), (30, 20, 10, 12)]
    assert _boxes(second) == [(1, 2, 10, 12)]


def test_few_slices_of_many() -> None:
    windows = [window(2, "ct", (z, 0, 0), 0) for z in range(9)]
    windows += [window(2, "ct", (z, 20, 20), 0) for z in (3, 8)]
    windows += [window(1, "ct", (9, y, 20)) for y in (0, 10, 20)]
    pool = pool_of((10, 40, 40), 0, "ct")
    figure = draw_regions(Drawn(), pool, {"decomp": windows}, CLASSES)
    assert _titles(figure) == [f"decomp · slice {z}" for z in (0, 1, 3, 8)]


def test_patches_are_shown_in_their_middle_slice() -> None:
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


def test_many_strategies_wrap() -> None:
    count = 13
    layout = Drawn()
    names = [f"s{i:02d}" for i in range(count)]
    regions = {n: [window(2, "a", (i, i), 1), window(2, "b", (0, i))] for i, n in enumerate(names)}
    figure = draw_regions(layout, pool_of((60, 80), None, "a", "b"), regions, CLASSES)
    assert layout.opened == ["a", "b"]
    assert _lines(figure) == 2 * [names[0:4], names[4:8], names[8:12], names[12:]]
    for i, axes in enumerate(figure.axes[:count]):
        assert _boxes(axes) == [(i, i, 10, 12)]
    places = [axes.get_position(original=True) for axes in figure.axes]
    for i, a in enumerate(places):
        assert a.x0 >= 0 and a.x1 <= 1 and a.y0 >= 0 and a.y1 <= 1
        for b in places[:i]:
            assert a.x0 >= b.x1 or b.x0 >= a.x1 or a.y0 >= b.y1 or b.y0 >= a.y1, "panels overlap"


def test_a_line_is_as_high_as_its_image() -> None:
    pool = pool_of((60, 80), None, "wide") | pool_of((80, 60), None, "tall")
    regions = {n: [window(2, "wide", (0, 0)), window(2, "tall", (0, 0))] for n in "abcd"}
    figure = draw_regions(Drawn(), pool, regions, CLASSES)
    across, down = figure.get_size_inches()
    for axes in figure.axes:
        place = axes.get_position(original=True)
        rows, columns = axes.images[0].get_size()
        ratio = place.height * down / (place.width * across)
        assert ratio == pytest.approx(rows / columns), "no margin around the image"


def test_volumes_of_many_strategies_wrap() -> None:
    regions = {
        f"s{i:02d}": [window(2, "ct", (z, i, i), 0) for z in range(min(i, 3))] for i in range(6)
    }
    figure = draw_regions(Drawn(), pool_of((10, 40, 40), 0, "ct"), regions, CLASSES)
    assert _lines(figure) == [
        ["s01 · slice 0", "s02 · slice 0", "s02 · slice 1"],
        ["s03 · slice 0", "s03 · slice 1", "s04 · slice 0", "s04 · slice 1"],
        ["s05 · slice 0", "s05 · slice 1"],
    ]
    assert "Nothing chosen here after the first cycle by s00" in _texts(figure)


def test_mosaics_wrap() -> None:
    regions = {f"s{k}": [roi(2, f"r{i}", 1) for i in range(k + 1)] for k in range(5)}
    pool = pool_of((30, 50), None, *(f"slide/r{i}" for i in range(5)))
    figure = draw_regions(Drawn(), pool, regions, CLASSES)
    titles = [f"s{k} · {k + 1} of {k + 1} RoIs" for k in range(5)]
    assert _lines(figure) == [titles[:2], titles[2:4], titles[4:]]
    assert [len(_boxes(axes)) for axes in figure.axes] == [1, 2, 3, 4, 5]


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
    for text, (y, x, height, width) in zip(left.texts, _boxes(left), strict=True):
        across, down = text.get_position()
        assert x < across < x + width and y + height < down, "below its tile"


def test_files_are_small(tmp_path: Path) -> None:
    from PIL import Image

    png, pdf = tmp_path / "o.png", tmp_path / "o.pdf"
    regions = {f"s{k}": [window(2, "a", (0, 0), 0)] for k in range(4)}
    plot_overlays(Drawn(), pool_of((700, 900), None, "a"), regions, CLASSES, png, pdf)
    assert 1_000_000 < pdf.stat().st_size < 2_000_000, "noise, which cannot be compressed"
    with Image.open(png) as image:
        assert image.width == 1440


def test_equal_runs_give_equal_files(tmp_path: Path) -> None:
    pool, regions = pool_of((60, 80), None, "a"), {"s": [window(2, "a", (0, 0), 0)]}
    written = []
    for i in range(2):
        png, pdf = tmp_path / f"{i}.png", tmp_path / f"{i}.pdf"
        plot_overlays(Drawn(), pool, regions, CLASSES, png, pdf)
        written.append((png.read_bytes(), pdf.read_bytes()))
    assert written[0] == written[1]


def test_long_figures_are_drawn_more_coarsely(tmp_path: Path) -> None:
    from PIL import Image

    for inches, dpi in ((20, 200), (150, 133)):
        save_pictures(blank(1, inches), tmp_path / "o.png", None)
        with Image.open(tmp_path / "o.png") as image:
            assert image.size == (dpi, inches * dpi)


def test_names_cover_neither_boxes_nor_names() -> None:
    rng = np.random.default_rng(3)
    axes = Figure(figsize=(4, 3)).add_subplot()
    axes.imshow(np.zeros((90, 120)))
    corners = [(int(rng.integers(0, 75)), int(rng.integers(0, 100))) for _ in range(30)]
    boxes = [(y - 0.5, x - 0.5, 12.0, 15.0) for y, x in corners]
    written = place_names(axes, boxes, [("pedestrian", (1.0, 0.0, 0.0))] * 30)
    assert 0 < len(written) < 30
    assert len(axes.texts) == len(written)
    centres = np.array([t.get_position()[::-1] for t in axes.texts])
    for y, x, height, width in boxes:
        # a name may lie wholly within its own box, where no other box is in the way
        inside = (
            (centres[:, 0] > y)
            & (centres[:, 0] < y + height)
            & (centres[:, 1] > x)
            & (centres[:, 1] < x + width)
        )
        assert inside.sum() <= 1
    gaps = np.abs(centres[:, None] - centres[None]) + 1e9 * np.eye(len(centres))[..., None]
    assert gaps.max(axis=-1).min() > 3, "two names at one place"


def test_a_box_without_a_rim() -> None:
    axes = Figure().add_subplot()
    draw_box(axes, (1, 2, 3, 4), "red", rim=False)
    assert [(p.get_y(), p.get_x(), p.get_height(), p.get_width()) for p in axes.patches] == [
        (1, 2, 3, 4)
    ]


def test_refusals(tmp_path: Path) -> None:
    pool = pool_of((60, 80), None, "a")
    out = tmp_path / "o.png"
    with pytest.raises(DataError, match="no regions to show for decomp"):
        plot_overlays(Drawn(), pool, {"decomp": []}, CLASSES, out)
    with pytest.raises(DataError, match="b has regions but is not in the pool"):
        plot_overlays(Drawn(), pool, {"decomp": [window(2, "b", (0, 0))]}, CLASSES, out)
    with pytest.raises(ValueError, match="n_images is 0"):
        plot_overlays(Drawn(), pool, {"d": [window(2, "a", (0, 0))]}, CLASSES, out, n_images=0)
    mixed = [window(2, "a", (0, 0)), window(2, "a", (0, 0, 0))]
    with pytest.raises(DataError, match="cannot be shown together"):
        plot_overlays(Drawn(), pool, {"d": mixed}, CLASSES, out)
    assert not out.exists()
