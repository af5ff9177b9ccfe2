"""Tables and page of whole runs agree with an independent computation from their files."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import t

from al.io.errors import DataError
from al.report.gather import metrics_of, read_run
from al.report.reach import NO_STRATEGY
from al.report.tables import escaped, write_table
from al.report.tabulation import Source, make_table, read_last_metrics

from .curve_sample import view
from .run_files import (
    Data,
    RunFiles,
    Where,
    look_at,
    plain,
    resolved,
    rows_of,
    section,
    write_some,
)

Start = Callable[..., RunFiles]


@pytest.fixture
def start(data: Data, tmp_path: Path) -> Start:
    """Write a small run of volumes."""

    def run(there: Any = lambda w: True, **changes: Any) -> RunFiles:
        base = {"run": "vol", "strategies": "random,decomp", "seeds": 2, "cycles": 3}
        settings = resolved("kits23_mini", data, **{**base, "budget": "2x3", **changes})
        return RunFiles(tmp_path, settings, there).write()

    return run


def scores(run: RunFiles, strategy: str, cycle: int) -> np.ndarray:
    """Of the seeds in order, as their metrics files say."""
    found = sorted(run.results.glob(f"2x3/{strategy}/seed-*/cycle-{cycle:03d}/metrics.json"))
    return np.array([json.loads(path.read_text())["score"] for path in found])


def test_runs_of_little(start: Start) -> None:
    """References and the shared first cycle, which is no strategy; then references alone."""
    run = start(lambda w: w.cycle < 2)
    page = write_some(run)
    assert "8 of 16 results are missing" in plain(page)
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
    page = write_some(run)
    assert "decomp, budget 3x2: cycles 2-3 of seeds 0-1" in plain(page)
    assert rows_of(run.report / "ranks.csv") == [], "one strategy alone is not ranked"
    found = {(r["budget"], r["strategy"]) for r in rows_of(run.report / "summaries.csv")}
    assert found == {("2x3", "random"), ("2x3", "decomp"), ("3x2", "random")}


def test_folds_have_the_corrected_interval(start: Start) -> None:
    run = start(split={"folds": 5, "train": None, "val": None, "test": None}, seeds=5)
    page = write_some(run)
    d = scores(run, "random", 3) - scores(run, "decomp", 3)
    (row,) = [r for r in rows_of(run.report / "pairs.csv") if r["measure"] == "final"]
    # Nadeau and Bengio: 1 / n + n_test / n_train in place of 1 / n; a fold is a fifth.
    half = t.ppf(0.975, 4) * d.std(ddof=1) * np.sqrt(1 / 5 + 0.25)
    assert float(row["difference"]) == pytest.approx(d.mean())
    assert float(row["low"]) == pytest.approx(d.mean() - half)
    assert float(row["high"]) == pytest.approx(d.mean() + half)
    statistic = d.mean() / (d.std(ddof=1) * np.sqrt(1 / 5 + 0.25))
    assert float(row["p"]) == pytest.approx(2 * t.sf(abs(statistic), 4))
    assert "<dt>Folds</dt>" in page and "<dt>Seeds</dt>" not in page
    (cycle, *_) = [r for r in rows_of(run.report / "cycles.csv") if r["cycle"] == "3"]
    assert float(cycle["low"]) == pytest.approx(d.mean() - half)


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
            assert bool(row["seeds_low"]) == (len(mine) == 2)
            if len(mine) == 2:  # t(0.975, 1) = 12.706205
                width = float(row["seeds_high"]) - float(row["seeds_low"])
                half = 12.706205 * np.std(mine, ddof=1) / np.sqrt(2)
                assert width / 2 == pytest.approx(half)
            assert row["low"] == "" and "fewer than 6" in row["note"]


def cases_of_images(count: int, seed: int) -> dict[str, Any]:
    """Metrics of a model on so many test images, each its own group."""
    values = np.random.default_rng(seed).random((count, 1)).tolist()
    names = [f"image{i}" for i in range(count)]
    cases = {"kind": "dice", "classes": ["a"], "names": names, "values": values}
    head = {"run": "r", "budget": "2x3", "strategy": f"s{seed}", "seed": 0, "cycle": 2}
    return {**head, "score_name": "mean Dice", "score": float(np.mean(values)), "cases": cases}


@pytest.mark.parametrize("count", [5, 6])
def test_intervals_over_images_take_six_of_them(count: int) -> None:
    metrics = [cases_of_images(count, seed) for seed in (0, 1)]
    rows = make_table("cases", Source(view([]), {}, Path(), metrics)).rows
    assert [(r["strategy"], r["minus"]) for r in rows] == [("s0", ""), ("s0", "s1"), ("s1", "")]
    for row in rows:
        if count < 6:
            assert row["low"] is None and "fewer than 6" in row["note"]
        else:
            assert row["low"] < row["mean"] < row["high"]


COLUMNS = {"name": "strategy", "cost": "area_%", "seeds": "seeds", "done": "done"}
ROWS = [
    {"name": "decomp_tau_03", "cost": 0.1 + 0.2, "seeds": 3, "done": True, "unused": 1},
    {"name": "R&D $5 #1", "cost": math.nan, "seeds": np.int64(2), "done": False},
    {"name": None, "cost": math.inf, "seeds": None, "done": "50 %"},
]


def _write(tmp_path: Path, rows: list, columns: dict[str, str] = COLUMNS) -> tuple[list, str]:
    write_table(rows, tmp_path / "deep" / "t.v2", columns, "Costs & 95 % of full_x", "tab:t")
    with (tmp_path / "deep" / "t.v2.csv").open(newline="") as file:
        return list(csv.reader(file)), (tmp_path / "deep" / "t.v2.tex").read_text()


def test_all_digits_in_the_csv_escaped_and_rounded_in_the_latex(tmp_path: Path) -> None:
    read, tex = _write(tmp_path, ROWS)
    assert read == [
        ["name", "cost", "seeds", "done"],
        ["decomp_tau_03", "0.30000000000000004", "3", "True"],
        ["R&D $5 #1", "", "2", "False"],
        ["", "inf", "", "50 %"],
    ]
    assert {p.name for p in (tmp_path / "deep").iterdir()} == {"t.v2.csv", "t.v2.tex"}
    assert r"strategy & area\_\% & seeds & done \\" in tex
    assert r"decomp\_tau\_03 & $0.300$ & $3$ & yes \\" in tex
    assert r"R\&D \$5 \#1 & -- & $2$ & no \\" in tex
    assert r"-- & $\infty$ & -- & 50 \% \\" in tex
    assert r"\caption{Costs \& 95 \% of full\_x}" in tex and r"\label{tab:t}" in tex
    assert r"\begin{tabular}{lrrl}" in tex and tex.count("{") == tex.count("}")


@given(st.text("ab_%&$#{}~^\\<> ", max_size=20))
def test_nothing_special_is_left_bare(text: str) -> None:
    bare = re.sub(r"\\text[a-z]+\{\}|\\[_%&$#{}]", "", escaped(text))
    assert not set(bare) & set("_%&$#{}~^\\<>")


def test_empty_tables_and_refusals(tmp_path: Path) -> None:
    read, tex = _write(tmp_path, [])
    assert read == [list(COLUMNS)] and r"\toprule" in tex
    with pytest.raises(DataError, match="row 2 lacks 'cost', .*did you mean 'costs'"):
        write_table([{"cost": 1}, {"costs": 1}], tmp_path / "x", {"cost": "cost"}, "", "tab:x")
    assert not (tmp_path / "x.csv").exists() and not (tmp_path / "x.tex").exists()
    with pytest.raises(DataError, match="without columns"):
        write_table([], tmp_path / "x", {}, "", "tab:x")
