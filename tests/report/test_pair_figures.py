"""Ablations, dense against sparse, thresholds and budgets are drawn from the right numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from al.config.settings import read_yaml
from al.io.errors import DataError
from al.paths import ROOT
from al.report.budget_figures import draw_budgets
from al.report.curves import Point
from al.report.pair_figures import draw_ablations, draw_dense_sparse, draw_thresholds
from al.report.style import sequential_colours
from al.report.view import View
from al.strategies import resolve

from .curve_sample import lines, notes, panels, texts

SETTINGS, ENTRIES = (read_yaml(ROOT / f"config/{name}.yaml") for name in ("config", "strategies"))
PLAIN = ("random", "uncertainty", "decomp")
EVERY = (draw_ablations, draw_dense_sparse, draw_thresholds, draw_budgets)


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
) -> View:
    held = [
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
    held += [Point("toy", b, "full", 0, 0, "2d", "mIoU", v, {}, {}) for b, v in full]
    definitions = {name: resolve(name, ENTRIES[name], SETTINGS) for name in names}
    return View(
        held, budgets[0], "area_percent", names, definitions, ["road"],
        SETTINGS["report"]["colours"], list(ENTRIES), seeds=tuple(range(seeds)), cycles=3,
    )  # fmt: skip


def _mean(name: str, budget: str = "4x2", seeds: Sequence[int] = (0, 1)) -> Any:
    means = [sum(_score(name, budget, s, c) for s in seeds) / len(seeds) for c in (1, 2, 3)]
    return pytest.approx(means)


def _is_solid(line: Any) -> bool:
    return line.get_linestyle() == "-"


def test_ablations_are_solid_and_dashed_pairs() -> None:
    ablated = ("uncertainty", "decomp", "uncertainty_decomp", "decomp_uncertainty", "cluster")
    view = _view([*ablated, "decomp_cluster"])
    images, by_uncertainty, by_decomp = panels(draw_ablations(view))
    drawn = lines(images)
    for solid, dashed, common in (
        ("decomp_uncertainty", "uncertainty", "uncertainty"),
        ("decomp", "uncertainty_decomp", "decomp"),
        ("decomp_cluster", "cluster", "cluster"),
    ):
        assert _is_solid(drawn[solid]) and not _is_solid(drawn[dashed])
        looks = {(drawn[n].get_color(), drawn[n].get_marker()) for n in (solid, dashed)}
        assert looks == {view.styles[common][:2]}
        assert drawn[solid].get_ydata().tolist() == _mean(solid)
        assert drawn[dashed].get_ydata().tolist() == _mean(dashed)
    for axes, solid, dashed in (
        (by_uncertainty, "uncertainty_decomp", ("uncertainty", "cluster")),
        (by_decomp, "decomp", ("decomp_uncertainty", "decomp_cluster")),
    ):
        drawn = lines(axes)
        assert set(drawn) >= {solid, *dashed}
        assert _is_solid(drawn[solid]) and not any(_is_solid(drawn[n]) for n in dashed)
        assert drawn[solid].get_ydata().tolist() == _mean(solid)
    absent = [("4x2", "uncertainty_decomp", seed) for seed in (0, 1)]
    assert draw_ablations(_view(["decomp", "uncertainty_decomp"], lacking=absent)) is None


def test_dense_and_sparse() -> None:
    """By spread, and budgets with as many regions."""
    view = _view([*PLAIN, *(f"{name}_sparse" for name in PLAIN)])
    (axes,) = panels(draw_dense_sparse(view))
    drawn = [line for line in axes.get_lines() if len(line.get_xdata()) == 3]
    assert len(drawn) == 6
    for i, name in enumerate(PLAIN):
        dense, sparse = drawn[2 * i : 2 * i + 2]
        assert dense.get_ydata().tolist() == _mean(name)
        assert sparse.get_ydata().tolist() == _mean(f"{name}_sparse")
        assert _is_solid(dense) and not _is_solid(sparse)
        assert dense.get_color() == sparse.get_color() == view.styles[name].colour
    view = _view([*PLAIN, "decomp_sparse"], budgets=("4x2", "16x1", "8x1"), seeds=1)
    last = panels(draw_dense_sparse(view.at("")))[-1]
    drawn = [line for line in last.get_lines() if len(line.get_xdata()) == 3]
    assert [line.get_ydata().tolist() for line in drawn] == [
        _mean(name, budget, (0,)) for name in PLAIN for budget in ("4x2", "8x1")
    ]
    assert len(panels(draw_dense_sparse(view.at("16x1")))) == 1, "what it takes part in"


def test_thresholds_in_the_order_of_tau() -> None:
    view = _view([*PLAIN, "decomp_tau_05", "decomp_tau_03"], lacking=[("4x2", "decomp_tau_05", 1)])
    figure = draw_thresholds(view)
    low, middle, high, _ = lines(panels(figure)[0]).values()
    assert low.get_ydata().tolist() == _mean("decomp_tau_03")
    assert middle.get_ydata().tolist() == _mean("decomp_tau_05", seeds=(0,))
    assert high.get_ydata().tolist() == _mean("decomp")
    assert [line.get_color() for line in (low, middle, high)] == sequential_colours(3)
    assert "decomp_tau_05: 1 of 2 seeds" in notes(figure)


def test_budgets_of_each_strategy() -> None:
    view = _view(PLAIN, budgets=("4x2", "16x2", "4x16"), lacking=[("16x2", "decomp", 0)])
    figure = draw_budgets(view.at(""))
    shown = panels(figure)
    assert [a.get_title() for a in shown] == list(PLAIN)
    for axes, name in zip(shown, PLAIN, strict=True):
        drawn = list(lines(axes).values())
        assert [line.get_color() for line in drawn][:3] == sequential_colours(3)
        for line, budget in zip(drawn, ["4x2", "4x16", "16x2"], strict=False):
            seeds = (1,) if (budget, name) == ("16x2", "decomp") else (0, 1)
            assert line.get_ydata().tolist() == _mean(name, budget, seeds)
            step = ["4x2", "16x2", "4x16"].index(budget) + 1
            assert line.get_xdata().tolist() == [step, 2 * step, 3 * step]
        assert axes.get_ylim() == shown[0].get_ylim()
    assert "decomp, 16x2: 1 of 2 seeds" in notes(figure)


def test_references_of_their_own_are_left_out() -> None:
    """One line cannot stand for full annotation where each budget has another."""
    budgets = ("4x2", "16x2")
    same = _view(PLAIN, budgets, full=[(b, 0.6) for b in budgets])
    own = _view(PLAIN, budgets, full=list(zip(budgets, (0.6, 0.5), strict=True)))
    found = [any("full" in t for t in texts(draw_budgets(v))) for v in (same, own)]
    assert found == [True, False]


@pytest.mark.parametrize("draw", EVERY)
def test_refusals_and_nothing_to_draw(draw: Callable[[View], Any]) -> None:
    assert draw(_view(PLAIN)) is None
    names = [n for n in ENTRIES if "pool" not in ENTRIES[n]][:12]
    view = _view(names, ("4x2", "8x1"))
    both = [replace(p, run=run) for p in view.points for run in ("a", "b")]
    with pytest.raises(DataError, match="a, b"):
        draw(replace(view, points=both))
    with pytest.raises(DataError, match="'hours'"):
        draw(replace(view, x="hours"))
    assert draw(replace(view, points=[], budget="")) is None
