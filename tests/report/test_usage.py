"""What a run has used: every attempt counts, sums against an obvious recomputation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from al.report.usage import (
    per_rule,
    per_strategy,
    summed,
    usage_markdown,
    usage_rows,
)

from .journal_files import add_attempt

CYCLE = "2x3/decomp/seed-0/cycle-002"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "benchmarks" / "toy"


def test_all_attempts_of_a_job_count(folder: Path) -> None:
    train = folder / CYCLE / "train.jsonl"
    add_attempt(train, None, wall=1800.0, cpu=900.0, gpus=2, peak_mb=900.0, gpu_mb=70.0)
    add_attempt(train, "failed", wall=360.0, cpu=36.0, gpus=2, peak_mb=500.0)
    add_attempt(train, "done", wall=3600.0, cpu=3600.0, gpus=2, peak_mb=400.0, gpu_mb=60.0)
    (row,) = usage_rows(folder)
    assert (row.budget, row.strategy, row.rule) == ("2x3", "decomp", "train")
    assert (row.attempts, row.failed, row.cut_off) == (3, 1, 1)
    assert row.wall_hours == pytest.approx(0.5 + 0.1 + 1)
    assert row.gpu_hours == pytest.approx(2 * row.wall_hours)
    assert row.cpu_hours == pytest.approx((900 + 36 + 3600) / 3600)
    assert (row.peak_mb, row.peak_gpu_mb) == (900, 70)


def test_sums_agree_with_a_recomputation(folder: Path) -> None:
    rng = np.random.default_rng(3)
    places = {
        ("2x3", "decomp"): "2x3/decomp/seed-{}/cycle-002",
        ("2x3", "initial"): "2x3/initial/seed-{}/cycle-001",
        ("10x1", "decomp"): "10x1/decomp/seed-{}/cycle-002",
        ("", "full"): "references/full/seed-{}",
        ("", ""): "references/seed-{}",
    }
    kept = []
    for (budget, strategy), place in places.items():
        for seed in range(3):
            for rule in ("train", "predict-1", "predict-2"):
                for _ in range(rng.integers(1, 4)):
                    wall, cpu, peak, gpu_mb = rng.integers(1, 9999, 4).astype(float)
                    gpus = int(rng.integers(0, 3))
                    outcome = ("done", "failed", None)[rng.integers(3)]
                    add_attempt(
                        folder / place.format(seed) / f"{rule}.jsonl", outcome,
                        wall=wall, cpu=cpu, peak_mb=peak, gpu_mb=gpu_mb, gpus=gpus,
                    )  # fmt: skip
                    kept.append(
                        (budget, strategy, rule[:-2] if rule[-1].isdigit() else rule)
                        + (1, outcome == "failed", outcome is None)
                        + (wall * gpus / 3600, cpu / 3600, wall / 3600, peak, gpu_mb)
                    )
    rows = usage_rows(folder)
    assert len(rows) == 10

    def check(row: object, mine: list[tuple]) -> None:
        numbers = np.array([m[3:] for m in mine], float)
        expected = [*numbers[:, :6].sum(0), *numbers[:, 6:].max(0)]
        assert list(vars(row).values())[3:] == pytest.approx(expected)

    for row in rows:
        check(row, [m for m in kept if m[:3] == (row.budget, row.strategy, row.rule)])
    assert [r.rule for r in per_rule(rows)] == ["predict", "train"]
    for row in per_rule(rows):
        check(row, [m for m in kept if m[2] == row.rule])
    names = [(r.budget, r.strategy) for r in per_strategy(rows)]
    assert names == [("2x3", "decomp"), ("2x3", "initial"), ("10x1", "decomp"), ("", "full"),
                     ("", "")]  # fmt: skip
    for row in per_strategy(rows):
        check(row, [m for m in kept if m[:2] == (row.budget, row.strategy)])
    check(summed(rows), kept)


def test_the_text(folder: Path) -> None:
    add_attempt(folder / CYCLE / "train.jsonl", "failed", wall=7200.0, gpus=1, peak_mb=123.4)
    add_attempt(folder / CYCLE / "predict-1.jsonl", wall=3600.0, gpus=1)
    add_attempt(folder / "report" / "reach.jsonl", wall=3600.0, gpus=1)
    (folder / CYCLE / "train.tsv").write_text("not a journal\n")
    rows = usage_rows(folder)
    assert [r.rule for r in rows] == ["predict", "train"], "the report's jobs are left out"
    assert sum(r.gpu_hours for r in rows) == 3
    table = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in usage_markdown(rows, "toy").splitlines()
        if line.startswith("| ")
    ]
    assert ["train", "1", "1", "0", "2.00", "0", "2.00", "123", "-"] in table
    assert ["2x3", "decomp", "2", "1", "0", "3.00", "0", "3.00", "123", "-"] in table
    assert ["total", "2", "1", "0", "3.00", "0", "3.00", "123", "-"] in table


def test_a_run_without_journals_says_so(folder: Path) -> None:
    assert usage_rows(folder) == []
    assert "No attempt was journalled" in usage_markdown([], "toy")


def test_lines_that_are_no_use_are_passed_over(folder: Path) -> None:
    path = folder / CYCLE / "train.jsonl"
    add_attempt(path, wall=10.0)
    with path.open("ab") as file:
        file.write(b'\n{"attempt": "\n\xff\xfe\n[1, 2]\n{"event": "end"}\n{"attempt": "ab", "ev')
    (row,) = usage_rows(folder)
    assert (row.attempts, row.wall_hours) == (1, 10 / 3600)
