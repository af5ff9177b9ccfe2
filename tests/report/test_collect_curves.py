"""The tidy table: rows, columns, the shared first cycle, and what is refused."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from al.io.errors import DataError
from al.report.curves import budgets, collect_curves, curves_of, of_class, read_curves, reference

from .conftest import WriteMetrics


def test_rows_and_columns(write_metrics: WriteMetrics, tmp_path: Path) -> None:
    out = tmp_path / "curves.csv"
    files = [write_metrics("random", 1, 2, 0.25, 2.0), write_metrics("full", 1, 0, 0.75, 100.0)]
    collect_curves(files, out)
    assert out.read_text().splitlines()[0] == (
        "dataset,run,budget,strategy,seed,cycle,task,score_name,score,steps,train_seconds,"
        "images,area_percent,foreground_percent,score[road],score[pole],secondary[pixel accuracy]"
    )
    with out.open(newline="") as file:
        full, random = csv.DictReader(file)
    assert (full["strategy"], random["strategy"]) == ("full", "random")
    assert float(random["score"]) == 0.25 and float(random["score[road]"]) == 0.35
    assert random["score[pole]"] == "" and random["foreground_percent"] == ""


def test_first_cycle_appears_under_each_strategy_of_its_seed(
    write_metrics: WriteMetrics, tmp_path: Path
) -> None:
    files = [write_metrics("initial", seed, 1, 0.1 + 0.1 * seed, 1.0) for seed in range(3)]
    files += [write_metrics("decomp", seed, 2, 0.5 + 0.1 * seed, 2.0) for seed in (0, 1)]
    files += [write_metrics("random", 0, 2, 0.4, 2.0), write_metrics("full", 0, 0, 0.9, 100.0)]
    for name, given in (("a", files), ("b", files[::-1])):
        collect_curves(given, tmp_path / f"{name}.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    found = [(p.strategy, p.seed, p.cycle, p.score) for p in read_curves(tmp_path / "a.csv")]
    assert found == [
        ("decomp", 0, 1, 0.1),
        ("decomp", 0, 2, 0.5),
        ("decomp", 1, 1, 0.2),
        ("decomp", 1, 2, 0.6),
        ("full", 0, 0, 0.9),
        ("initial", 2, 1, pytest.approx(0.3)),
        ("random", 0, 1, 0.1),
        ("random", 0, 2, 0.4),
    ]


def test_refusals(write_metrics: WriteMetrics, tmp_path: Path) -> None:
    first, out = write_metrics("random", 0, 1, 0.1, 1.0), tmp_path / "out.csv"
    copy = tmp_path / "copy.json"
    copy.write_text(first.read_text())
    with pytest.raises(DataError, match=r"copy\.json: same run"):
        collect_curves([first, copy], out)
    copy.write_text(first.read_text().replace('"score_name"', '"scor_name"'))
    with pytest.raises(DataError, match=r"copy\.json: lacks score_name"):
        collect_curves([copy], out)
    with pytest.raises(DataError, match="no metrics"):
        collect_curves([], out)
    with pytest.raises(DataError, match="may not be named seed"):
        collect_curves([write_metrics("random", 0, 2, 0.1, 1.0, costs={"seed": 1})], out)
    assert not out.exists()
    areas = ((1, 2.0), (2, 1.0))
    collect_curves([write_metrics("random", 0, c, 0.1, area) for c, area in areas], out)
    for cost in ("area", "foreground_percent"):
        with pytest.raises(DataError, match=f"no cost '{cost}'.*area_percent, images"):
            curves_of(read_curves(out), "2x3", cost)
    with pytest.raises(DataError, match="area_percent falls"):
        curves_of(read_curves(out), "2x3", "area_percent")


def test_classes_budgets_and_references(write_metrics: WriteMetrics, tmp_path: Path) -> None:
    out = tmp_path / "curves.csv"
    files = [write_metrics("random", 0, 1, 0.25, 1.0, budget=b) for b in ("10x5", "2x3", "2x15")]
    files += [write_metrics("full", s, 0, 0.5 + s / 8, 100.0) for s in (0, 1)]
    for budget, score in (("10x5", 0.25), ("2x15", 0.75)):
        files.append(write_metrics("full_same_steps", 0, 0, score, 100.0, budget=budget))
    collect_curves(files, out)
    points = read_curves(out)
    assert budgets(points) == ["2x3", "2x15", "10x5"]
    assert {round(p.score, 9) for p in of_class(points, "road") if p.strategy == "random"} == {0.35}
    assert of_class(points, "pole") == []
    assert reference(points, "10x5", "full").tolist() == [0.5, 0.625], "the same for all"
    assert reference(points, "10x5", "full_same_steps").tolist() == [0.25]
