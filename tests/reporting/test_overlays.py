"""Overlays: the right images, slices and boxes, and names that cover nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from decomp_core import Region
from glue.errors import DataError
from glue.tables import PoolRow, RegionRow
from reporting import overlays
from reporting.boxes import place_names
from reporting.overlays import choose_images, plot_overlays

CLASSES = ["road", "pole", "pedestrian"]


class FakeLayout:
    """Opens grey pictures of the pool row's shape and remembers which."""

    def __init__(self) -> None:
        self.opened: list[str] = []

    def open_image(self, row: PoolRow) -> np.ndarray:
        self.opened.append(row.key)
        if len(row.shape) == 3:
            return np.random.default_rng(0).normal(size=row.shape).astype(np.float32)
        return np.full((*row.shape, 3), 128, np.uint8)


def _pool(shape: tuple[int, ...], axis: int | None, *images: str) -> dict[str, PoolRow]:
    rows = [PoolRow(*image.partition("/")[::2], "", "p", "l", shape, axis) for image in images]
    return {row.key: row for row in rows}


def _window(cycle: int, image: str, start: tuple[int, ...], cls: int | None = None) -> RegionRow:
    size = (10, 12) if len(start) == 2 else (1, 10, 12)
    kind = "window" if len(start) == 2 else "slice_window"
    return RegionRow.of(cycle, image, kind, Region(start, size, cls), 0)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    held: list[Figure] = []
    save = overlays.save
    monkeypatch.setattr(overlays, "save", lambda f, p, dpi: (held.append(f), save(f, p, dpi=50)))
    return held


def _boxes(axes: object) -> list[tuple[float, float, float, float]]:
    """Coloured boxes as (top, left, height, width); each is drawn on a black one."""
    patches = [p for p in axes.patches if isinstance(p, Rectangle)]  # type: ignore[attr-defined]
    assert len(patches) % 2 == 0
    return [(p.get_y(), p.get_x(), p.get_height(), p.get_width()) for p in patches[1::2]]


def test_images_that_most_strategies_opened_come_first() -> None:
    first = [_window(1, "first", (0, 0)), _window(1, "first", (20, 20))]
    regions = {
        "a": [*first, _window(2, "both", (0, 0)), _window(2, "only", (0, 0))],
        "b": [*first, _window(3, "both", (0, 0)), _window(2, "zoo", (0, 0))],
    }
    assert choose_images(regions, 2) == ["both", "only"]
    assert choose_images(regions, 9) == ["both", "only", "zoo", "first"]
    assert choose_images({"a": first}, 3) == ["first"]


def test_boxes_on_an_image(tmp_path: Path, drawn: list[Figure]) -> None:
    layout = FakeLayout()
    regions = {
        "decomp": [_window(1, "a", (0, 0)), _window(2, "a", (30, 40), 2)],
        "random": [_window(2, "b", (5, 5))],
    }
    plot_overlays(layout, _pool((60, 80), None, "a", "b"), regions, CLASSES, tmp_path / "o.png")
    assert sorted(layout.opened) == ["a", "b"], "each image is opened once, not per strategy"
    panels = {axes.get_title(loc="left"): axes for axes in drawn[0].axes}
    assert list(panels) == ["decomp · a", "random · a", "decomp · b", "random · b"]
    # pixel (30, 40) has its outer corner at (29.5, 39.5)
    assert _boxes(panels["decomp · a"]) == [(-0.5, -0.5, 10, 12), (29.5, 39.5, 10, 12)]
    assert [t.get_text() for t in panels["decomp · a"].texts] == ["pedestrian"]
    assert [t.get_text() for t in panels["random · a"].texts] == ["nothing annotated"]
    legend = [t.get_text() for t in drawn[0].legends[0].get_texts()]
    assert legend == ["pedestrian", "no class behind the choice", "first cycle, shared by all"]
    assert (tmp_path / "o.png").stat().st_size > 0


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_windows_in_slices(tmp_path: Path, drawn: list[Figure], axis: int) -> None:
    def window(z: int, y: int, x: int, cls: int) -> RegionRow:
        start, size = list((y, x)), [10, 12]
        start.insert(axis, z)
        size.insert(axis, 1)
        region = Region(tuple(start), tuple(size), cls)
        return RegionRow.of(2, "ct", "slice_window", region, 0)

    shape = [50, 60]
    shape.insert(axis, 20)
    regions = {"decomp": [window(7, 3, 4, 0), window(7, 30, 20, 1), window(11, 1, 2, 2)]}
    pool = _pool(tuple(shape), axis, "ct")
    plot_overlays(FakeLayout(), pool, regions, CLASSES, tmp_path / "o.png")
    panels = {axes.get_title(loc="left").split("\n")[1]: axes for axes in drawn[0].axes}
    assert list(panels) == ["slice 7 of 20", "slice 11 of 20"]
    first, second = panels.values()
    assert _boxes(first) == [(2.5, 3.5, 10, 12), (29.5, 19.5, 10, 12)]
    assert _boxes(second) == [(0.5, 1.5, 10, 12)]
    expected = np.take(FakeLayout().open_image(pool["ct"]), 11, axis)
    assert np.array_equal(second.images[0].get_array(), expected)


