"""Journals of real processes: finished, failed, killed, forking, and without room to write."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from al.cluster.journals import ALIVE, read_journal
from al.cluster.usage import BEAT, rule_of

LOG = "logs/toy/2x3/decomp/seed-0/cycle-002/predict-2.log"
JOURNAL = LOG.replace("logs/", "benchmarks/").replace(".log", ".jsonl")
HEAD = """
import os, signal, sys, time
import al.cluster.usage
al.cluster.usage.BEAT = {beat}
with al.cluster.usage.journalled({log!r}):
"""
WAIT = 60.0

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start a job script as a process of its own in ``tmp_path``."""

    def start(body: str, beat: float = 60.0, **env: str) -> subprocess.Popen[bytes]:
        script = tmp_path / "job.py"
        body = textwrap.indent(textwrap.dedent(body), "    ")
        script.write_text(HEAD.format(log=LOG, beat=beat) + body)
        plain = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "CUDA"))}
        words = [sys.executable, str(script)]
        return subprocess.Popen(
            words, cwd=tmp_path, env={**plain, **env}, stderr=subprocess.DEVNULL
        )

    return start


def lines(folder: Path) -> list[dict[str, Any]]:
    """Whole lines of the journal."""
    return [json.loads(line) for line in (folder / JOURNAL).read_bytes().splitlines() if line]


