"""What a run has used: every attempt counts, sums against an obvious recomputation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from al.report.usage import per_rule, per_strategy, summed, usage_markdown, usage_rows

from .journal_files import add_attempt

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
            kept.append((*of, path.stem.split("-")[0], *counts, *hours, peak, gpu_mb))
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
    assert [(r.budget, r.strategy) for r in per_strategy(rows)] == list(places)
    for row in per_strategy(rows):
        check(row, [m for m in kept if m[:2] == (row.budget, row.strategy)])
    check(summed(rows), kept)


def test_the_text_and_what_is_passed_over(folder: Path) -> None:
    assert usage_rows(folder) == [] and "No attempt" in usage_markdown([], "toy")
    train = folder / CYCLE / "train.jsonl"
    add_attempt(train, "failed", wall=7200.0, gpus=1, peak_mb=123.4)
    with train.open("ab") as file:
        file.write(b'\n{"attempt": "\n\xff\xfe\n[1, 2]\n{"event": "end"}\n{"attempt": "ab", "ev')
    add_attempt(folder / CYCLE / "predict-1.jsonl", wall=3600.0, gpus=1)
    add_attempt(folder / "report" / "reach.jsonl", wall=3600.0, gpus=1)  # of the report itself
    (folder / CYCLE / "train.tsv").write_text("not a journal\n")
    rows = usage_rows(folder)
    assert [r.rule for r in rows] == ["predict", "train"] and sum(r.gpu_hours for r in rows) == 3
    table = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in usage_markdown(rows, "toy").splitlines()
        if line.startswith("| ")
    ]
    assert ["train", "1", "1", "0", "2.00", "0", "2.00", "123", "-"] in table
    assert ["2x3", "decomp", "2", "1", "0", "3.00", "0", "3.00", "123", "-"] in table
    assert ["total", "2", "1", "0", "3.00", "0", "3.00", "123", "-"] in table