def test_few_slices_of_many(tmp_path: Path, drawn: list[Figure]) -> None:
    windows = [_window(2, "ct", (z, 0, 0), 0) for z in range(9)]
    windows += [_window(2, "ct", (z, 20, 20), 0) for z in (3, 8)]
    windows += [_window(1, "ct", (z, 20, 20)) for z in (9, 9, 9)]
    pool = _pool((10, 40, 40), 0, "ct")
    plot_overlays(FakeLayout(), pool, {"decomp": windows}, CLASSES, tmp_path / "o.png")
    titles = [axes.get_title(loc="left").split("\n")[1] for axes in drawn[0].axes]
    assert titles == [f"slice {z} of 10" for z in (0, 1, 3, 8)]


def test_patches_are_shown_in_their_middle_slice(tmp_path: Path, drawn: list[Figure]) -> None:
    patch = RegionRow.of(2, "mr", "patch", Region((4, 2, 6), (5, 10, 12)), 0)
    plot_overlays(
        FakeLayout(), _pool((20, 40, 40), 0, "mr"), {"clasp": [patch]}, CLASSES, tmp_path / "o.png"
    )
    assert drawn[0].axes[0].get_title(loc="left").endswith("slice 6 of 20")
    assert _boxes(drawn[0].axes[0]) == [(1.5, 5.5, 10, 12)]


def test_many_strategies_wrap(tmp_path: Path, drawn: list[Figure]) -> None:
    count = 13
    layout = FakeLayout()
    names = [f"s{i:02d}" for i in range(count)]
    regions = {
        n: [_window(2, "a", (i, i), 1), _window(2, "b", (0, i))] for i, n in enumerate(names)
    }
    plot_overlays(layout, _pool((60, 80), None, "a", "b"), regions, CLASSES, tmp_path / "o.png")
    assert sorted(layout.opened) == ["a", "b"]
    titles = [axes.get_title(loc="left") for axes in drawn[0].axes]
    assert titles == [f"{n} · {image}" for image in ("a", "b") for n in names]
    for axes, i in zip(drawn[0].axes, range(count), strict=False):
        assert _boxes(axes) == [(i - 0.5, i - 0.5, 10, 12)]
    places = [axes.get_subplotspec() for axes in drawn[0].axes]
    assert len({(p.rowspan.start, p.colspan.start) for p in places}) == 2 * count
    assert max(p.colspan.start for p in places) < 6
    rows = {
        image: {p.rowspan.start for p in places[i * count :][:count]}
        for i, image in enumerate("ab")
    }
    assert max(rows["a"]) < min(rows["b"]), "the rows of an image stay together"


def test_volumes_of_many_strategies_wrap(tmp_path: Path, drawn: list[Figure]) -> None:
    regions = {
        f"s{i:02d}": [_window(2, "ct", (z, i, i), 0) for z in range(min(i, 3))] for i in range(13)
    }
    pool = _pool((10, 40, 40), 0, "ct")
    plot_overlays(FakeLayout(), pool, regions, CLASSES, tmp_path / "o.png")
    held: dict[str, list[tuple[str, int, int]]] = {}
    for axes in drawn[0].axes:
        first, _, second = axes.get_title(loc="left").partition("\n")
        place = axes.get_subplotspec()
        name = first or list(held)[-1]
        held.setdefault(name, []).append((second, place.rowspan.start, place.colspan.start))
    assert list(held) == [f"{name} · ct" for name in regions]
    assert held["s00 · ct"] == [("", 0, 0)], "nothing annotated, said in one panel"
    assert held["s01 · ct"] == [("slice 0 of 10", 0, 2)]
    for i in range(2, 13):
        row, column = divmod(i, 4)
        assert held[f"s{i:02d} · ct"] == [
            ("slice 0 of 10", row, 2 * column),
            ("slice 1 of 10", row, 2 * column + 1),
        ]


