"""What a local run says: what begins, each score, and about how long the others take."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import pytest

from al.cluster.progress import Progress, beginning, say

RULES = ["split_pool", *["train", "evaluate"] * 3, "train_reference", "evaluate_reference"]


def test_what_begins_and_on_what(tmp_path: Path) -> None:
    assert beginning("convnet", RULES, tmp_path / "none").startswith(
        "4 trainings of convnet on the CPU, as there is no GPU; "
    )
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / name).mkdir()
    assert "4 trainings of convnet on 2 GPUs; " in beginning("convnet", RULES, tmp_path)
    assert beginning("convnet", ["plot_figures"], tmp_path) == "1 job, no training"


def test_a_terminal_that_is_gone_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as gone:
        monkeypatch.setattr("sys.stderr", gone)
        say("to nobody")
        monkeypatch.undo()
        with contextlib.suppress(OSError):
            gone.close()
    monkeypatch.setattr("sys.stderr", gone)
    say("to what is closed")


@pytest.mark.parametrize("after, left", [(10, "30 s"), (60, "3 min"), (4000, "3 h"), (0, "")])
def test_each_score_is_said_with_the_time_that_the_others_take(
    tmp_path: Path, after: float, left: str
) -> None:
    said: list[str] = []
    times = iter([100.0, *[100.0 + after] * 2])
    progress = Progress(RULES, said.append, lambda: next(times))
    metrics = tmp_path / "metrics.json"
    known = {"strategy": "decomp", "seed": 1, "cycle": 3, "score_name": "mIoU", "score": 0.28149}
    metrics.write_text(json.dumps(known))
    for rule in ("train", "evaluate"):
        progress.ended(rule, [str(metrics), "examples.zip"])
    about = f", about {left} left" if left else ""
    assert said == [f"decomp, seed 1, cycle 3: mIoU 0.281  (1 of 4 scores{about})"]
    metrics.write_text(json.dumps({**known, "strategy": "full", "cycle": 0}))
    progress.ended("evaluate_reference", [str(metrics)])
    assert said[1].startswith("full, seed 1: mIoU 0.281  (2 of 4 scores")
    metrics.write_text("{")  # of a damaged file the report says more
    times = iter([1e3])
    progress._clock = lambda: next(times)
    progress.ended("evaluate", [str(metrics)])
    assert len(said) == 2
