"""The tidy table: rows, columns, the shared first cycle, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from al.io.errors import DataError
from al.report.curves import (
    budgets,
    collect_curves,
    curves_of,
    of_class,
    read_curves,
    read_points,
    reference,
)

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write one metrics file: strategy, seed, cycle, score, annotated area in percent."""

    def write(strategy: str, seed: int, cycle: int, score: float, area: float, **more: Any) -> Path:
        held = {
            **{"dataset": "toy", "run": "toy-convnet", "budget": "2x3", "strategy": strategy},
            **{"seed": seed, "cycle": cycle, "task": "2d", "score": score, "score_name": "mIoU"},
            "per_class": {"road": score + 0.1, "pole": None},
            "secondary": {"pixel accuracy": 0.5},
            "costs": {"images": 2 * cycle, "area_percent": area, "foreground_percent": None},
            **{"steps": 10, "train_seconds": 1.5},
        } | more
        path = tmp_path / f"{strategy}-{held['budget']}-{seed}-{cycle}.json"
        path.write_text(json.dumps(held), encoding="utf-8")
        return path

    return write


def test_rows_and_columns(write: Write, tmp_path: Path) -> None:
    out = tmp_path / "curves.csv"
    collect_curves([write("random", 1, 2, 0.25, 2.0), write("full", 1, 0, 0.75, 100.0)], out)
    assert out.read_text().splitlines() == [
        "dataset,run,budget,strategy,seed,cycle,task,score_name,score,steps,train_seconds,"
        "images,area_percent,foreground_percent,score[road],score[pole],secondary[pixel accuracy]",
        "toy,toy-convnet,2x3,full,1,0,2d,mIoU,0.75,10,1.5,0,100.0,,0.85,,0.5",
        "toy,toy-convnet,2x3,random,1,2,2d,mIoU,0.25,10,1.5,4,2.0,,0.35,,0.5",
    ]


def test_first_cycle_appears_under_each_strategy_of_its_seed(write: Write, tmp_path: Path) -> None:
    files = [write("initial", seed, 1, 0.1 + 0.1 * seed, 1.0) for seed in range(3)]
    files += [write("decomp", seed, 2, 0.5, 2.0) for seed in (0, 1)]
    files += [write("random", 0, 2, 0.4, 2.0), write("full", 0, 0, 0.9, 100.0)]
    for name, given in (("a", files), ("b", files[::-1])):
        collect_curves(given, tmp_path / f"{name}.csv")
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    points = read_curves(tmp_path / "a.csv")
    assert points == read_points(files)
    assert [(p.strategy, p.seed, p.cycle, round(p.score, 9)) for p in points] == [
        *[("decomp", 0, 1, 0.1), ("decomp", 0, 2, 0.5), ("decomp", 1, 1, 0.2)],
        *[("decomp", 1, 2, 0.5), ("full", 0, 0, 0.9), ("initial", 2, 1, 0.3)],
        *[("random", 0, 1, 0.1), ("random", 0, 2, 0.4)],
    ]


def test_refusals(write: Write, tmp_path: Path) -> None:
    first, out = write("random", 0, 1, 0.1, 2.0), tmp_path / "out.csv"
    copy, lacking = tmp_path / "copy.json", tmp_path / "lacking.json"
    copy.write_text(first.read_text())
    lacking.write_text(first.read_text().replace('"score_name"', '"scor_name"'))
    for files, match in (
        ([first, copy], r"copy\.json: a second result"),
        ([lacking], r"lacking\.json: .*lacks score_name"),
        ([], "no metrics"),
    ):
        with pytest.raises(DataError, match=match):
            collect_curves(files, out)
    assert not out.exists()
    with pytest.raises(DataError, match="no cost 'foreground_percent'.*area_percent, images"):
        curves_of(read_points([first]), "2x3", "foreground_percent")


def test_classes_budgets_and_references(write: Write) -> None:
    files = [write("random", 0, 1, 0.25, 1.0, budget=b) for b in ("10x5", "2x3", "2x15")]
    files += [write("full", s, 0, 0.5 + s / 8, 100.0) for s in (0, 1)]
    for budget, score in (("10x5", 0.25), ("2x15", 0.75)):
        files.append(write("full_same_steps", 0, 0, score, 100.0, budget=budget))
    points = read_points(files)
    assert budgets(points) == ["2x3", "2x15", "10x5"]
    assert {round(p.score, 9) for p in of_class(points, "road") if p.strategy == "random"} == {0.35}
    assert of_class(points, "pole") == []
    assert reference(points, "10x5", "full").tolist() == [0.5, 0.625], "the same for all"
    assert reference(points, "10x5", "full_same_steps").tolist() == [0.25]
