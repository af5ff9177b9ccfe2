"""Ablations, dense against sparse, thresholds and budgets are drawn from the right numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from al.config.settings import read_yaml
from al.io.errors import DataError
from al.report.budget_figures import draw_budgets
from al.report.curves import Point
from al.report.pair_figures import draw_ablations, draw_dense_sparse, draw_thresholds
from al.report.style import sequential_colours
from al.report.view import View
from al.strategies import resolve

CONFIG = Path(__file__).resolve().parents[2] / "config"
SETTINGS, ENTRIES = (read_yaml(CONFIG / f"{name}.yaml") for name in ("config", "strategies"))
COLOURS = SETTINGS["report"]["colours"]
PLAIN = ("random", "uncertainty", "decomp")
EVERY = (draw_ablations, draw_dense_sparse, draw_thresholds, draw_budgets)
Draw = Callable[[View], Any]


def _score(name: str, budget: str, seed: int, cycle: int) -> float:
    """A number that no other strategy, budget, seed or cycle has."""
    place = list(ENTRIES).index(name) + 30 * (len(budget) - 3)
    return 0.1 * cycle + 0.003 * seed + 0.0002 * place


def _view(
    names: Sequence[str],
    budgets: Sequence[str] = ("4x2",),
    seeds: int = 2,
    lacking: Sequence[tuple[str, str, int]] = (),
    full: Sequence[tuple[str, float]] = (("4x2", 0.6),),
    **more: Any,
) -> View:
    points = [
        Point(
            *("toy", budget, name, seed, cycle, "2d", "mIoU", _score(name, budget, seed, cycle)),
            {"area_percent": float(cycle * (i + 1))},
            {},
        )
        for i, budget in enumerate(budgets)
        for name in names
        for seed in range(seeds)
        for cycle in (1, 2, 3)
        if (budget, name, seed) not in lacking
    ]
    points += [Point("toy", b, "full", 0, 0, "2d", "mIoU", v, {}, {}) for b, v in full]
    definitions = {name: resolve(name, ENTRIES[name], SETTINGS) for name in names}
    given = {"points": points, "budget": budgets[0], "x": "area_percent", "strategies": names}
    own = {"definitions": definitions, "classes": ["road"], "colours": COLOURS}
    planned = {"known": list(ENTRIES), "seeds": tuple(range(seeds)), "cycles": 3}
    return View(**{**given, **own, **planned, **more})


def _visible(figure: Figure) -> list[Any]:
    return [axes for axes in figure.axes if axes.get_visible()]


def _named(axes: Any) -> dict[str, Any]:
    lines = {line.get_label(): line for line in axes.get_lines()}
    return {label: line for label, line in lines.items() if not label.startswith("_")}


def _mean(name: str, budget: str = "4x2", seeds: Sequence[int] = (0, 1)) -> Any:
    means = [sum(_score(name, budget, s, c) for s in seeds) / len(seeds) for c in (1, 2, 3)]
    return pytest.approx(means)


def _texts(figure: Figure) -> list[str]:
    return [t.get_text().replace("\n", " ") for t in figure.legends[0].get_texts()]


def _notes(figure: Figure) -> str:
    """What stands below the legend."""
    return figure.texts[-1].get_text().replace("\n", " ")


def _is_solid(line: Any) -> bool:
    return line.get_linestyle() == "-"


ABLATED = ("uncertainty", "decomp", "uncertainty_decomp", "decomp_uncertainty", "cluster")


def test_ablations_are_solid_and_dashed_pairs() -> None:
    view = _view([*ABLATED, "decomp_cluster"])
    images, by_uncertainty, by_decomp = _visible(draw_ablations(view))
    lines = _named(images)
    assert list(lines) == [
        *("decomp_uncertainty", "uncertainty", "decomp", "uncertainty_decomp"),
        *("decomp_cluster", "cluster", "95 % of full annotation"),
    ]
    for solid, dashed, common in (
        ("decomp_uncertainty", "uncertainty", "uncertainty"),
        ("decomp", "uncertainty_decomp", "decomp"),
        ("decomp_cluster", "cluster", "cluster"),
    ):
        assert _is_solid(lines[solid]) and not _is_solid(lines[dashed])
        looks = {(lines[n].get_color(), lines[n].get_marker()) for n in (solid, dashed)}
        assert looks == {view.styles[common][:2]}
        assert lines[solid].get_ydata().tolist() == _mean(solid)
        assert lines[dashed].get_ydata().tolist() == _mean(dashed)
    assert images.get_title() == "Image selection\nsolid: decomp, dashed: uncertainty"
    for axes, solid, dashed in (
        (by_uncertainty, "uncertainty_decomp", ("uncertainty", "cluster")),
        (by_decomp, "decomp", ("decomp_uncertainty", "decomp_cluster")),
    ):
        lines = _named(axes)
        assert set(lines) == {solid, *dashed, "95 % of full annotation"}
        assert _is_solid(lines[solid]) and not any(_is_solid(lines[n]) for n in dashed)
        colours = [lines[n].get_color() for n in (solid, *dashed)]
        assert colours == [view.styles[n].colour for n in ("decomp", "uncertainty", "cluster")]
        named = [t.get_text() for t in axes.get_legend().get_texts()]
        assert named == [solid, *dashed], "the references have a legend of their own"
    assert by_decomp.get_title().endswith("images of all by decomp")


def test_ablations_of_what_there_is() -> None:
    """One pair alone; pairs whose results are missing are not drawn; none is no figure."""
    (axes,) = _visible(draw_ablations(_view(["decomp", "uncertainty_decomp"])))
    assert list(_named(axes))[:2] == ["decomp", "uncertainty_decomp"]
    absent = [("4x2", "uncertainty_decomp", seed) for seed in (0, 1)]
    assert draw_ablations(_view(["decomp", "uncertainty_decomp"], lacking=absent)) is None
    assert draw_ablations(_view(["random", "decomp"])) is None
    # Without DECOMP among the region selectors all lines are solid.
    (axes,) = _visible(draw_ablations(_view(["uncertainty", "cluster", "badge"])))
    assert all(_is_solid(line) for n, line in _named(axes).items() if "full" not in n)


def test_dense_and_sparse_by_spread() -> None:
    view = _view([*PLAIN, *(f"{name}_sparse" for name in PLAIN)])
    figure = draw_dense_sparse(view)
    (axes,) = _visible(figure)
    assert axes.get_title() == "4x2 (dense), 8x1 (sparse)\none budget, spread out"
    drawn = [line for line in axes.get_lines() if len(line.get_xdata()) == 3]
    assert len(drawn) == 6
    for i, name in enumerate(PLAIN):
        dense, sparse = drawn[2 * i : 2 * i + 2]
        assert dense.get_ydata().tolist() == _mean(name)
        assert sparse.get_ydata().tolist() == _mean(f"{name}_sparse")
        assert _is_solid(dense) and not _is_solid(sparse)
        assert dense.get_color() == sparse.get_color() == view.styles[name].colour
        assert dense.get_marker() == sparse.get_marker()
    assert _texts(figure) == [
        *PLAIN,
        "dense: fewer images, more regions in each",
        "sparse: more images, fewer in each",
        "95 % of full annotation",
        "single seeds",
    ]


def test_dense_and_sparse_by_budget() -> None:
    """Budgets with as many regions; strategies that spread them are sparse under both."""
    view = _view([*PLAIN, "decomp_sparse"], budgets=("4x2", "16x1", "8x1"), seeds=1)
    panels = _visible(draw_dense_sparse(view.at("")))
    assert [a.get_title() for a in panels] == [
        "4x2 (dense), 8x1 (sparse)\none budget, spread out",
        "8x1 (dense), 8x1 (sparse)\none budget, spread out",  # no region is left to spread
        "16x1 (dense), 16x1 (sparse)\none budget, spread out",
        "4x2 (dense), 8x1 (sparse)\ntwo budgets",
    ]
    drawn = [line for line in panels[-1].get_lines() if len(line.get_xdata()) == 3]
    assert [line.get_ydata().tolist() for line in drawn] == [
        _mean(name, budget, (0,)) for name in PLAIN for budget in ("4x2", "8x1")
    ]
    assert [_is_solid(line) for line in drawn] == [True, False] * 3
    # Of one budget, what it takes part in.
    assert len(_visible(draw_dense_sparse(view.at("16x1")))) == 1
    assert len(_visible(draw_dense_sparse(view.at("8x1")))) == 2
    assert draw_dense_sparse(_view(PLAIN)) is None
    assert draw_dense_sparse(_view(PLAIN, budgets=("4x2", "5x2")).at("")) is None


def test_thresholds_in_the_order_of_tau() -> None:
    view = _view([*PLAIN, "decomp_tau_05", "decomp_tau_03"], lacking=[("4x2", "decomp_tau_05", 1)])
    figure = draw_thresholds(view)
    (axes,) = _visible(figure)
    lines = _named(axes)
    assert list(lines) == [
        *("tau = 0.3 (decomp_tau_03)", "tau = 0.5 (decomp_tau_05)", "tau = 0.7 (decomp)"),
        "95 % of full annotation",
    ]
    assert [line.get_color() for line in lines.values()][:3] == sequential_colours(3)
    assert lines["tau = 0.3 (decomp_tau_03)"].get_ydata().tolist() == _mean("decomp_tau_03")
    middle = lines["tau = 0.5 (decomp_tau_05)"]
    assert middle.get_ydata().tolist() == _mean("decomp_tau_05", seeds=(0,))
    assert _notes(figure) == "decomp_tau_05: 1 of 2 seeds."
    assert draw_thresholds(_view(PLAIN)) is None


def test_budgets_of_each_strategy() -> None:
    view = _view(PLAIN, budgets=("4x2", "16x2", "4x16"), lacking=[("16x2", "decomp", 0)])
    figure = draw_budgets(replace(view, title="Toy", budget=""))
    panels = _visible(figure)
    assert [a.get_title() for a in panels] == list(PLAIN)
    order = ["4x2", "4x16", "16x2"]
    for axes, name in zip(panels, PLAIN, strict=True):
        lines = _named(axes)
        assert list(lines) == [*(f"{b} per cycle" for b in order), "95 % of full annotation"]
        assert [line.get_color() for line in lines.values()][:3] == sequential_colours(3)
        for budget in order:
            seeds = (1,) if (budget, name) == ("16x2", "decomp") else (0, 1)
            found = lines[f"{budget} per cycle"]
            assert found.get_ydata().tolist() == _mean(name, budget, seeds)
            step = ["4x2", "16x2", "4x16"].index(budget) + 1
            assert found.get_xdata().tolist() == [step, 2 * step, 3 * step]
        assert axes.get_ylim() == panels[0].get_ylim()
        assert axes.get_xlim() == panels[0].get_xlim()
    assert _notes(figure) == "decomp, 16x2: 1 of 2 seeds."
    # All of this line is open, but not in the legend of all panels.
    faces = [_named(axes)["16x2 per cycle"].get_markerfacecolor() for axes in panels]
    assert [face == "white" for face in faces] == [False, False, True]
    reverse = replace(view, title="Toy", budget="", known=(), strategies=PLAIN[::-1])
    for found in (figure, draw_budgets(reverse)):
        texts = _texts(found)
        assert "mean of fewer than 2 seeds" in texts
        handle = found.legends[0].legend_handles[texts.index("16x2 per cycle")]
        assert handle.get_markerfacecolor() != "white"
    assert draw_budgets(_view(PLAIN)) is None


def test_references_of_their_own_are_left_out() -> None:
    """One line cannot stand for full annotation where each budget has another."""
    budgets = ("4x2", "16x2")
    same = _view(PLAIN, budgets, full=[(b, 0.6) for b in budgets])
    own = _view(PLAIN, budgets, full=list(zip(budgets, (0.6, 0.5), strict=True)))
    none = _view(PLAIN, budgets, full=())
    found = ["95 % of full annotation" in _texts(draw_budgets(v)) for v in (same, own, none)]
    assert found == [True, False, False]


def test_many_gaps_are_summed_up() -> None:
    names = list(ENTRIES)[:10]
    lacking = [(b, n, 1) for b in ("4x2", "16x2") for n in names]
    notes = _notes(draw_budgets(_view(names, ("4x2", "16x2"), lacking=lacking, seeds=2)))
    assert notes.count("1 of 2 seeds") == 8 and notes.endswith("12 more are not complete.")


def _everything() -> View:
    names = [n for n in ENTRIES if "pool" not in ENTRIES[n]]
    return _view(names, ("4x2", "8x1", "16x2"), title="A title of some length\nin two lines")


@pytest.mark.parametrize("draw", EVERY)
def test_nothing_overlaps_and_all_is_legible(draw: Draw) -> None:
    view = _everything()
    figure = draw(view.at("") if draw in (draw_dense_sparse, draw_budgets) else view)
    assert figure.get_figwidth() in (3.4, 7.0)
    figure.draw_without_rendering()
    texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text()]
    assert min(t.get_fontsize() for t in texts) >= 7
    panels = [axes.get_tightbbox() for axes in _visible(figure)]
    outside = [figure.legends[0].get_window_extent(), figure._suptitle.get_window_extent()]
    for i, box in enumerate(panels):
        assert figure.bbox.padded(1).containsx(box.x0) and figure.bbox.padded(1).containsx(box.x1)
        assert not any(box.padded(-2).overlaps(other) for other in [*outside, *panels[:i]])
    for axes in _visible(figure):
        legend = axes.get_legend()
        if legend is not None:
            name = axes.xaxis.label.get_window_extent()
            assert legend.get_window_extent().y1 <= name.y0 + 1
        size = axes.get_window_extent()
        assert min(size.width, size.height) / figure.dpi > 0.8


@pytest.mark.parametrize("draw", EVERY)
def test_intervals_from_five_seeds_on(draw: Draw) -> None:
    for seeds, areas in ((4, False), (5, True)):
        names = ["decomp", "decomp_sparse", "decomp_tau_03", "uncertainty_decomp"]
        view = _view(names, ("4x2", "16x2"), seeds=seeds)
        figure = draw(view)
        kinds = {type(c).__name__ for axes in _visible(figure) for c in axes.collections}
        assert kinds == ({"FillBetweenPolyCollection"} if areas else {"PathCollection"})
        said = "95 % interval over seeds" if areas else "single seeds"
        assert said in _texts(figure)


@pytest.mark.parametrize("draw", EVERY)
def test_refusals(draw: Draw) -> None:
    view = _everything()
    both = [replace(p, run=run) for p in view.points for run in ("a", "b")]
    with pytest.raises(DataError, match="one run per figure, found a, b"):
        draw(replace(view, points=both))
    with pytest.raises(DataError, match="no cost 'hours'"):
        draw(replace(view, x="hours"))
    if draw is not draw_budgets:
        with pytest.raises(DataError, match="no curves of budget '9x9'"):
            draw(view.at("9x9"))
    assert draw(replace(view, points=[], budget="")) is None
