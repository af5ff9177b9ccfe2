"""What a run has used: every attempt counts, sums against an obvious recomputation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from al.report.usage import (
    USAGE_COLUMNS,
    USAGE_HEAD,
    Head,
    attempts_in,
    usage_rows,
    usage_totals,
)
from tests.journal_files import add_attempt

CYCLE = "2x3/decomp/seed-0/cycle-002"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "benchmarks" / "toy"


def test_sums_of_all_attempts_agree_with_a_recomputation(folder: Path) -> None:
    rng = np.random.default_rng(3)
    places = {
        ("2x3", "decomp"): "2x3/decomp/seed-{}/cycle-002",
        ("2x3", "initial"): "2x3/initial/seed-{}/cycle-001",
        ("10x1", "decomp"): "10x1/decomp/seed-{}/cycle-002",
        ("", "full"): "references/full/seed-{}",
        ("", ""): "references/seed-{}",
    }
    jobs = [
        (of, folder / place.format(seed) / f"{rule}.jsonl")
        for of, place in places.items()
        for seed in range(2)
        for rule in ("train", "predict-1", "predict-2")
    ]
    kept = []
    for of, path in jobs:
        for _ in range(rng.integers(1, 4)):
            wall, cpu, peak, gpu_mb = rng.integers(1, 9999, 4).astype(float)
            gpus, outcome = int(rng.integers(0, 3)), ("done", "failed", None)[rng.integers(3)]
            used = {"wall": wall, "cpu": cpu, "peak_mb": peak, "gpu_mb": gpu_mb, "gpus": gpus}
            add_attempt(path, outcome, **used)
            counts = (1, outcome == "failed", outcome is None)
            hours = (wall * gpus / 3600, cpu / 3600, wall / 3600)
            seconds = wall if outcome == "done" else np.nan
            kept.append((*of, path.stem.split("-")[0], *counts, *hours, seconds, peak, gpu_mb))

    def check(row: dict[str, Any], mine: list[tuple]) -> None:
        numbers = np.array([m[3:] for m in mine], float)
        done = numbers[:, 6][~np.isnan(numbers[:, 6])]
        seconds = np.median(done) if len(done) else np.nan
        expected = [*numbers[:, :6].sum(0), seconds, *numbers[:, 7:].max(0)]
        assert list(row.values())[3:] == pytest.approx(expected, nan_ok=True)
        assert tuple(row) == USAGE_COLUMNS and len(USAGE_HEAD) == len(USAGE_COLUMNS)

    attempts = attempts_in(folder)
    rows = usage_rows(attempts)
    assert len(rows) == 10
    for row in rows:
        check(row, [m for m in kept if m[:3] == tuple(row.values())[:3]])
    predict, train, *by_strategy, whole = usage_totals(attempts)
    for row in (predict, train):
        check(row, [m for m in kept if m[2] == row["rule"]])
    for row, place in zip(by_strategy, places, strict=True):
        assert (row["budget"], row["strategy"]) == (place[0], place[1] or "(shared)")
        check(row, [m for m in kept if m[:2] == place])
    check(whole, kept)


def test_what_is_passed_over(folder: Path) -> None:
    assert attempts_in(folder) == [] == usage_rows([])
    train = folder / CYCLE / "train.jsonl"
    add_attempt(train, "failed", wall=7200.0, gpus=1, peak_mb=123.4)
    with train.open("ab") as file:
        file.write(b'\n{"attempt": "\n\xff\xfe\n[1, 2]\n{"event": "end"}\n{"attempt": "ab", "ev')
    add_attempt(folder / CYCLE / "predict-1.jsonl", wall=3600.0, gpus=1)
    add_attempt(folder / "report" / "reach.jsonl", wall=3600.0, gpus=1)  # of the report itself
    (folder / CYCLE / "train.tsv").write_text("not a journal\n")
    rows = usage_rows(attempts_in(folder), lambda h: Head("", "", h.rule))
    assert [(r["rule"], r["gpu_hours"]) for r in rows] == [("predict", 1), ("train", 2)]
