"""Tables and page of whole runs agree with an independent computation from their files."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import t

from al.report.catalogue import tables_of
from al.report.gather import metrics_of, read_run
from al.report.reach import NO_STRATEGY
from al.report.tabulation import Source, make_table, read_last_metrics

from .run_files import (
    Data,
    RunFiles,
    Where,
    look_at,
    plain,
    quality,
    resolved,
    rows_of,
    section,
    write_some,
)

Start = Callable[..., RunFiles]


@pytest.fixture
def start(data: Data, tmp_path: Path) -> Start:
    """Write a small run of volumes."""

    def run(there: Any = lambda w: True, score: Any = quality, **changes: Any) -> RunFiles:
        base = {"run": "vol", "strategies": "random,decomp", "seeds": 2, "cycles": 3}
        settings = resolved("kits23_mini", data, **{**base, "budget": "2x3", **changes})
        return RunFiles(tmp_path, settings, there, score).write()

    return run


def scores(run: RunFiles, strategy: str, cycle: int) -> np.ndarray:
    """Of the seeds in order, as their metrics files say."""
    found = sorted(run.results.glob(f"2x3/{strategy}/seed-*/cycle-{cycle:03d}/metrics.json"))
    return np.array([json.loads(path.read_text())["score"] for path in found])


def pair(run: RunFiles, measure: str, first: str, second: str) -> dict[str, str]:
    """The row of two strategies in the table of pairs."""
    rows = [r for r in rows_of(run.report / "pairs.csv") if r["measure"] == measure]
    (row,) = [r for r in rows if (r["first"], r["second"]) == (first, second)]
    return row


def test_a_whole_run_lacks_nothing(start: Start) -> None:
    run = start()
    page = write_some(run)
    assert "This run is in progress" not in plain(page)
    for name, title in tables_of(look_at(run)):
        assert title in section(page, f"table-{name}")
        assert (run.report / f"{name}.csv").is_file() and (run.report / f"{name}.tex").is_file()
    assert "below 6 there is no test" in section(page, "comparisons-2x3")


def test_runs_of_little(start: Start) -> None:
    """References and the shared first cycle, which is no strategy; then references alone."""
    run = start(lambda w: w.cycle < 2)
    page = write_some(run)
    assert "8 of 16 results are missing" in plain(page)
    assert "random, budget 2x3: cycles 2-3 of seeds 0-1" in plain(page)
    assert [r["strategy"] for r in rows_of(run.report / "reach.csv")] == ["full", "full_same_steps"]
    assert NO_STRATEGY in (run.report / "reach.md").read_text()
    assert rows_of(run.report / "summaries.csv") == [] == rows_of(run.report / "pairs.csv")
    for path in run.results.glob("2x3/*/*/*/metrics.json"):
        path.unlink()
    page = write_some(run)
    assert "12 of 16 results are missing" in plain(page)
    assert NO_STRATEGY in section(page, "table-reach")
    assert "Nothing to draw yet." in section(page, "curves-2x3")


def test_several_budgets(start: Start) -> None:
    run = start(lambda w: w.budget != "3x2" or w.strategy != "decomp", budget="3x2,2x3")
    page = write_some(run, "budgets")
    assert "decomp, budget 3x2: cycles 2-3 of seeds 0-1" in plain(page)
    assert "Nothing to draw yet." in section(page, "curves-2x3")
    assert "Nothing to draw yet." not in section(page, "budgets")
    assert rows_of(run.report / "ranks.csv") == [], "one strategy alone is not ranked"
    found = {(r["budget"], r["strategy"]) for r in rows_of(run.report / "summaries.csv")}
    assert found == {("2x3", "random"), ("2x3", "decomp"), ("3x2", "random")}


def test_reach_agrees_with_the_files(start: Start) -> None:
    """One strategy never arrives, one curve is unfinished, a cycle of the other is missing."""
    gone = {Where("2x3", "decomp", 1, c) for c in (3, 4, 5)} | {Where("2x3", "decomp", 0, 3)}
    run = start(lambda w: w not in gone, seeds=3, cycles=5)
    write_some(run)
    random, decomp, *references = rows_of(run.report / "reach.csv")
    assert [r["strategy"] for r in references] == ["full", "full_same_steps"]
    for row in (random, decomp):
        final = scores(run, row["strategy"], 5)
        assert float(row["final_mean"]) == pytest.approx(final.mean())
        assert float(row["final_sd"]) == pytest.approx(final.std(ddof=1))
        assert (row["seeds"], row["final_cycle"]) == ("3", "5")
    assert (random["reached"], random["median"], random["highest"]) == ("0", "", "")
    assert "not reached" in random["note"]
    assert "1 unfinished" in decomp["note"] and "2 of 3 seeds" in decomp["note"]


def test_folds_have_the_corrected_interval(start: Start) -> None:
    run = start(split={"folds": 5, "train": None, "val": None, "test": None}, seeds=5)
    page = write_some(run)
    d = scores(run, "random", 3) - scores(run, "decomp", 3)
    row = pair(run, "final", "random", "decomp")
    # Nadeau and Bengio: 1 / n + n_test / n_train in place of 1 / n; a fold is a fifth.
    half = t.ppf(0.975, 4) * d.std(ddof=1) * np.sqrt(1 / 5 + 0.25)
    assert float(row["difference"]) == pytest.approx(d.mean())
    assert float(row["low"]) == pytest.approx(d.mean() - half)
    assert float(row["high"]) == pytest.approx(d.mean() + half)
    statistic = d.mean() / (d.std(ddof=1) * np.sqrt(1 / 5 + 0.25))
    assert float(row["p"]) == pytest.approx(2 * t.sf(abs(statistic), 4))
    assert "Folds" in page and "<dt>Seeds</dt>" not in plain(page)
    (cycle, *_) = [r for r in rows_of(run.report / "cycles.csv") if r["cycle"] == "3"]
    assert float(cycle["low"]) == pytest.approx(d.mean() - half)


def test_six_seeds_are_tested_and_corrected(start: Start) -> None:
    def score(where: Where) -> float:  # decomp and uncertainty differ by noise alone
        speed = where._replace(strategy="decomp") if where.cycle else where
        noise = 0.02 * np.random.default_rng([*where.strategy.encode(), where.seed]).normal()
        return (quality(where) if where.strategy == "random" else quality(speed)) + noise

    run = start(score=score, seeds=6, strategies="random,uncertainty,decomp", cycles=2)
    write_some(run)
    names = [("random", "uncertainty"), ("random", "decomp"), ("uncertainty", "decomp")]
    p = [signed_rank(scores(run, a, 2) - scores(run, b, 2)) for a, b in names]
    rows = [pair(run, "final", *two) for two in names]
    assert [float(r["p"]) for r in rows] == pytest.approx(p)
    assert min(p) == 2 / 2**6, "random is below decomp with every seed"
    order = np.argsort(p, kind="stable")
    holm = np.maximum.accumulate([(3 - i) * p[k] for i, k in enumerate(order)])
    found = [float(rows[k]["p_holm"]) for k in order]
    assert found == pytest.approx(np.minimum(1, holm))


def signed_rank(d: np.ndarray) -> float:
    """Two-sided p over all flips of signs; differences without ties."""
    ranks = np.argsort(np.argsort(np.abs(d))) + 1
    flips = np.array(list(product((-1, 1), repeat=len(d))))
    return float(np.mean(np.abs(flips @ ranks) >= abs(np.sign(d) @ ranks)))


def test_last_metrics_are_of_the_last_common_cycle(start: Start) -> None:
    gone = {Where("2x3", "decomp", 1, 3), Where("", "full", 0, 0)}
    run = start(lambda w: w not in gone)
    look = look_at(run)
    found = read_last_metrics(metrics_of(run.results, look), read_run(run.results, look))
    # A seed of decomp lacks cycle 3: nobody is compared there.
    assert sorted((m["strategy"], m["seed"], m["cycle"]) for m in found) == [
        ("decomp", 0, 2), ("decomp", 1, 2), ("full", 1, 0), ("full_same_steps", 0, 0),
        ("full_same_steps", 1, 0), ("random", 0, 2), ("random", 1, 2),
    ]  # fmt: skip
    write_some(run)
    for row in rows_of(run.report / "cases.csv"):
        mine = [m["score"] for m in found if m["strategy"] == row["strategy"]]
        if not row["minus"]:
            assert float(row["mean"]) == pytest.approx(np.mean(mine))
            assert bool(row["seeds_low"]) == (len(mine) > 1)
            if len(mine) > 1:
                low, high = float(row["seeds_low"]), float(row["seeds_high"])
                half = t.ppf(0.975, len(mine) - 1) * np.std(mine, ddof=1) / np.sqrt(len(mine))
                assert (high - low) / 2 == pytest.approx(half)
            assert row["low"] == "" and "fewer than 6" in row["note"]


def cases_of_images(count: int, seed: int) -> dict[str, Any]:
    """Metrics of a model on so many test images, each its own group."""
    values = np.random.default_rng(seed).random((count, 1)).tolist()
    names = [f"image{i}" for i in range(count)]
    cases = {"kind": "dice", "classes": ["a"], "names": names, "values": values}
    head = {"run": "r", "budget": "2x3", "strategy": f"s{seed}", "seed": 0, "cycle": 2}
    return {**head, "score_name": "mean Dice", "score": float(np.mean(values)), "cases": cases}


def test_intervals_over_images_take_six_of_them(start: Start) -> None:
    run = start(lambda w: w.cycle == 1)
    look = look_at(run)
    view = read_run(run.results, look)
    for count in (5, 6):
        metrics = [cases_of_images(count, seed) for seed in (0, 1)]
        rows = make_table("cases", Source(view, look, run.folder, metrics)).rows
        assert [(r["strategy"], r["minus"]) for r in rows] == [("s0", ""), ("s0", "s1"), ("s1", "")]
        for row in rows:
            if count < 6:
                assert row["low"] is None and "fewer than 6" in row["note"]
            else:
                assert row["low"] < row["mean"] < row["high"]
