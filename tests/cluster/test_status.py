"""How far a run is: rows, what runs, what failed, hours and what is left, while files change."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from al.cli.status import show_status
from al.cluster.journals import ALIVE
from al.cluster.status import Standing, read_status
from al.cluster.status_text import status_text
from tests.journal_files import add_attempt

NOW = 2e9
CONFIG = {
    "dataset": "toy", "learner": "convnet", "budget": ["2x3"], "strategies": ["random", "decomp"],
    "references": ["full"], "seeds": [0, 1], "cycles": 4,
}  # fmt: skip

Journal = Callable[..., Path]


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "results"
    (folder / "toy").mkdir(parents=True)
    (folder / "toy" / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    return folder


def finish(results: Path, strategy: str, seed: int, cycle: int, score: float = 0.5) -> Path:
    """Write the metrics of a cycle, or of a reference (cycle 0)."""
    place = f"2x3/{strategy}/seed-{seed}/cycle-{cycle:03d}"
    path = results / "toy" / (place if cycle else f"references/{strategy}/seed-{seed}")
    path.mkdir(parents=True, exist_ok=True)
    (path / "metrics.json").write_text(json.dumps({"score_name": "mIoU", "score": score}))
    return path / "metrics.json"


@pytest.fixture
def job(results: Path) -> Journal:
    """Add an attempt at a rule of a cycle, or of a reference; ``ago`` seconds before now."""

    def job(
        strategy: str, seed: int, cycle: int, rule: str, outcome: str | None = "done",
        ago: float = 1000.0, **held: object,
    ) -> Path:  # fmt: skip
        place = f"2x3/{strategy}/seed-{seed}/cycle-{cycle:03d}/{rule}.jsonl"
        place = place if cycle else f"references/{strategy}/seed-{seed}/{rule}.jsonl"
        path = results.parent / "benchmarks/toy" / place
        add_attempt(path, outcome, NOW - ago, **held)
        return path

    return job


def standings(results: Path) -> dict[tuple[str, int | None], Standing]:
    return {s.row[1:]: s for s in read_status("toy", results, NOW).standings}


def test_rows_and_cycles(results: Path) -> None:
    finish(results, "initial", 0, 1, 0.1)
    for cycle in (2, 4, 9):  # the last beyond what is planned now
        finish(results, "random", 0, cycle, cycle / 10)
    held = standings(results)
    seeds = [(name, k) for name in ("initial", "random", "decomp", "full") for k in (0, 1)]
    assert list(held) == seeds
    assert held["initial", 0].done == [1] and held["initial", 0].planned == 1
    row = held["random", 0]
    assert (row.done, row.planned, row.score) == ([2, 4], 3, ("mIoU", 0.4))
    assert held["random", 1].done == [] and held["random", 1].score is None


def test_running_waiting_failed_and_cut_off(results: Path, job: Journal) -> None:
    job("random", 0, 2, "train", None, ago=5000.0)
    job("random", 0, 2, "train", None, ago=ALIVE - 10, job="17")
    job("random", 1, 2, "train", None, ago=ALIVE + 10)
    job("decomp", 0, 2, "predict-2", "failed", ago=300.0)
    job("decomp", 0, 2, "select", "stopped", ago=900.0)
    job("decomp", 1, 2, "train", "failed", ago=900.0)
    job("decomp", 1, 2, "train", "done", ago=300.0)
    held = standings(results)
    (running,) = held["random", 0].running
    assert running.last.slurm_job == "17" and not held["random", 0].failed
    assert [a.outcome for a in running.attempts] == ["cut off", "running"]
    (cut,) = held["random", 1].failed
    assert cut.last.outcome == "cut off" and not held["random", 1].running
    assert [j.last.rule for j in held["decomp", 0].failed] == ["predict", "select"]
    assert not held["decomp", 1].failed, "finished since"
    text = status_text(read_status("toy", results, NOW), NOW)
    rows = {line.split("|")[2].strip() + line.split("|")[3].strip(): line
            for line in text.splitlines() if line.startswith("|")}  # fmt: skip
    assert "train 002 since" in rows["random0"] and "n1 (job 17)" in rows["random0"]
    assert "train 002 cut off" in rows["random1"] and "1 running" in text
    assert "predict-2 002 failed" in rows["decomp0"] and "waiting" in rows["decomp1"]
    log = "logs/toy/2x3/decomp/seed-0/cycle-002/predict-2.log"
    assert text.index(log) < text.index("cycle-002/select.log")


def test_a_failure_that_the_run_went_past(results: Path, job: Journal) -> None:
    job("decomp", 0, 2, "predict-1", "failed", ago=900.0)
    job("decomp", 0, 3, "train", ago=800.0)
    assert standings(results)["decomp", 0].failed, "cycle 2 is not finished"
    finish(results, "decomp", 0, 2)
    assert not standings(results)["decomp", 0].failed
    job("decomp", 0, 2, "predict-1", "failed", ago=700.0)
    assert standings(results)["decomp", 0].failed, "it is of after cycle 3"


def test_hours_and_what_is_left(results: Path, job: Journal) -> None:
    def held(wall: float, gpus: int = 1) -> dict[str, float]:
        return {"wall": wall * 3600, "cpu": 60.0, "gpus": gpus}

    finish(results, "initial", 0, 1)
    job("initial", 0, 1, "train", **held(10))
    for cycle, hours in ((2, 1.0), (3, 2.0)):
        finish(results, "random", 0, cycle)
        job("random", 0, cycle, "train", "failed", **held(hours / 2))
        job("random", 0, cycle, "train", **held(hours / 4))
        job("random", 0, cycle, "select", **held(hours / 8, gpus=2))
    job("random", 0, 4, "train", None, **held(0.5))
    add_attempt(results.parent / "benchmarks/toy/index_pool.jsonl", **held(0.25))
    status = read_status("toy", results, NOW)
    rows = {s.row[1:]: s for s in status.standings}
    assert status.unit == "GPU"
    assert rows["random", 0].hours == pytest.approx(3.5)
    assert rows["random", 0].to_come == pytest.approx(1.5), "the mean of its own two"
    assert rows["random", 1].to_come == pytest.approx(3 * 1.5), "of the same strategy"
    assert rows["decomp", 0].to_come == pytest.approx(3 * (10 + 1 + 2) / 3), "of all"
    assert rows["initial", 0].to_come == 0 and rows["initial", 1].to_come == 10
    assert rows["full", 0].to_come is None and rows["", None].hours == 0.25
    lines = status_text(status, NOW).splitlines()
    (total,) = (line for line in lines if line.startswith("| total"))
    cells = [cell.strip() for cell in total.split("|")[1:-1]]
    left = 1.5 + 4.5 + 2 * 13 + 10
    assert cells == ["total", "", "", "3 of 14", "nothing runs", "", "13.8", f"{left:.1f} +"]
    job("full", 1, 0, "train", **held(1))
    finish(results, "full", 1, 0, 0.7)
    done, left = (standings(results)["full", seed] for seed in (1, 0))
    assert (done.score, done.to_come, left.to_come) == (("mIoU", 0.7), 0, 1)


def test_cpu_hours_where_there_is_no_gpu(results: Path, job: Journal) -> None:
    finish(results, "random", 0, 2)
    job("random", 0, 2, "train", wall=7200.0, cpu=3600.0)
    row = standings(results)["random", 0]
    assert (row.hours, row.to_come) == (1, 2)


def test_files_that_come_and_go(results: Path, job: Journal) -> None:
    finish(results, "random", 0, 2).write_text("never opened: not the last")
    finish(results, "random", 0, 3).write_text('{"score_name": "mI')
    os.mkfifo(finish(results, "random", 1, 2).with_name("waits-for-ever"))
    gone = job("random", 0, 3, "train")
    gone.unlink()
    gone.symlink_to("nowhere.jsonl")
    job("random", 0, 3, "select").write_bytes(b"")
    row = standings(results)["random", 0]
    assert (row.done, row.score, row.hours) == ([2, 3], None, 0)


def test_unknown_run_list_of_runs_and_bad_configuration(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (results / "broken").mkdir()
    (results / "broken" / "config.yaml").write_text("dataset: [")
    for run, folder, code, said in (
        ("tay", results, 1, "did you mean 'toy'"),
        ("toy", results, 0, "toy: toy, convnet"),
        (None, results, 0, "toy     toy, convnet, 1 budget, 2 strategies, 2 seeds, 4 cycles"),
        ("broken", results, 1, "config.yaml"),
        ("", results / "none", 0, "no runs yet"),
    ):
        assert show_status(run, folder) == code
        printed = capsys.readouterr()
        assert said in (printed.err if code else printed.out)
