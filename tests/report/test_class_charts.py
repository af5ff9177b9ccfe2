"""The figures per class draw the numbers they are given, and say what they lack."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import spearmanr

from al.report.class_charts import MOST_NAMES, agreement, imbalance
from al.report.view import Confidence, View

from .curve_sample import axes, point, rows, said, view

CLASSES = ["road", "pole", "sky", "bus"]
STRATEGIES = ["random", "uncertainty", "decomp"]
TRUTH = {"road": 6000, "pole": 30, "sky": 3000, "bus": 970}
ORDER = ["road", "sky", "bus", "pole"]


def _value(strategy: str, seed: int, cycle: int, place: int, kind: int) -> float:
    """A number of its own for every cell; the first cycle is the same for all strategies."""
    who = 0 if cycle == 1 else STRATEGIES.index(strategy)
    rng = np.random.default_rng([who, seed, cycle, place, kind])
    return float(rng.uniform(0.05, 0.95))


def _view(**more: Any) -> View:
    """No ``bus`` in the test set, no ``pole`` in the pool; ``random`` lacks seed 2 of cycle 3.

    The last models predict nothing, and the first never ``sky``.
    """
    points, confidence = [], []
    for of in ((n, s, c) for n in STRATEGIES for s in range(3) for c in (1, 2, 3)):
        name, seed, cycle = of
        scores = {c: _value(*of, i, 0) for i, c in enumerate(CLASSES) if c != "bus"}
        shares = {c: 100 * _value(*of, i, 1) for i, c in enumerate(CLASSES) if c != "pole"}
        costs = {"area_percent": float(cycle + seed), "images": 2.0 * cycle}
        if of != ("random", 2, 3):
            points.append(point(*of, 0.5, costs=costs, per_class=scores, annotated=shares))
        if cycle < 3 and (cycle == 1 or name != "random"):
            for i, c in enumerate(CLASSES):
                k = 0 if (c, cycle) == ("sky", 1) else 1000
                n = int(k * _value(*of, i, 2))
                confidence.append(Confidence("2x3", name, seed, cycle, c, k, n))
    held = {"classes": CLASSES, "known": STRATEGIES, "confidence": confidence, "truth": TRUTH}
    return view(points, **(held | {"seeds": range(3), "cycles": 3} | more))


def _mean(kind: int, name: str, cycle: int, cls: str) -> float:
    """The slow way; confidence as the whole counts give it."""
    seeds = range(2 if (name, cycle) == ("random", 3) else 3)
    values = [_value(name, s, cycle, CLASSES.index(cls), kind) for s in seeds]
    return sum(int(1000 * v) / 1000 if kind == 2 else v for v in values) / len(values)


def test_shares_of_the_pool_and_what_was_annotated_of_each_class() -> None:
    chart = imbalance(_view())
    pool, annotated = chart["concat"]
    shares = {row["class"]: row["share"] for row in rows(pool["layer"][0])}
    assert shares == pytest.approx({"road": 60, "sky": 30, "bus": 9.7, "pole": 0.3})
    assert [a for a in axes(pool, "y")][0]["scale"]["domain"] == ["whole pool", *ORDER]
    assert axes(pool, "x")[0]["scale"]["type"] == "log"
    drawn = {(r["strategy"], r["class"]): r["share"] for r in rows(annotated)}
    for name in STRATEGIES:
        for cls in ("road", "sky", "bus"):
            assert drawn[name, cls] == pytest.approx(100 * _mean(1, name, 3, cls))
        assert drawn[name, "whole pool"] == (3.5 if name == "random" else 4)
        assert (name, "pole") not in drawn and name in said(chart)
    opened = {r["strategy"] for r in rows(annotated) if r["open"]}
    assert opened == {"random"} and "fewer than 3 seeds" in said(chart)
    bare = [replace(p, annotated={}) for p in _view().points]
    assert rows(imbalance(replace(_view(), points=bare)))
    assert imbalance(replace(_view(truth={}), points=bare)) is None


def test_agreement_of_confidence_and_score() -> None:
    chart = agreement(_view())
    for cycle, panel in zip((1, 2), chart["concat"], strict=True):
        used = ["road", "pole"] if cycle == 1 else ["road", "pole", "sky"]
        drawn = {r["class"]: (r["x"], r["y"]) for r in rows(panel["layer"][0])}
        assert drawn == {
            c: (
                pytest.approx(_mean(2, "decomp", cycle, c)),
                pytest.approx(_mean(0, "decomp", cycle, c)),
            )
            for c in used
        }
        assert {r["text"] for r in rows(panel["layer"][1])} == set(used), "all have names"
    both = [
        [[_value("decomp", s, 2, i, kind) for i in (0, 1, 2)] for kind in (2, 0)] for s in range(3)
    ]
    rho = np.mean([spearmanr(*values).statistic for values in both])
    assert f"{rho:.2f}" in chart["concat"][1]["title"]["text"]
    assert "no rank correlation" in chart["concat"][0]["title"]["text"], "of two classes"
    assert agreement(_view(confidence=[])) is None


def test_of_many_classes_numbers_stand_for_names() -> None:
    names = [*CLASSES, *(f"class {i}" for i in range(MOST_NAMES))]
    chart = agreement(_view(classes=names))
    assert {r["text"] for r in rows(chart["concat"][1]["layer"][1])} == {"1", "2", "3"}
    assert "1 road, 2 pole, 3 sky, 4 bus, 5 class 0" in said(chart)
