"""Class confidence is what the tables say, and agrees with scores as worked out by hand."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Any

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
from al.report.view import Confidence

from .curve_sample import point, view

CLASSES = ["road", "pole, thin", "a>b [c]"]
THRESHOLDS = [0.3, 0.5, 0.7]
SPLITS = {"a": "train", "b": "train", "c": "val", "d": "train", "e": "test", "NA": "train"}
Made = dict[tuple[str, int, int], list[Record]]


def _records(rng: np.random.Generator, names: list[str]) -> list[Record]:
    """Random counts; of a higher threshold never more than of a lower one."""
    out = []
    for name in names:
        counts = [rng.integers(0, 2**33, len(CLASSES))]
        for _ in THRESHOLDS:
            counts.append(rng.integers(0, counts[-1] + 1))
        out.append(Record(name, 7, counts[0], np.array(counts[1:]), 0.1))
    return out


def _table(root: Path, strategy: str, seed: int, cycle: int) -> Path:
    path = root / f"2x3/{strategy}/seed-{seed}/cycle-{cycle:03d}"
    path.mkdir(parents=True, exist_ok=True)
    return path / "images.csv"


@pytest.fixture
def run(tmp_path: Path) -> tuple[Path, Made]:
    """A run in progress: `random` reads no predictions, `decomp` lacks cycle 3 of seed 1."""
    rng, made = np.random.default_rng(3), {}
    (tmp_path / "pools").mkdir()
    for seed in (0, 1):
        rows = [PoolRow(n, "", split, "p", "l", (4, 4)) for n, split in SPLITS.items()]
        write_pool(tmp_path / f"pools/seed-{seed}.csv", rows)
        for strategy, cycle in (("initial", 1), ("decomp", 2), ("decomp", 3), ("low", 2)):
            if (strategy, seed, cycle) == ("decomp", 1, 3):
                continue
            # Some tables hold validation images too, in another order.
            names = [n for n in SPLITS if SPLITS[n] == "train" or (seed and SPLITS[n] == "val")]
            made[strategy, seed, cycle] = records = _records(rng, names[::-1])
            path = _table(tmp_path, strategy, seed, cycle)
            write_statistics(path, records, CLASSES, THRESHOLDS)
    return tmp_path, made


def test_sums_over_the_training_pool(run: tuple[Path, Made]) -> None:
    root, made = run
    names = ["random", "decomp", "low"]
    rows = read_confidence(root, ["2x3", "9x9"], names, [0, 1, 5], CLASSES, {"low": 0.3})
    # The first cycle is everyone's; nothing else of `random`, nothing of seed 5.
    told = [f"{r.strategy} {r.seed} {r.cycle}" for r in rows[:: len(CLASSES)]]
    assert told == [
        *("random 0 1", "random 1 1", "decomp 0 1", "decomp 0 2", "decomp 0 3", "decomp 1 1"),
        *("decomp 1 2", "low 0 1", "low 0 2", "low 1 1", "low 1 2"),
    ]
    for row in rows:  # slowly, one image at a time, in Python's integers
        place, c = 0 if row.strategy == "low" else 2, CLASSES.index(row.cls)
        records = made["initial" if row.cycle == 1 else row.strategy, row.seed, row.cycle]
        own = [r for r in records if SPLITS[r.image] == "train"]
        assert row.predicted == sum(int(r.predicted[c]) for r in own)
        assert row.confident == sum(int(r.confident[place][c]) for r in own)


def test_the_highest_threshold_where_07_was_not_counted(run: tuple[Path, Made]) -> None:
    root, made = run
    records = [Record(n, 1, np.full(3, 10), np.array([[4] * 3, [2] * 3]), 0.0) for n in SPLITS]
    write_statistics(_table(root, "initial", 0, 1), records, CLASSES, [0.4, 0.6])
    rows = read_confidence(root, ["2x3"], ["s"], [0], CLASSES, {})
    assert {(r.predicted, r.confident, r.rate) for r in rows} == {(40, 8, 0.2)}
    with pytest.raises(DataError, match=r"images\.csv.*confidence of 0\.5; allowed: 0\.4, 0\.6"):
        read_confidence(root, ["2x3"], ["s"], [0], CLASSES, {"s": 0.5})


def test_what_cannot_be_read(run: tuple[Path, Made]) -> None:
    root, made = run

    def refused(message: str, classes: list[str] = CLASSES) -> None:
        with pytest.raises(DataError, match=message):
            read_confidence(root, ["2x3"], ["decomp"], [0], classes, {})

    refused(r"lacks the columns predicted\[sky\], confident>0.7\[sky", [*CLASSES, "sky"])
    path = _table(root, "decomp", 0, 3)
    head, first, *rest = path.read_text(encoding="utf-8").splitlines()
    write_statistics(path, made["decomp", 0, 3][1:], CLASSES, THRESHOLDS)
    refused("lacks 1 training images, the first is 'NA'")
    cells = first.split(",")
    for cell, message in (("1.5", "whole numbers"), ("-1", "at least 0")):
        changed = ",".join([*cells[:3], cell, *cells[4:]])
        path.write_text("\n".join([head, changed, *rest]), encoding="utf-8")
        refused(message)
    path.write_text("\n".join([head, first, *rest, first]), encoding="utf-8")
    refused("appears twice")
    (root / "pools/seed-0.csv").unlink()
    refused(r"seed-0\.csv: not there")


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(NAMES, st.integers(0, 2**40), st.floats(0, 1)), max_size=5))
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


def _correlation(
    scores: dict[str, float], rates: list[tuple[str, int, int]], other: dict[str, float] | None
) -> Any:
    """Of cycle 2 of a strategy, of which there may be another model."""
    held = [point("decomp", 0, 2, 0.5, per_class=scores)]
    held += [point("decomp", 0, 3, 0.5, per_class=other)] if other else []
    rows = [Confidence("2x3", "decomp", 0, 2, *r) for r in rates]
    (found,) = rank_correlations(view(held, classes=list("abcdef"), confidence=rows))
    assert (found.budget, found.strategy, found.seed, found.cycle) == ("2x3", "decomp", 0, 2)
    return found


def test_rank_correlations_worked_out_by_hand() -> None:
    # ranks of confidence 1 2 3 4 5, of score 2 1 4 3 5: rho = 1 - 6 * 4 / (5 * 24) = 0.8
    scores = {"a": 0.2, "b": 0.1, "c": 0.6, "d": 0.4, "e": 0.9, "f": 0.0}
    rates = [("a", 10, 1), ("b", 10, 2), ("c", 100, 30), ("d", 10, 4), ("e", 2, 1), ("f", 0, 0)]
    found = _correlation(scores, rates, None)
    assert found.rho == pytest.approx(0.8) and not found.reason
    assert (found.classes, found.never_predicted, found.untested) == (5, ("f",), ())
    # A class without a score of another model is not in the test set, whatever is predicted of it.
    scores = {"a": 0.1, "b": 0.2, "c": 0.3, "d": 0.0}
    rates = [(n, 10, k) for n, k in zip("abcd", (1, 2, 3, 9), strict=True)]
    found = _correlation(scores, rates, {"a": 0.1, "b": 0.2, "c": 0.3})
    assert (found.rho, found.classes, found.untested) == (pytest.approx(1), 3, ("d",))
    alone = _correlation(scores, rates, None)
    assert alone.classes == 4 and alone.rho == pytest.approx(-0.2)  # d^2: 1 1 1 9
    for scores, rates, reason in (
        ({"a": 0.1, "b": 0.2}, [("a", 9, 1), ("b", 9, 2)], "2 of 2 classes"),
        ({"a": 0.2, "b": 0.2, "c": 0.2}, [("a", 9, 3), ("b", 9, 2), ("c", 9, 1)], "test score"),
        ({}, [("a", 9, 1), ("b", 9, 2), ("c", 9, 3)], "no test scores"),
    ):
        none = _correlation(scores, rates, None)
        assert math.isnan(none.rho) and reason in none.reason
