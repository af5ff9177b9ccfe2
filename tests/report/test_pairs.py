"""Strategies that differ in one thing only are found, and drawn from the right numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from al.config.settings import read_yaml
from al.io.errors import DataError
from al.paths import ROOT
from al.report.budget_figures import draw_budgets
from al.report.pair_figures import draw_ablations, draw_dense_sparse, draw_thresholds
from al.report.pairs import (
    ablation_groups,
    ablation_pairs,
    budget_pairs,
    read_budget,
    spread_pairs,
    threshold_series,
)
from al.report.style import sequential_colours
from al.report.view import View
from al.strategies import resolve

from .curve_sample import lines, notes, panels, point, view

SETTINGS, ENTRIES = (read_yaml(ROOT / f"config/{name}.yaml") for name in ("config", "strategies"))
PLAIN = ("random", "uncertainty", "decomp")


def _score(name: str, budget: str, seed: int, cycle: int) -> float:
    """A number that no other strategy, budget, seed or cycle has."""
    place = list(ENTRIES).index(name) + 30 * (len(budget) - 3)
    return 0.1 * cycle + 0.003 * seed + 0.0002 * place


def _view(
    names: Sequence[str],
    budgets: Sequence[str] = ("4x2",),
    seeds: int = 2,
    lacking: Sequence[tuple[str, str, int]] = (),
) -> View:
    held = [
        point(name, seed, cycle, _score(name, budget, seed, cycle), budget=budget,
              costs={"area_percent": float(cycle * (i + 1))})
        for i, budget in enumerate(budgets)
        for name in names
        for seed in range(seeds)
        for cycle in (1, 2, 3)
        if (budget, name, seed) not in lacking
    ]  # fmt: skip
    held.append(point("full", 0, 0, 0.6, budget="4x2"))
    return view(
        held, budget=budgets[0], strategies=names, known=list(ENTRIES), seeds=tuple(range(seeds)),
        definitions={name: resolve(name, ENTRIES[name], SETTINGS) for name in names}, cycles=3,
        colours=SETTINGS["report"]["colours"],
    )  # fmt: skip


def _mean(name: str, budget: str = "4x2", seeds: Sequence[int] = (0, 1)) -> Any:
    means = [sum(_score(name, budget, s, c) for s in seeds) / len(seeds) for c in (1, 2, 3)]
    return pytest.approx(means)


def _is_solid(line: Any) -> bool:
    return line.get_linestyle() == "-"


def _curves(axes: Any) -> list[Any]:
    return [line for line in axes.get_lines() if len(line.get_xdata()) == 3]


def test_pairs_of_the_paper() -> None:
    """Figs. 5 to 7 and 11: of every strategy there is, options filled in as for a run."""
    known = {name: resolve(name, entry, SETTINGS) for name, entry in ENTRIES.items()}
    assert [(g.common, g.members) for g in ablation_groups(known, "images")] == [
        ("uncertainty", {"uncertainty": "uncertainty", "decomp": "decomp_uncertainty"}),
        ("decomp", {"decomp": "decomp", "uncertainty": "uncertainty_decomp"}),
        ("cluster", {"uncertainty": "cluster", "decomp": "decomp_cluster"}),
        ("coreset", {"uncertainty": "coreset", "decomp": "decomp_coreset"}),
    ]
    regions = {g.common: g.members for g in ablation_groups(known, "regions")}
    assert list(regions) == ["uncertainty", "decomp"]
    assert regions["decomp"] == {
        "decomp": "decomp",
        "uncertainty": "decomp_uncertainty",
        "cluster": "decomp_cluster",
        "coreset": "decomp_coreset",
    }
    (series,) = threshold_series(known)
    assert list(series.items()) == [
        *((0.3, "decomp_tau_03"), (0.5, "decomp_tau_05"), (0.7, "decomp")),
    ]
    assert spread_pairs(known) == [(n, f"{n}_sparse") for n in ("random", "uncertainty", "decomp")]


def test_options_that_both_have_are_to_be_equal() -> None:
    """Those that the differing selector alone reads are not compared; the first stands for more."""
    found = {
        "a": {"images": "decomp", "regions": "random", "tau": 0.7},
        "b": {"images": "decomp", "regions": "random", "tau": 0.3},
        "c": {"images": "uncertainty", "regions": "random"},
        "d": {"images": "cluster", "regions": "random", "tau": 0.3},
    }
    pairs = [("images", *names) for names in ("ac", "bc", "bd", "cd")]
    assert ablation_pairs(found) == pairs
    groups = [g.members for g in ablation_groups(found, "images")]
    assert groups == [{"decomp": "a", "uncertainty": "c"}, {"decomp": "b", "cluster": "d"}]


def test_budgets_of_equal_size() -> None:
    assert budget_pairs(["4x1", "2x2", "1x4", "2x2"]) == [("1x4", "2x2"), ("1x4", "4x1")]
    assert budget_pairs(["5x4"]) == [] and read_budget("50x10") == (50, 10)
    for wrong in ("50", "ax2", "1x2x3", "-1x2", ""):
        with pytest.raises(DataError, match="not of the form IMAGESxREGIONS"):
            read_budget(wrong)


def test_ablations_are_solid_and_dashed_pairs() -> None:
    ablated = ("uncertainty", "decomp", "uncertainty_decomp", "decomp_uncertainty", "cluster")
    held = _view([*ablated, "decomp_cluster"])
    images, by_uncertainty, by_decomp = map(lines, panels(draw_ablations(held)))
    for solid, dashed, common in (
        ("decomp_uncertainty", "uncertainty", "uncertainty"),
        ("decomp", "uncertainty_decomp", "decomp"),
        ("decomp_cluster", "cluster", "cluster"),
    ):
        assert _is_solid(images[solid]) and not _is_solid(images[dashed])
        looks = {(images[n].get_color(), images[n].get_marker()) for n in (solid, dashed)}
        assert looks == {held.styles[common][:2]}
        assert images[solid].get_ydata().tolist() == _mean(solid)
        assert images[dashed].get_ydata().tolist() == _mean(dashed)
    for drawn, solid, dashed in (
        (by_uncertainty, "uncertainty_decomp", ("uncertainty", "cluster")),
        (by_decomp, "decomp", ("decomp_uncertainty", "decomp_cluster")),
    ):
        assert set(drawn) >= {solid, *dashed}
        assert _is_solid(drawn[solid]) and not any(_is_solid(drawn[n]) for n in dashed)
        assert drawn[solid].get_ydata().tolist() == _mean(solid)
    absent = [("4x2", "uncertainty_decomp", seed) for seed in (0, 1)]
    assert draw_ablations(_view(["decomp", "uncertainty_decomp"], lacking=absent)) is None


def test_dense_and_sparse() -> None:
    """By spread, and budgets with as many regions."""
    held = _view([*PLAIN, *(f"{name}_sparse" for name in PLAIN)])
    (axes,) = panels(draw_dense_sparse(held))
    drawn = _curves(axes)
    assert len(drawn) == 6
    for i, name in enumerate(PLAIN):
        dense, sparse = drawn[2 * i : 2 * i + 2]
        assert dense.get_ydata().tolist() == _mean(name)
        assert sparse.get_ydata().tolist() == _mean(f"{name}_sparse")
        assert _is_solid(dense) and not _is_solid(sparse)
        assert dense.get_color() == sparse.get_color() == held.styles[name].colour
    held = _view([*PLAIN, "decomp_sparse"], budgets=("4x2", "16x1", "8x1"), seeds=1)
    last = panels(draw_dense_sparse(held.at("")))[-1]
    assert [line.get_ydata().tolist() for line in _curves(last)] == [
        _mean(name, budget, (0,)) for name in PLAIN for budget in ("4x2", "8x1")
    ]
    assert len(panels(draw_dense_sparse(held.at("16x1")))) == 1, "what it takes part in"


def test_thresholds_in_the_order_of_tau() -> None:
    held = _view([*PLAIN, "decomp_tau_05", "decomp_tau_03"], lacking=[("4x2", "decomp_tau_05", 1)])
    figure = draw_thresholds(held)
    low, middle, high, _ = lines(panels(figure)[0]).values()
    assert low.get_ydata().tolist() == _mean("decomp_tau_03")
    assert middle.get_ydata().tolist() == _mean("decomp_tau_05", seeds=(0,))
    assert high.get_ydata().tolist() == _mean("decomp")
    assert [line.get_color() for line in (low, middle, high)] == sequential_colours(3)
    assert "decomp_tau_05: 1 of 2 seeds" in notes(figure)


def test_budgets_of_each_strategy() -> None:
    budgets = ("4x2", "16x2", "4x16")
    held = _view(PLAIN, budgets=budgets, lacking=[("16x2", "decomp", 0)])
    figure = draw_budgets(held.at(""))
    shown = panels(figure)
    assert [a.get_title() for a in shown] == list(PLAIN)
    for axes, name in zip(shown, PLAIN, strict=True):
        drawn = list(lines(axes).values())
        assert [line.get_color() for line in drawn][:3] == sequential_colours(3)
        for line, budget in zip(drawn, ["4x2", "4x16", "16x2"], strict=False):
            seeds = (1,) if (budget, name) == ("16x2", "decomp") else (0, 1)
            assert line.get_ydata().tolist() == _mean(name, budget, seeds)
            step = budgets.index(budget) + 1
            assert line.get_xdata().tolist() == [step, 2 * step, 3 * step]
        assert axes.get_ylim() == shown[0].get_ylim()
    assert "decomp, 16x2: 1 of 2 seeds" in notes(figure)


@pytest.mark.parametrize("draw", [draw_ablations, draw_dense_sparse, draw_thresholds, draw_budgets])
def test_nothing_to_draw(draw: Callable[[View], Any]) -> None:
    assert draw(_view(PLAIN)) is None
