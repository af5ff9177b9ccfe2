"""Class confidence is what the tables say, and agrees with scores as worked out by hand."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from al.io.errors import DataError
from al.io.images_csv import write_statistics
from al.io.records import Record
from al.io.tables import PoolRow, write_pool
from al.report.confidence import (
    rank_correlations,
    read_confidence,
    read_confidence_csv,
    write_confidence,
)
from al.report.curves import Point
from al.report.view import Confidence, View

CLASSES = ["road", "pole, thin", "a>b [c]"]
THRESHOLDS = [0.3, 0.5, 0.7]
SPLITS = {"a": "train", "b": "train", "c": "val", "d": "train", "e": "test", "NA": "train"}
TRAIN = [name for name, split in SPLITS.items() if split == "train"]


def _records(rng: np.random.Generator, names: list[str]) -> list[Record]:
    """Random counts; of a higher threshold never more than of a lower one."""
    out = []
    for name in names:
        predicted = rng.integers(0, 2**33, len(CLASSES))
        confident = [predicted]
        for _ in THRESHOLDS:
            confident.append(rng.integers(0, confident[-1] + 1))
        out.append(Record(name, 7, predicted, np.array(confident[1:]), 0.1))
    return out


def _folder(root: Path, strategy: str, seed: int, cycle: int, budget: str = "2x3") -> Path:
    path = root / budget / strategy / f"seed-{seed}" / f"cycle-{cycle:03d}"
    path.mkdir(parents=True, exist_ok=True)
    return path / "images.csv"


def _write_pool(root: Path, seed: int) -> None:
    (root / "pools").mkdir(parents=True, exist_ok=True)
    rows = [PoolRow(n, "", split, "p", "l", (4, 4)) for n, split in SPLITS.items()]
    write_pool(root / "pools" / f"seed-{seed}.csv", rows)


@pytest.fixture
def run(tmp_path: Path) -> tuple[Path, dict[tuple[str, int, int], list[Record]]]:
    """A run in progress: `random` reads no predictions, `decomp` lacks cycle 3 of seed 1."""
    rng = np.random.default_rng(3)
    made = {}
    for seed in (0, 1):
        _write_pool(tmp_path, seed)
        for strategy, cycle in (("initial", 1), ("decomp", 2), ("decomp", 3), ("low", 2)):
            if (strategy, seed, cycle) == ("decomp", 1, 3):
                continue
            # Some tables hold validation images too, in another order.
            names = [n for n in SPLITS if SPLITS[n] == "train" or (seed and SPLITS[n] == "val")]
            records = _records(rng, names[::-1])
            path = _folder(tmp_path, strategy, seed, cycle)
            write_statistics(path, records, CLASSES, THRESHOLDS)
            made[strategy, seed, cycle] = records
    return tmp_path, made


def _expected(
    made: dict[tuple[str, int, int], list[Record]], strategy: str, seed: int, cycle: int, tau: float
) -> dict[str, tuple[int, int]]:
    """The slow way: one class and one image at a time, in Python's integers."""
    place = THRESHOLDS.index(tau)
    found = {}
    for c, name in enumerate(CLASSES):
        predicted = confident = 0
        for record in made["initial" if cycle == 1 else strategy, seed, cycle]:
            if record.image in TRAIN:
                predicted += int(record.predicted[c])
                confident += int(record.confident[place][c])
        found[name] = (predicted, confident)
    return found


def test_sums_over_the_training_pool(run: tuple[Path, dict]) -> None:
    root, made = run
    rows = read_confidence(
        root, ["2x3", "9x9"], ["random", "decomp", "low"], [0, 1, 5], CLASSES, {"low": 0.3}
    )
    models: dict[tuple[str, int, int], dict[str, tuple[int, int]]] = {}
    for r in rows:
        assert r.budget == "2x3"
        models.setdefault((r.strategy, r.seed, r.cycle), {})[r.cls] = (r.predicted, r.confident)
    # The first cycle is everyone's; nothing else of `random`, nothing of seed 5.
    told = [f"{strategy} {seed} {cycle}" for strategy, seed, cycle in models]
    assert told == [
        *("random 0 1", "random 1 1", "decomp 0 1", "decomp 0 2", "decomp 0 3", "decomp 1 1"),
        *("decomp 1 2", "low 0 1", "low 0 2", "low 1 1", "low 1 2"),
    ]
    for (strategy, seed, cycle), found in models.items():
        tau = 0.3 if strategy == "low" else 0.7
        assert found == _expected(made, strategy, seed, cycle, tau)
    assert [r.cls for r in rows[:3]] == CLASSES


def test_the_highest_threshold_where_07_was_not_counted(tmp_path: Path) -> None:
    _write_pool(tmp_path, 0)
    ones = np.ones(3, np.int64)
    records = [Record(n, 1, 10 * ones, np.array([4 * ones, 2 * ones]), 0.0) for n in TRAIN]
    write_statistics(_folder(tmp_path, "initial", 0, 1), records, CLASSES, [0.4, 0.6])
    rows = read_confidence(tmp_path, ["2x3"], ["s"], [0], CLASSES, {})
    assert {(r.predicted, r.confident, r.rate) for r in rows} == {(40, 8, 0.2)}
    with pytest.raises(DataError, match=r"images\.csv.*confidence of 0\.5; allowed: 0\.4, 0\.6"):
        read_confidence(tmp_path, ["2x3"], ["s"], [0], CLASSES, {"s": 0.5})


