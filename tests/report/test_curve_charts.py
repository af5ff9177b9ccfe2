"""Figures of curves: the numbers drawn, what is missing, the spread, and groups of curves."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import vl_convert

from al.config.settings import read_yaml
from al.paths import ROOT
from al.report import groups
from al.report.charts import configured
from al.report.curve_charts import classes, costs, curves, grouped
from al.report.explorer import explorer
from al.report.view import View
from al.strategies import resolve

from .curve_sample import axes, grid, make_view, point, points, rows, said, view

SCORES = {("decomp", 0): (0.2, 0.4, 0.6), ("decomp", 1): (0.3, 0.5, 0.7), ("random", 0): (0.2, 0.3)}
SETTINGS, ENTRIES = (read_yaml(ROOT / f"config/{name}.yaml") for name in ("config", "strategies"))
PLAIN = ("random", "uncertainty", "decomp")


@pytest.fixture
def held() -> View:
    """Two strategies and both references."""
    made = make_view(SCORES, seeds=(0, 1), cycles=3)
    return replace(made, points=[*made.points, point("full_same_steps", 0, 0, 0.7)])


def _lines(chart: Any, panel: int = 0) -> dict[str, list[tuple[float, float]]]:
    """(cost, mean) of each line of a panel by its name, without what is said in brackets."""
    found: dict[str, list[tuple[float, float]]] = {}
    for row in rows(chart, kind="mean", panel=panel):
        found.setdefault(row["name"].split(" (")[0], []).append((row["x"], row["y"]))
    return found


def test_lines_are_means_over_seeds_and_references_are_named(held: View) -> None:
    chart = curves(replace(held, notes={"random": "reads ground truth"}))
    lines = _lines(chart)
    assert lines["decomp"] == [(x, pytest.approx(y)) for x, y in ((2, 0.25), (4, 0.45), (6, 0.65))]
    assert lines["random"] == [(2, 0.2), (4, 0.3)]
    levels = {row["name"]: row["y"] for row in rows(chart, kind="level")}
    assert list(levels.values()) == pytest.approx([0.8, 0.76, 0.7])
    dash = next(a["scale"] for a in axes(chart, "strokeDash"))
    dashes = dict(zip(dash["domain"], map(tuple, dash["range"]), strict=True))
    assert len({dashes[name] for name in levels}) == 3, "told apart without colour"
    svg = vl_convert.vegalite_to_svg(configured(chart))
    for text in (*levels, "random (1 of 2 seeds; reads ground truth)", "decomp"):
        assert f">{text}<" in svg, "named in the legend"
    assert all(a["title"] for channel in "xy" for a in axes(chart, channel))


def test_costs_have_panels_with_their_numbers() -> None:
    made = points(grid(["random", "decomp"], 2, 3))
    for p in made:
        p.costs.update(validation_images=0.0, foreground_percent=p.cycle / 2)
    made[1].costs.pop("foreground_percent")  # one point lacks it, the other never grows
    chart = costs(view(made))
    assert {row["panel"] for row in rows(chart, kind="mean")} == {0, 1, 2}
    for panel, factor in enumerate((2, 10, 4)):
        x, y = zip(*_lines(chart, panel)["decomp"], strict=True)
        assert x == (factor, 2 * factor, 3 * factor)
        assert y == pytest.approx([0.125, 0.225, 0.325])


def test_classes_have_their_own_heights(held: View) -> None:
    made = [replace(p, per_class={"road": p.score + 0.1}) for p in held.points]
    chart = classes(replace(held, points=made, classes=["road", "pole"]))
    assert {row["panel"] for row in rows(chart)} == {0} and "pole" not in said(chart)
    assert [y for _, y in _lines(chart)["decomp"]] == pytest.approx([0.35, 0.55, 0.75])
    levels = {row["name"]: row["y"] for row in rows(chart, kind="level")}
    assert levels["95 % of full annotation"] == pytest.approx(0.95 * 0.9)
    assert classes(view([replace(p, per_class={}) for p in made])) is None


def test_a_missing_seed_and_missing_cycles() -> None:
    scores = grid(["random", "uncertainty", "decomp"], 3, 4)
    for seed in range(3):
        scores["decomp", seed][1] = None
    scores["uncertainty", 1][2] = None
    del scores["random", 2]
    chart = curves(view(points(scores), seeds=(0, 1, 2), cycles=4))
    assert "random (2 of 3 seeds)" in said(chart) and "fewer than 3 seeds" in said(chart)
    # The line over the cycles there are, broken where one is missing for all; its ends are marked.
    decomp = rows(chart, kind="mean", name="decomp")
    assert [row["y"] for row in decomp] == pytest.approx([0.15, 0.35, 0.45])
    assert [row["piece"] for row in decomp] == [0, 1, 1] and not any(r["bare"] for r in decomp)
    # Of the cycle that one seed lacks, the mean of the others (0.32 and 0.34), as an open marker.
    uncertainty = rows(chart, kind="mean", name="uncertainty")
    assert uncertainty[2]["y"] == pytest.approx(0.33)
    assert [row["open"] for row in uncertainty] == [False, False, True, False]
    assert all(row["open"] for row in rows(chart, kind="mean", name="random (2 of 3 seeds)"))


@pytest.mark.parametrize(("folds", "factor"), [(0, 1 / 5), (5, 1 / 5 + 1 / 4)])
def test_the_band_is_the_t_interval(folds: int, factor: float) -> None:
    """Of five folds 1 part is tested on and 4 trained on, so 1/5 + 1/4 in place of 1/5.

    The last cycle, which two of five have, has no band: their points stand there.
    """
    scores = [0.2, 0.3, 0.4, 0.5, 0.6]
    made = points({("random", s): [v, v, v if s < 2 else None] for s, v in enumerate(scores)})
    more = {"folds": folds, "seeds": range(5), "cycles": 3}
    chart = curves(view(made, **more))
    half = 2.776445 * 0.158114 * math.sqrt(factor)  # t(0.975, 4), standard deviation
    first, second, last = rows(chart, kind="mean")
    for row in (first, second):
        assert row["low"] == pytest.approx(0.4 - half, abs=1e-5)
        assert row["high"] == pytest.approx(0.4 + half, abs=1e-5)
    assert "low" not in last
    assert [(r["x"], r["y"]) for r in rows(chart, kind="seed")] == [(6, 0.2), (6, 0.3)]
    assert ("folds" if folds else "seeds") in said(chart)
    spec = explorer([view(made, **more)])
    drawn = [row for row in spec["datasets"]["rows"] if row["kind"] == "mean"]
    assert [row.get("low") for row in drawn] == [first["low"], second["low"], None]


def test_seven_strategies_have_no_bands_and_all_are_named() -> None:
    names = [f"s{i}" for i in range(7)]
    chart = curves(view(points(grid(names, 5, 30)), known=names))
    marks = {layer["mark"]["type"] for layer in chart["spec"]["layer"]}
    assert "area" not in marks and "95 % interval" not in said(chart)
    looks = [next(a["scale"]["range"] for a in axes(chart, c)) for c in ("stroke", "shape")]
    assert len(set(zip(*looks, strict=True))) == 7
    marked = [sum(not r["bare"] for r in rows(chart, kind="mean", name=n)) for n in names]
    assert max(marked) <= 15


def _view(names: Sequence[str], budgets: Sequence[str] = ("4x2",)) -> View:
    """Two seeds of each; each budget costs and scores more than the one before."""
    held = [
        replace(p, score=p.score + 0.001 * i, costs={"area_percent": float(p.cycle * (i + 1))})
        for i, budget in enumerate(budgets)
        for p in points(grid(names, 2, 3), budget=budget)
    ]
    definitions = {name: resolve(name, ENTRIES[name], SETTINGS) for name in names}
    more = {"strategies": names, "known": list(ENTRIES), "definitions": definitions}
    return view([*held, point("full", 0, 0, 0.6)], budget=budgets[0], seeds=(0, 1), **more)


def test_groups_of_the_paper() -> None:
    """Figs. 5 to 7 and 11: of every strategy there is, options filled in as for a run."""
    known = {name: resolve(name, entry, SETTINGS) for name, entry in ENTRIES.items()}
    assert groups.ablations(known)[:4] == [
        ("regions by uncertainty", ["uncertainty", "decomp_uncertainty"]),
        ("regions by decomp", ["decomp", "uncertainty_decomp"]),
        ("regions by cluster", ["cluster", "decomp_cluster"]),
        ("regions by coreset", ["coreset", "decomp_coreset"]),
    ]
    regions = dict(groups.ablations(known)[4:])
    assert list(regions) == ["images by uncertainty", "images by decomp"]
    assert regions["images by decomp"] == [
        *("decomp", "decomp_uncertainty", "decomp_cluster", "decomp_coreset"),
    ]
    (series,) = groups.thresholds(known)
    assert series == ("tau = 0.3, 0.5, 0.7", ["decomp_tau_03", "decomp_tau_05", "decomp"])
    assert [names for _, names in groups.dense_sparse(known)] == [[n, f"{n}_sparse"] for n in PLAIN]


def test_options_that_both_have_are_to_be_equal() -> None:
    """Those that the differing selector alone reads are not compared; the first stands for more."""
    found = {
        "a": {"images": "decomp", "regions": "random", "tau": 0.7},
        "b": {"images": "decomp", "regions": "random", "tau": 0.3},
        "c": {"images": "uncertainty", "regions": "random"},
        "d": {"images": "cluster", "regions": "random", "tau": 0.3},
    }
    assert [names for _, names in groups.ablations(found)] == [["a", "c"], ["b", "d"]]


def test_groups_keep_the_look_of_strategies() -> None:
    ablated = _view(("uncertainty", "decomp", "uncertainty_decomp", "decomp_uncertainty"))
    chart = grouped(ablated, "ablations")
    assert [set(_lines(chart, panel)) for panel in range(4)] == [
        {"uncertainty", "decomp_uncertainty"},
        {"decomp", "uncertainty_decomp"},
        {"uncertainty", "uncertainty_decomp"},
        {"decomp", "decomp_uncertainty"},
    ]
    scale = axes(chart, "stroke")[0]["scale"]
    colours = dict(zip(scale["domain"], scale["range"], strict=True))
    assert all(colours[name] == ablated.styles[name].colour for name in ablated.strategies)
    tau = grouped(_view([*PLAIN, "decomp_tau_05", "decomp_tau_03"]), "thresholds")
    assert list(_lines(tau)) == ["decomp_tau_03", "decomp_tau_05", "decomp"]
    spread = grouped(_view([*PLAIN, *(f"{name}_sparse" for name in PLAIN)]), "dense_sparse")
    assert [list(_lines(spread, i)) for i in range(3)] == [[n, f"{n}_sparse"] for n in PLAIN]


def test_budgets_of_each_strategy() -> None:
    chart = grouped(_view(PLAIN, ("4x2", "4x16", "16x2")).at(""), "budgets")
    for panel in range(3):
        lines = _lines(chart, panel)
        assert list(lines) == ["4x2 per cycle", "4x16 per cycle", "16x2 per cycle"]
        for i, line in enumerate(lines.values()):
            means = [0.1 * c + 0.005 + 0.02 * panel + 0.001 * i for c in (1, 2, 3)]
            assert line == [(c * (i + 1), pytest.approx(means[c - 1])) for c in (1, 2, 3)]
    assert all(grouped(_view(PLAIN), kind) is None for kind in (*groups.KINDS, "budgets"))


def test_the_explorer_has_all_numbers_once() -> None:
    made = _view(PLAIN, ("4x2", "8x1"))
    for p in made.points:
        p.costs["images"] = float(p.cycle)
    made.points[0].costs["steps"] = 1.0  # which the others lack
    spec = explorer([made.at("4x2"), made.at("8x1")])
    held = spec["datasets"]["rows"]
    for budget in ("4x2", "8x1"):
        for name in PLAIN:
            own = [r for r in held if r["name"] == name and r["budget"] == budget]
            means = [0.1 * c + 0.005 + 0.02 * PLAIN.index(name) for c in (1, 2, 3)]
            drawn = [r["y"] for r in own if r["kind"] == "mean"]
            assert drawn == pytest.approx(means, abs=0.0011)
            assert sum(r["kind"] == "seed" for r in own) == 6
            assert all(r["images"] == r["cycle"] for r in own)
    params = {p["name"]: p for p in spec["params"]}
    assert params["cost"]["value"] == "area_percent"
    assert params["cost"]["bind"]["options"] == ["area_percent", "images"]
    assert params["budget"]["bind"]["options"] == ["4x2", "8x1"]
    assert params["chosen"]["bind"] == "legend" and spec["width"] == "container"
    assert spec == explorer([made.at("4x2"), made.at("8x1")]), "the same each time"
    for cost, title in (("area_percent", "annotated area (%)"), ("images", "images opened")):
        shown = json.loads(json.dumps(spec)) | {"width": 500}
        next(p for p in shown["params"] if p["name"] == "cost")["value"] = cost
        svg = vl_convert.vegalite_to_svg(shown)
        assert all(f">{text}<" in svg for text in (title, *PLAIN, "95 % of full annotation"))
    assert explorer([]) is None and explorer([view([], budget="")]) is None
