"""The figures are drawn from the right numbers, the same way every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from glue.errors import DataError
from reporting import figures
from reporting.curves import collect_curves
from reporting.style import PALETTE, cost_label, strategy_order, strategy_styles

from .conftest import WriteMetrics

COLOURS = {"random": "#0072B2", "decomp": "#D55E00", "full": "#000000"}


@pytest.fixture
def curves(write_metrics: WriteMetrics, tmp_path: Path) -> Path:
    files = [write_metrics("full", s, 0, 0.8, 100.0) for s in (0, 1)]
    files.append(write_metrics("full_same_steps", 0, 0, 0.7, 100.0))
    files += [write_metrics("initial", s, 1, 0.2 + 0.1 * s, 1.0) for s in (0, 1)]
    for name, seeds in (("decomp", (0, 1)), ("random", (0,))):
        for seed in seeds:
            files += [write_metrics(name, seed, c, 0.2 * c + 0.1 * seed, c) for c in (2, 3)]
    collect_curves(files, tmp_path / "curves.csv")
    return tmp_path / "curves.csv"


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures as they are saved."""
    held: list[Figure] = []
    save = figures.save
    monkeypatch.setattr(figures, "save", lambda f, *p: (held.append(f), save(f, *p)))
    return held


def test_lines_of_the_main_figure(curves: Path, tmp_path: Path, drawn: list[Figure]) -> None:
    png, pdf = tmp_path / "c.png", tmp_path / "c.pdf"
    figures.plot_curves(curves, png, pdf, "area_percent", "2x3", COLOURS, "Toy")
    axes = drawn[0].axes[0]
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert list(lines) == [
        "random (1 seed)",
        "decomp (2 seeds)",
        "95 % of full annotation",
        "full annotation, same steps",
    ]
    decomp = lines["decomp (2 seeds)"]
    assert decomp.get_xdata().tolist() == [1, 2, 3]
    assert decomp.get_ydata().tolist() == pytest.approx([0.25, 0.45, 0.65])
    assert decomp.get_color() == "#D55E00"
    dashed = lines["95 % of full annotation"]
    assert (dashed.get_linestyle(), dashed.get_color()) == ("--", "#000000")
    assert dashed.get_ydata()[0] == pytest.approx(0.76)
    dotted = lines["full annotation, same steps"]
    assert dotted.get_linestyle() == ":" and dotted.get_ydata()[0] == pytest.approx(0.7)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("annotated area (%)", "mIoU")
    low, high = axes.get_ylim()
    assert 0 <= low < 0.2 and 0.76 < high <= 1
    assert pdf.read_bytes()[:5] == b"%PDF-"
    with Image.open(png) as image:
        assert min(image.size) > 500


def test_same_numbers_same_files(curves: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        paths = (tmp_path / f"{name}.png", tmp_path / f"{name}.pdf")
        figures.plot_curves(curves, *paths, "area_percent", "2x3", COLOURS)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


def test_one_panel_per_scored_class(curves: Path, tmp_path: Path, drawn: list[Figure]) -> None:
    figures.plot_per_class(curves, tmp_path / "p.png", None, "area_percent", "2x3", COLOURS)
    panels = [a for a in drawn[0].axes if a.get_visible()]
    assert [a.get_title() for a in panels] == ["road"], "pole has no score anywhere"
    lines = {line.get_label(): line for line in panels[0].get_lines()}
    assert lines["decomp"].get_ydata().tolist() == pytest.approx([0.35, 0.55, 0.75])
    assert lines["95 % of full annotation"].get_ydata()[0] == pytest.approx(0.95 * 0.9)
    assert len(drawn[0].legends) == 1


def test_many_classes(write_metrics: WriteMetrics, tmp_path: Path, drawn: list[Figure]) -> None:
    scores = {f"class {i}": i / 20 for i in range(19)}
    files = [write_metrics("random", 0, c, 0.3, c, per_class=scores) for c in (1, 2)]
    collect_curves(files, tmp_path / "curves.csv")
    figures.plot_per_class(
        tmp_path / "curves.csv", tmp_path / "p.png", None, "area_percent", "2x3", COLOURS
    )
    panels = [a for a in drawn[0].axes if a.get_visible()]
    assert [a.get_title() for a in panels] == list(scores)
    for axes, score in zip(panels, scores.values(), strict=True):
        low, high = axes.get_ylim()
        assert low <= score <= high and low < high


def test_refusals(curves: Path, write_metrics: WriteMetrics, tmp_path: Path) -> None:
    png = tmp_path / "c.png"
    with pytest.raises(DataError, match=r"no curves of budget '9x9', there are \['2x3'\]"):
        figures.plot_curves(curves, png, None, "area_percent", "9x9", COLOURS)
    with pytest.raises(DataError, match="no cost 'area'"):
        figures.plot_curves(curves, png, None, "area", "2x3", COLOURS)
    both = [write_metrics("random", 0, 1, 0.1, 1.0, run=run) for run in ("a", "b")]
    collect_curves(both, tmp_path / "both.csv")
    with pytest.raises(DataError, match="one run per figure, found a, b"):
        figures.plot_curves(tmp_path / "both.csv", png, None, "area_percent", "2x3", COLOURS)
    assert not png.exists()


def test_configured_colours_do_not_depend_on_what_is_drawn() -> None:
    alone = strategy_styles(["decomp"], COLOURS)["decomp"]
    among = strategy_styles(["badge", "random", "decomp", "cluster"], COLOURS)
    assert among["decomp"] == alone
    assert list(among) == ["random", "decomp", "badge", "cluster"]
    assert len(set(among.values())) == len({c for c, _ in among.values()}) == 4
    assert strategy_order(["b", "a", "decomp"], COLOURS) == ["decomp", "a", "b"]


def test_colours_stay_apart_for_the_colour_blind() -> None:
    """Lightness of the palette in grey, where hue is lost altogether, differs or hue does."""
    rgb = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in PALETTE]) / 255
    # Machado et al. 2009, deuteranopia, severity 1.0
    seen = (
        rgb
        @ np.array(
            [
                [0.367322, 0.860646, -0.227968],
                [0.280085, 0.672501, 0.047413],
                [-0.011820, 0.042940, 0.968881],
            ]
        ).T
    )
    distance = np.linalg.norm(seen[:, None] - seen[None], axis=-1)
    assert distance[~np.eye(len(PALETTE), dtype=bool)].min() > 0.1


def test_axis_labels() -> None:
    assert cost_label("area_percent", "3d") == "annotated volume (%)"
    assert cost_label("rois_percent", "roi") == "annotated RoIs (%)"
    assert cost_label("void_pixels", "2d") == "void pixels"