def test_what_cannot_be_read(run: tuple[Path, dict]) -> None:
    root, made = run

    def read(classes: list[str] = CLASSES) -> None:
        read_confidence(root, ["2x3"], ["decomp"], [0], classes, {})

    with pytest.raises(DataError, match=r"lacks the columns predicted\[sky\], confident>0.7\[sky"):
        read([*CLASSES, "sky"])
    with pytest.raises(DataError, match=r"no column confident>TAU\[sky\]"):
        read(["sky"])
    path = _folder(root, "decomp", 0, 3)
    whole = path.read_text(encoding="utf-8")
    write_statistics(path, made["decomp", 0, 3][1:], CLASSES, THRESHOLDS)
    with pytest.raises(DataError, match="lacks 1 training images, the first is 'NA'"):
        read()
    lines = whole.splitlines()
    for cell, message in (("1.5", "whole numbers"), ("-1", "at least 0")):
        cells = lines[1].split(",")
        cells[3] = cell
        path.write_text("\n".join([lines[0], ",".join(cells), *lines[2:]]), encoding="utf-8")
        with pytest.raises(DataError, match=message):
            read()
    path.write_text("\n".join([*lines, lines[-1]]), encoding="utf-8")
    with pytest.raises(DataError, match="appears twice"):
        read()
    path.write_text(whole, encoding="utf-8")
    read()
    (root / "pools/seed-0.csv").unlink()
    with pytest.raises(DataError, match=r"seed-0\.csv: not there"):
        read()


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1),
            st.integers(0, 2**40),
            st.floats(0, 1),
        ),
        max_size=5,
    )
)
def test_the_table_is_read_as_written(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[str, int, float]]
) -> None:
    rows = [
        Confidence("2x3", "decomp", i, i + 1, name, predicted, int(predicted * part))
        for i, (name, predicted, part) in enumerate(drawn)
    ]
    path = tmp_path_factory.mktemp("c") / "confidence.csv"
    write_confidence(rows, path)
    assert read_confidence_csv(path) == rows
    with path.open(newline="", encoding="utf-8") as file:
        for row, line in zip(rows, csv.DictReader(file), strict=True):
            told = float(line["confidence"]) if line["confidence"] else math.nan
            assert told == row.rate or (math.isnan(told) and row.predicted == 0)


def _point(scores: dict[str, float], **more: object) -> Point:
    costs = {"area_percent": 1.0}
    point = Point("r", "2x3", "decomp", 0, 2, "2d", "mIoU", 0.5, costs, scores)
    return replace(point, **more)


def _view(points: list[Point], rates: list[tuple[str, int, int]], **more: object) -> View:
    rows = [Confidence("2x3", "decomp", 0, 2, *r) for r in rates]
    view = View(points, "2x3", "area_percent", ["decomp"], {}, list("abcdef"), confidence=rows)
    return replace(view, **more)


def test_a_rank_correlation_worked_out_by_hand() -> None:
    # ranks of confidence 1 2 3 4 5, of score 2 1 4 3 5: rho = 1 - 6 * 4 / (5 * 24) = 0.8
    scores = {"a": 0.2, "b": 0.1, "c": 0.6, "d": 0.4, "e": 0.9, "f": 0.0}
    rates = [("a", 10, 1), ("b", 10, 2), ("c", 100, 30), ("d", 10, 4), ("e", 2, 1), ("f", 0, 0)]
    (found,) = rank_correlations(_view([_point(scores)], rates))
    assert found.rho == pytest.approx(0.8)
    assert (found.classes, found.never_predicted, found.untested) == (5, ("f",), ())
    assert (found.budget, found.strategy, found.seed, found.cycle) == ("2x3", "decomp", 0, 2)
    assert not found.reason


def test_a_class_absent_from_the_test_set_is_left_out_also_where_it_is_predicted() -> None:
    scores = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.0}
    other = _point({"a": 0.1, "b": 0.2, "c": 0.3}, cycle=3)
    rates = [(n, 10, k) for n, k in zip("abcd", (1, 2, 3, 9), strict=True)]
    (found,) = rank_correlations(_view([_point(scores), other], rates))
    assert (found.rho, found.classes, found.untested) == (pytest.approx(1), 3, ("d",))
    # Without the other model the class may be in the test set, and badly segmented.
    (alone,) = rank_correlations(_view([_point(scores)], rates))
    assert alone.classes == 4 and alone.rho == pytest.approx(-0.2)  # d^2: 1 1 1 9


@pytest.mark.parametrize(
    ("scores", "rates", "reason"),
    [
        ({"a": 0.1, "b": 0.2}, [("a", 9, 1), ("b", 9, 2)], "2 of 2 classes"),
        ({"a": 0.1, "b": 0.2, "c": 0.4}, [("a", 9, 3), ("b", 6, 2), ("c", 3, 1)], "confidence"),
        ({"a": 0.2, "b": 0.2, "c": 0.2}, [("a", 9, 3), ("b", 9, 2), ("c", 9, 1)], "test score"),
        ({}, [("a", 9, 1), ("b", 9, 2), ("c", 9, 3)], "no test scores"),
    ],
)
def test_no_correlation_says_why(
    scores: dict[str, float], rates: list[tuple[str, int, int]], reason: str
) -> None:
    (found,) = rank_correlations(_view([_point(scores)], rates))
    assert math.isnan(found.rho) and reason in found.reason