def test_mosaics_of_many_strategies_wrap(tmp_path: Path, drawn: list[Figure]) -> None:
    def roi(i: int) -> RegionRow:
        return RegionRow(2, "slide", "roi", *(None,) * 6, f"r{i}", 1, 0.5, 0)

    regions = {f"s{k}": [roi(i) for i in range(k + 1)] for k in range(10)}
    pool = _pool((30, 50), None, *(f"slide/r{i}" for i in range(10)))
    plot_overlays(FakeLayout(), pool, regions, CLASSES, tmp_path / "o.png")
    axes = drawn[0].axes
    assert [a.get_title(loc="left") for a in axes] == [
        f"s{k} · slide, {k + 1} of {k + 1}" for k in range(10)
    ]
    assert [len(a.images) for a in axes] == list(range(1, 11))
    places = [a.get_subplotspec() for a in axes]
    assert [(p.rowspan.start, p.colspan.start) for p in places] == [divmod(k, 4) for k in range(10)]


def test_long_figures_are_drawn_more_coarsely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[tuple[float, int]] = []
    monkeypatch.setattr(
        overlays, "save", lambda f, p, dpi: used.append((max(f.get_size_inches()), dpi))
    )
    images = ["a", "b", "c"]
    pool = _pool((150, 20), None, *images)
    regions = {"decomp": [_window(2, image, (0, 0), 0) for image in images]}
    for n_images in (1, 3):
        plot_overlays(FakeLayout(), pool, regions, CLASSES, tmp_path / "o.png", n_images)
    (_, few), (inches, many) = used
    assert few == 160 and 19000 < inches * many <= 20000


def test_mosaic_of_rois(tmp_path: Path, drawn: list[Figure]) -> None:
    def roi(cycle: int, name: str, cls: int | None) -> RegionRow:
        return RegionRow(cycle, "slide", "roi", *(None,) * 6, name, cls, 0.5, 0)

    layout = FakeLayout()
    regions = {
        "decomp": [roi(1, "r0", None), roi(2, "r1", 1), roi(3, "r2", 2)],
        "random": [roi(2, f"r{i}", None) for i in range(17)],
    }
    pool = _pool((30, 50), None, *(f"slide/r{i}" for i in range(17)))
    plot_overlays(layout, pool, regions, CLASSES, tmp_path / "o.png")
    left, right = drawn[0].axes
    assert left.get_title(loc="left") == "decomp · slide, 3 of 3"
    assert right.get_title(loc="left") == "random · slide, 15 of 17"
    assert layout.opened[:3] == ["slide/r2", "slide/r1", "slide/r0"], "the latest come first"
    assert (len(left.images), len(right.images)) == (3, 15)
    assert [t.get_text() for t in left.texts] == ["pedestrian", "pole"]


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


def test_refusals(tmp_path: Path) -> None:
    pool = _pool((60, 80), None, "a")
    out = tmp_path / "o.png"
    with pytest.raises(DataError, match="no regions to show for decomp"):
        plot_overlays(FakeLayout(), pool, {"decomp": []}, CLASSES, out)
    with pytest.raises(DataError, match="b has regions but is not in the pool"):
        plot_overlays(FakeLayout(), pool, {"decomp": [_window(2, "b", (0, 0))]}, CLASSES, out)
    with pytest.raises(ValueError, match="n_images is 0"):
        plot_overlays(FakeLayout(), pool, {"d": [_window(2, "a", (0, 0))]}, CLASSES, out, 0)
    mixed = [_window(2, "a", (0, 0)), _window(2, "a", (0, 0, 0))]
    with pytest.raises(DataError, match="cannot be shown together"):
        plot_overlays(FakeLayout(), pool, {"d": mixed}, CLASSES, out)
    assert not out.exists()
