"""The figures are drawn from the right numbers, the same way every time."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

import show_results
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
    assert len({s.colour for s in among.values()}) == len({s.marker for s in among.values()}) == 4
    assert {s.line for s in among.values()} == {"-"}
    assert strategy_order(["b", "a", "decomp"], COLOURS) == ["decomp", "a", "b"]


def test_many_strategies_differ_in_colour_then_in_line() -> None:
    others = [f"s{i:02d}" for i in range(24)]
    styles = strategy_styles([*others, "decomp"], COLOURS)
    assert styles["decomp"] == strategy_styles(["decomp"], COLOURS)["decomp"]
    assert len({(s.colour, s.line) for s in styles.values()}) == 25
    left = [c for c in PALETTE if c not in COLOURS.values()]
    assert [styles[n].colour for n in others] == (left * 4)[:24]
    assert {styles[n].colour for n in others}.isdisjoint(COLOURS.values())
    first, again = others[0], others[len(left)]
    assert styles[first].line == "-" != styles[again].line
    assert styles[first].marker != styles[again].marker


def test_configured_strategies_of_one_colour_differ_in_line() -> None:
    colours = {"a": "#0072B2", "b": "#0072b2", "c": "#D55E00"}
    styles = strategy_styles(colours, colours)
    assert len({s.line for s in (styles["a"], styles["b"])}) == 2
    assert styles["c"].line == styles["a"].line == "-"
    # All of the palette configured: the others take it again with broken lines.
    whole = {f"c{i}": c for i, c in enumerate(PALETTE)}
    assert strategy_styles(["new"], whole)["new"].line != "-"


def _many(write_metrics: WriteMetrics, tmp_path: Path, strategies: int, seeds: int) -> Path:
    files = [write_metrics("full", 0, 0, 0.8, 100.0)]
    files += [write_metrics("initial", s, 1, 0.2, 1.0) for s in range(seeds)]
    for i in range(strategies):
        for s in range(seeds):
            files.append(write_metrics(f"s{i:02d}", s, 2, 0.3 + 0.01 * i + 0.02 * s, 2.0))
    collect_curves(files, tmp_path / "curves.csv")
    return tmp_path / "curves.csv"


@pytest.mark.parametrize(
    ("strategies", "seeds", "says", "areas", "points"),
    [
        (6, 5, "95 % interval over seeds", 6, 0),
        (7, 5, "bands left out: 7 strategies", 0, 0),
        (6, 4, None, 0, 24),
        (7, 2, "points of single seeds left out: 7 strategies", 0, 0),
        (7, 1, None, 0, 0),
    ],
)
def test_bands_of_few_strategies_only(
    write_metrics: WriteMetrics,
    tmp_path: Path,
    drawn: list[Figure],
    strategies: int,
    seeds: int,
    says: str | None,
    areas: int,
    points: int,
) -> None:
    curves = _many(write_metrics, tmp_path, strategies, seeds)
    figures.plot_curves(curves, tmp_path / "c.png", None, "area_percent", "2x3", COLOURS)
    axes = drawn[0].axes[0]
    texts = [t.get_text() for t in axes.get_legend().get_texts()]
    spread = [t for t in texts if "interval" in t or "left out" in t]
    assert spread == ([says] if says else [])
    assert [t for t in texts if t not in spread] == [
        *(f"s{i:02d} ({seeds} seed{'s' * (seeds > 1)})" for i in range(strategies)),
        "95 % of full annotation",
    ]
    kinds = [type(c).__name__ for c in axes.collections]
    assert kinds.count("PathCollection") == points
    assert len(kinds) - points == areas


def test_the_figures_grow_with_their_legends(
    write_metrics: WriteMetrics, tmp_path: Path, drawn: list[Figure]
) -> None:
    curves = _many(write_metrics, tmp_path, 25, 1)
    for plot in (figures.plot_curves, figures.plot_per_class):
        plot(
            curves,
            *(tmp_path / "c.png", None, "area_percent", "2x3", COLOURS),
            notes={"s03": "reads ground truth, and says so at some length"},
        )
    for figure in drawn:
        legend = (figure.legends or [figure.axes[0].get_legend()])[0]
        box = legend.get_window_extent().padded(-2)
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1
        assert not any(box.overlaps(axes.get_window_extent()) for axes in figure.axes)
        assert figure.axes[0].get_window_extent().width > 0.35 * figure.bbox.width


def test_notes_stand_in_the_legend(curves: Path, tmp_path: Path, drawn: list[Figure]) -> None:
    notes = {"random": "reads ground truth", "absent": "never seen"}
    arguments = (tmp_path / "c.png", None, "area_percent", "2x3", COLOURS)
    figures.plot_curves(curves, *arguments, notes=notes)
    figures.plot_per_class(curves, *arguments, notes=notes)
    legends = drawn[0].axes[0].get_legend(), drawn[1].legends[0]
    first, second = ([t.get_text() for t in legend.get_texts()][:2] for legend in legends)
    assert first == ["random (1 seed; reads ground truth)", "decomp (2 seeds)"]
    assert second == ["random (reads ground truth)", "decomp"]


@pytest.mark.parametrize("kind", ["curves", "per_class"])
@pytest.mark.parametrize("notes", [None, {"random": "ours"}])
def test_the_scripts_hand_notes_on(
    curves: Path, tmp_path: Path, drawn: list[Figure], kind: str, notes: dict[str, str] | None
) -> None:
    class Parameters(dict):
        __getattr__ = dict.__getitem__

    png, pdf = str(tmp_path / "c.png"), str(tmp_path / "c.pdf")
    parameters = Parameters(x="area_percent", budget="2x3", colours=COLOURS, title="")
    if notes is not None:
        parameters["notes"] = notes
    snakemake = SimpleNamespace(
        log=[],
        input=SimpleNamespace(curves=str(curves)),
        output=SimpleNamespace(png=png, pdf=pdf),
        params=parameters,
    )
    script = Path(show_results.__file__).parent / f"plot_{kind}.py"
    runpy.run_path(str(script), {"snakemake": snakemake}, "__main__")
    legend = (drawn[0].legends or [drawn[0].axes[0].get_legend()])[0]
    assert legend.get_texts()[0].get_text().endswith("ours)") == (notes is not None)


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