def wait_for(what: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def test_a_finished_job_says_what_it_used(start: Start, tmp_path: Path) -> None:
    began = time.time()
    process = start(
        """
        held = bytearray(200 * 2**20)
        while sum(os.times()[:2]) < 0.6:
            pass
        time.sleep(0.3)
        assert "torch" not in sys.modules
        """
    )
    _, status, used = os.wait4(process.pid, 0)
    took = time.time() - began
    assert status == 0
    first, last = lines(tmp_path)
    assert (first["outcome"], last["outcome"]) == ("running", "done")
    assert (first["rule"], first["part"], first["host"]) == ("predict", "2", os.uname().nodename)
    assert first["job"] is None and last["gpu_mb"] == last["gpus"] == 0
    seconds = used.ru_utime + used.ru_stime
    assert 0.6 <= last["cpu"] <= seconds + 0.02 and seconds - last["cpu"] < 0.3
    # The kernel tells the start of a process to the second.
    assert 0.9 <= last["wall"] <= took + 1.5 and abs(last["started"] - began) < took + 1.5
    assert 200 < last["peak_mb"] <= used.ru_maxrss / 1024 + 1


@pytest.mark.parametrize(
    ("body", "code", "outcome"),
    [
        ("1 / 0", 1, "failed"),
        ("sys.exit(3)", 3, "failed"),
        ("signal.signal(15, lambda *_: sys.exit(143)); os.kill(os.getpid(), 15)", 143, "stopped"),
        # Where tests run in the background a shell has them ignore it.
        ("signal.signal(2, signal.default_int_handler); os.kill(os.getpid(), 2)", -2, "stopped"),
    ],
)
def test_a_failing_job(start: Start, tmp_path: Path, body: str, code: int, outcome: str) -> None:
    assert start(body).wait(WAIT) == code
    assert [line["outcome"] for line in lines(tmp_path)] == ["running", outcome]


def test_a_killed_job_counts_up_to_its_last_beat(start: Start, tmp_path: Path) -> None:
    process = start("time.sleep(60)", beat=0.1)
    wait_for(lambda: (tmp_path / JOURNAL).exists() and len(lines(tmp_path)) >= 4)
    (running,) = read_journal(tmp_path / JOURNAL)
    assert running.outcome == "running" and ALIVE >= 3 * BEAT
    process.kill()
    assert process.wait(WAIT) == -signal.SIGKILL
    last = lines(tmp_path)[-1]
    (attempt,) = read_journal(tmp_path / JOURNAL, time.time() + ALIVE + 1)
    assert (attempt.outcome, attempt.wall) == ("cut off", last["wall"]) and last["wall"] >= 0.3
    # Cut off within a line, and run again.
    whole = (tmp_path / JOURNAL).read_bytes()
    (tmp_path / JOURNAL).write_bytes(whole[:-20])
    start("pass").wait(WAIT)
    first, second = read_journal(tmp_path / JOURNAL)
    assert (first.outcome, second.outcome) == ("cut off", "done")
    assert 0 < first.wall < attempt.wall


def test_forked_children_leave_no_lines_of_their_own(start: Start, tmp_path: Path) -> None:
    code = start(
        """
        for leave in (lambda: sys.exit(1), lambda: None):
            child = os.fork()
            if not child:
                leave()
                sys.exit(0)
            os.waitpid(child, 0)
        """
    ).wait(WAIT)
    assert code == 0
    first, last = lines(tmp_path)
    assert first["attempt"] == last["attempt"] and last["outcome"] == "done"


def test_living_and_reaped_children_count(start: Start, tmp_path: Path) -> None:
    child = (
        "import os, time; held = bytearray(150 * 2**20)\n"
        "while sum(os.times()[:2]) < 0.5: pass\n"
        "print('burnt', flush=True); time.sleep(60)"
    )
    process = start(
        f"""
        import subprocess
        child = subprocess.Popen([sys.executable, "-c", {child!r}], stdout=subprocess.PIPE)
        child.stdout.readline()
        time.sleep(1)
        child.kill()
        child.wait()
        """,
        beat=0.1,
    )
    assert process.wait(WAIT) == 0
    held = lines(tmp_path)
    assert max(line["cpu"] for line in held[:-1]) >= 0.5, "the child was alive"
    assert 150 < held[-1]["peak_mb"] < 250
    assert all(a["cpu"] <= b["cpu"] for a, b in zip(held, held[1:], strict=False))
    assert 0.5 <= held[-1]["cpu"] < 1.5, "not counted twice"


def test_no_room_and_no_folder_fail_nothing(start: Start, tmp_path: Path) -> None:
    journal = tmp_path / JOURNAL
    journal.parent.mkdir(parents=True)
    journal.symlink_to("/dev/full")
    assert start("time.sleep(0.3)", beat=0.05).wait(WAIT) == 0
    assert start(f"os.unlink({JOURNAL!r})").wait(WAIT) == 0
    assert [line["outcome"] for line in lines(tmp_path)] == ["done"], "there is room again"
    journal.unlink()
    journal.parent.rmdir()
    journal.parent.touch()  # a file where the folder should be
    assert start("time.sleep(0.3)", beat=0.05).wait(WAIT) == 0


@pytest.mark.parametrize(
    ("env", "gpus"),
    [({"SLURM_GPUS_ON_NODE": "2"}, 0), ({"SLURM_JOB_ID": "7"}, 0)]
    + [({"SLURM_JOB_ID": "7", "SLURM_GPUS_ON_NODE": "2"}, 2)],
)
def test_gpus_that_are_held(start: Start, tmp_path: Path, env: dict[str, str], gpus: int) -> None:
    start("pass", **env).wait(WAIT)
    first, last = lines(tmp_path)
    assert first["gpus"] == last["gpus"] == gpus and first["job"] == env.get("SLURM_JOB_ID")


@pytest.mark.gpu
def test_memory_of_a_gpu_that_was_used(start: Start, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    body = "import torch\nheld = torch.zeros(64 * 2**20, dtype=torch.uint8, device='cuda')"
    assert start(body).wait(120) == 0
    first, last = lines(tmp_path)
    assert (first["gpus"], last["gpus"]) == (0, 1) and 64 <= last["gpu_mb"] < 256


def test_names() -> None:
    assert rule_of(Path(LOG)) == ("predict", "2")
    assert rule_of(Path("logs/toy/pools/seed-3.log")) == ("pools", "seed-3")
    assert rule_of(Path("logs/toy/score_images.log")) == ("score_images", None)
