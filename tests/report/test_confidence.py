"""Class confidence is what the tables say, and agrees with scores as worked out by hand."""

from __future__ import annotations

import csv
import math
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
    Correlation,
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
LOOK = {
    **{"budgets": ["2x3", "9x9"], "strategies": ["random", "decomp", "low"], "seeds": [0, 1, 5]},
    **{"classes": CLASSES, "definitions": {"decomp": {"tau": 0.7}, "low": {"tau": 0.3}}},
}
Made = dict[tuple[str, int, int], list[Record]]


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
            counts = [-np.sort(-rng.integers(0, 2**33, (4, len(CLASSES))), axis=0) for _ in names]
            made[strategy, seed, cycle] = records = [
                Record(name, 7, c[0], c[1:], 0.1)
                for name, c in zip(names[::-1], counts, strict=True)
            ]
            path = _table(tmp_path, strategy, seed, cycle)
            write_statistics(path, records, CLASSES, THRESHOLDS)
    return tmp_path, made


def test_sums_over_the_training_pool(run: tuple[Path, Made]) -> None:
    root, made = run
    rows = read_confidence(root, LOOK)
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
    # The highest threshold, where 0.7 was not counted.
    records = [Record(n, 1, np.full(3, 10), np.array([[4] * 3, [2] * 3]), 0.0) for n in SPLITS]
    write_statistics(_table(root, "initial", 0, 1), records, CLASSES, [0.4, 0.6])
    rows = read_confidence(root, LOOK | {"strategies": ["random"], "seeds": [0]})
    assert {(r.predicted, r.confident, r.rate) for r in rows} == {(40, 8, 0.2)}


def test_what_cannot_be_read(run: tuple[Path, Made]) -> None:
    root, _ = run
    with pytest.raises(DataError, match=r"confidences of \[0.3, 0.5, 0.7\], not of 0.6"):
        read_confidence(root, LOOK | {"definitions": {"decomp": {"tau": 0.6}}})
    with pytest.raises(DataError, match=r"other columns than of the classes .*sky"):
        read_confidence(root, LOOK | {"classes": [*CLASSES, "sky"]})
    path = _table(root, "decomp", 0, 3)
    head, first, *rest = path.read_text(encoding="utf-8").splitlines()
    for wrong in (
        [],
        [first, first],
        [first.replace(",", ",x", 4)],
        [f"{first},5"],
        [first.replace(",", ",-", 2)],
    ):
        path.write_text("\n".join([head, *wrong, *rest, ""]), encoding="utf-8")
        with pytest.raises(DataError, match=r"cycle-003/images\.csv"):
            read_confidence(root, LOOK)


def test_the_table_is_read_as_written(tmp_path: Path) -> None:
    names = ["road", "a,b", 'say "c"', "ü [x]"]
    rows = [Confidence("2x3", "decomp", i, i + 1, n, 2**40 * i, i) for i, n in enumerate(names)]
    write_confidence(rows, tmp_path / "confidence.csv")
    assert read_confidence_csv(tmp_path / "confidence.csv") == rows
    with (tmp_path / "confidence.csv").open(newline="", encoding="utf-8") as file:
        first, *others = (line["confidence"] for line in csv.DictReader(file))
    assert first == "" and [float(text) for text in others] == [r.rate for r in rows[1:]]


def _correlation(scores: dict[str, float], rates: list[tuple[str, int, int]]) -> Correlation:
    """Of cycle 2 of a strategy."""
    rows = [Confidence("2x3", "decomp", 0, 2, *r) for r in rates]
    held = [point("decomp", 0, 2, 0.5, per_class=scores)]
    (found,) = rank_correlations(view(held, classes=list("abcdef"), confidence=rows))
    assert (found.budget, found.strategy, found.seed, found.cycle) == ("2x3", "decomp", 0, 2)
    return found


def test_rank_correlations_worked_out_by_hand() -> None:
    # ranks of confidence 1 2 3 4 5, of score 2 1 4 3 5: rho = 1 - 6 * 4 / (5 * 24) = 0.8
    scores = {"a": 0.2, "b": 0.1, "c": 0.6, "d": 0.4, "e": 0.9, "f": 0.0}
    rates = [("a", 10, 1), ("b", 10, 2), ("c", 100, 30), ("d", 10, 4), ("e", 2, 1), ("f", 0, 0)]
    found = _correlation(scores, rates)
    assert found.rho == pytest.approx(0.8)
    assert found.classes == 5, "one is never predicted"
    # A class without a score is not in the test split, whatever is predicted of it.
    rates = [(n, 10, k) for n, k in zip("abcd", (1, 2, 3, 9), strict=True)]
    found = _correlation({"a": 0.1, "b": 0.2, "c": 0.3}, rates)
    assert (found.rho, found.classes) == (pytest.approx(1), 3)
    for scores in ({"a": 0.1, "b": 0.2}, dict.fromkeys("abc", 0.2), {}):
        assert math.isnan(_correlation(scores, rates[:3]).rho)


@settings(deadline=None, max_examples=20)
@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 9)), min_size=3, max_size=6))
def test_rank_correlations_against_scipy(drawn: list[tuple[int, int]]) -> None:
    from scipy.stats import spearmanr

    scores = {n: score / 9 for n, (_, score) in zip("abcdef", drawn, strict=False)}
    found = _correlation(scores, [(n, 9, k) for n, (k, _) in zip("abcdef", drawn, strict=False)])
    k, score = zip(*drawn, strict=True)
    if len(set(k)) > 1 and len(set(score)) > 1:
        assert found.rho == pytest.approx(spearmanr(k, score).statistic)
    else:
        assert math.isnan(found.rho)
