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

from al.cluster.usage import journal_of, rule_of
from al.report.journals import ALIVE, read_journal

SCRIPTS = Path(__file__).parents[2] / "scripts"
LOG = "logs/toy/2x3/decomp/seed-0/cycle-002/predict-2.log"
JOURNAL = LOG.replace("logs/", "benchmarks/").replace(".log", ".jsonl")
HEAD = """
import os, signal, sys, time
import al.cluster.usage
al.cluster.usage.FIRST_BEAT, al.cluster.usage.LONGEST_BEAT = {beat}, {beat}
from al.cluster.job import log_to
log_to([{log!r}])
"""
FOREVER = "print('at work', flush=True)\nwhile True:\n    time.sleep(0.05)"
WAIT = 30.0

Start = Callable[..., subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start a job script as a process of its own in ``tmp_path``."""

    def start(body: str, log: str = LOG, beat: float = 60.0, **env: str) -> subprocess.Popen[bytes]:
        script = tmp_path / "job.py"
        script.write_text(HEAD.format(log=log, beat=beat) + textwrap.dedent(body))
        plain = {k: v for k, v in os.environ.items() if not k.startswith(("SLURM", "CUDA"))}
        return subprocess.Popen(
            [sys.executable, str(script)],
            cwd=tmp_path,
            env={**plain, "PYTHONPATH": str(SCRIPTS), **env},
            stderr=subprocess.DEVNULL,
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


def beats(folder: Path) -> int:
    """How many beats the journal has."""
    path = folder / JOURNAL
    return path.read_bytes().count(b'"beat"') if path.exists() else 0


def test_a_finished_job_says_what_it_used(start: Start, tmp_path: Path) -> None:
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
    assert status == 0
    first, last = lines(tmp_path)
    assert (first["event"], last["event"], last["outcome"]) == ("start", "end", "done")
    assert (first["rule"], first["part"], first["pid"]) == ("predict", "2", process.pid)
    assert first["job"] is first["restarts"] is last["gpu_mb"] is None
    seconds = used.ru_utime + used.ru_stime
    assert 0.6 <= last["cpu"] <= seconds + 0.02 and seconds - last["cpu"] < 0.3
    assert last["wall"] >= 0.9
    assert 200 < last["peak_mb"] <= used.ru_maxrss / 1024 + 1 and last["child_mb"] == 0


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("1 / 0", 1),
        ("raise SystemExit(143)", 143),
        ("sys.exit(3)", 3),
        ("raise KeyboardInterrupt", -signal.SIGINT),
        ("signal.signal(15, lambda *_: sys.exit(143)); os.kill(os.getpid(), 15)", 143),
    ],
)
def test_a_failing_job(start: Start, tmp_path: Path, body: str, code: int) -> None:
    assert start(body).wait(WAIT) == code
    assert [line.get("outcome") for line in lines(tmp_path)] == [None, "failed"]
    told = (tmp_path / LOG).read_text()
    assert ("Traceback" in told) == (body in ("1 / 0", "raise KeyboardInterrupt"))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_job_counts_up_to_its_last_beat(start: Start, tmp_path: Path, number: int) -> None:
    process = start(FOREVER, beat=0.1)
    wait_for(lambda: beats(tmp_path) >= 3)
    (running,) = read_journal(tmp_path / JOURNAL)
    assert running.outcome == "running"
    process.send_signal(number)
    assert process.wait(WAIT) == -number
    last = lines(tmp_path)[-1]
    assert last["event"] == "beat"
    (attempt,) = read_journal(tmp_path / JOURNAL, time.time() + ALIVE + 1)
    assert (attempt.outcome, attempt.wall) == ("cut off", last["wall"]) and last["wall"] >= 0.3


def test_an_attempt_after_a_torn_line(start: Start, tmp_path: Path) -> None:
    start("pass").wait(WAIT)
    whole = (tmp_path / JOURNAL).read_bytes()
    (tmp_path / JOURNAL).write_bytes(whole[:-20])
    start("pass").wait(WAIT)
    first, second = read_journal(tmp_path / JOURNAL)
    assert (first.outcome, second.outcome) == ("cut off", "done")
    assert first.wall == 0 < second.wall
    assert second.host == first.host == os.uname().nodename, "its first line is whole"


def test_forked_children_leave_no_lines_of_their_own(start: Start, tmp_path: Path) -> None:
    code = start(
        """
        import multiprocessing
        for leave in (lambda: sys.exit(1), lambda: 1 / 0, lambda: None):
            child = os.fork()
            if not child:
                leave()
                sys.exit(0)
            os.waitpid(child, 0)
        with multiprocessing.get_context("fork").Pool(2) as pool:
            assert pool.map(abs, [-1, -2]) == [1, 2]
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
        time.sleep(0.5)
        child.kill()
        child.wait()
        """,
        beat=0.1,
    )
    assert process.wait(WAIT) == 0
    held = lines(tmp_path)[1:]
    beaten = [line for line in held if line["event"] == "beat"]
    assert max(line["cpu"] for line in beaten) >= 0.5, "the child was alive"
    assert 150 < max(line["child_mb"] for line in beaten) < 250
    assert [a["cpu"] <= b["cpu"] for a, b in zip(held, held[1:], strict=False)].count(False) == 0
    assert 0.5 <= held[-1]["cpu"] < 1.5, "not counted twice"


def test_no_room_and_no_folder_fail_nothing(start: Start, tmp_path: Path) -> None:
    journal = tmp_path / JOURNAL
    journal.parent.mkdir(parents=True)
    journal.symlink_to("/dev/full")
    assert start("time.sleep(0.3)\nprint('through')", beat=0.05).wait(WAIT) == 0
    assert (tmp_path / LOG).read_text() == "through\n"
    body = f"os.unlink({JOURNAL!r})\ntime.sleep(0.3)"
    assert start(body, beat=0.1).wait(WAIT) == 0
    events = [line["event"] for line in lines(tmp_path)]
    assert events[0] == "beat" and events[-1] == "end", "it goes on where there is room"
    journal.unlink()
    journal.parent.rmdir()
    journal.parent.touch()  # a file where the folder should be
    assert start("time.sleep(0.3)\nprint('again')", beat=0.05).wait(WAIT) == 0
    assert (tmp_path / LOG).read_text() == "through\nagain\n"


def test_a_disk_that_has_room_again(start: Start, tmp_path: Path) -> None:
    """A limit on file sizes cuts a beat in the middle, as a full disk does."""
    code = start(
        f"""
        import resource
        size = os.path.getsize({JOURNAL!r})
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40, resource.RLIM_INFINITY))
        time.sleep(1)
        assert os.path.getsize({JOURNAL!r}) == size + 40
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        time.sleep(1)
        """,
        beat=0.4,
    ).wait(WAIT)
    assert code == 0
    raw = (tmp_path / JOURNAL).read_bytes().splitlines()
    torn = [line for line in raw if line and not line.endswith(b"}")]
    assert len(torn) == 1
    (attempt,) = read_journal(tmp_path / JOURNAL)
    assert attempt.outcome == "done" and attempt.wall >= 2


@pytest.mark.parametrize(
    ("env", "gpus"),
    [
        ({}, 0),
        ({"CUDA_VISIBLE_DEVICES": "0,1"}, 0),
        ({"SLURM_JOB_ID": "7"}, 0),
        ({"SLURM_JOB_ID": "7", "CUDA_VISIBLE_DEVICES": "0,1"}, 2),
        ({"SLURM_JOB_ID": "7", "CUDA_VISIBLE_DEVICES": "", "SLURM_JOB_GPUS": "0"}, 0),
        ({"SLURM_JOB_ID": "7", "CUDA_VISIBLE_DEVICES": "NoDevFiles"}, 0),
        ({"SLURM_JOB_ID": "7", "CUDA_VISIBLE_DEVICES": "GPU-8f2c-11,MIG-1-2"}, 2),
        ({"SLURM_JOB_ID": "7", "SLURM_JOB_GPUS": "0-2,5"}, 4),
    ],
)
def test_gpus_that_are_held(start: Start, tmp_path: Path, env: dict[str, str], gpus: int) -> None:
    start("pass", SLURM_RESTART_COUNT="2", **env).wait(WAIT)
    first, last = lines(tmp_path)
    assert first["gpus"] == last["gpus"] == gpus
    assert (first["job"], first["restarts"]) == (env.get("SLURM_JOB_ID"), 2)


@pytest.mark.gpu
def test_memory_of_a_gpu_that_was_used(start: Start, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    body = "import torch\nheld = torch.zeros(64 * 2**20, dtype=torch.uint8, device='cuda')"
    assert start(body).wait(120) == 0
    first, last = lines(tmp_path)
    assert (first["gpus"], last["gpus"]) == (0, 1) and 64 <= last["gpu_mb"] < 256


def test_paths_and_names() -> None:
    assert journal_of(LOG) == Path(JOURNAL)
    assert journal_of("/logs/toy/train.log") is None
    assert journal_of("elsewhere/logs/train.log") is None
    assert rule_of(LOG) == ("predict", "2")
    assert rule_of("logs/toy/report/curves-5x15.log") == ("curves", "5x15")
    assert rule_of("logs/toy/pools/seed-3.log") == ("pools", "seed-3")
    assert rule_of("logs/toy/score_images.log") == ("score_images", None)
