"""The lock of a work folder: real processes, with and without a ``flock`` that can be relied on.

No file system at hand lacks ``flock`` or keeps it to one node, so these two are the places where
something stands in for the real thing: ``fcntl.flock`` raises ENOSYS, or grants every lock. Other
hosts are processes with another host name.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from al.learners.locking import BEAT, STALE, LockedError, locked

SCRIPTS = Path(__file__).parents[2] / "scripts"
HOLDER = """
import errno, fcntl, socket, sys, time
from pathlib import Path
import al.learners.locking as locking

host, kind, folder, seconds = sys.argv[1:]
locking.BEAT, locking.STALE, locking.POLL, locking.SETTLE = 0.2, 3.0, 0.1, 0.3
socket.gethostname = lambda: host

def missing(*_):
    raise OSError(errno.ENOSYS, "Function not implemented")

if kind == "missing":
    fcntl.flock = missing
elif kind == "local":  # every node grants it to itself
    fcntl.flock = lambda *_: None
try:
    with locking.locked(Path(folder)):
        print("held", flush=True)
        time.sleep(float(seconds))
    print("released", flush=True)
except locking.LockedError as refusal:
    print(f"refused {refusal}", flush=True)
"""


class Holders:
    """Processes that hold or want the lock of one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[str]] = []

    @property
    def file(self) -> Path:
        return self.folder / "lock"

    def start(self, host: str, kind: str = "real", seconds: float = 60) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, host, kind, str(self.folder), str(seconds)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONPATH": str(SCRIPTS), "SLURM_JOB_ID": "4711"},
        )
        self.started.append(process)
        return process

    def hold(self, host: str, kind: str = "real", seconds: float = 60) -> subprocess.Popen[str]:
        process = self.start(host, kind, seconds)
        assert said(process) == "held\n"
        return process


def said(process: subprocess.Popen[str]) -> str:
    """The next line that is not about waiting."""
    assert process.stdout is not None
    while "waiting up to" in (line := process.stdout.readline()):
        pass
    return line


def until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.05)


@pytest.fixture
def holders(tmp_path: Path) -> Iterator[Holders]:
    made = Holders(tmp_path / "work")
    yield made
    for process in made.started:
        process.kill()
        process.communicate()


def refused_within(process: subprocess.Popen[str], seconds: float) -> str:
    start = time.monotonic()
    line = said(process)
    assert line.startswith("refused ") and time.monotonic() - start < seconds, line
    return line


def test_flock_refuses_at_once_and_a_kill_frees_at_once(holders: Holders) -> None:
    first = holders.hold("here")
    line = refused_within(holders.start("here"), 5)
    for part in ("host here,", f"pid {first.pid},", "since 20", "SLURM job 4711"):
        assert part in line
    first.kill()
    first.wait()
    start = time.monotonic()
    holders.hold("here")
    assert time.monotonic() - start < 2.5, "waited for a holder of this host that flock knows gone"


@pytest.mark.parametrize("kind", ["missing", "local"])
def test_without_flock_a_living_holder_is_seen_by_its_touch(holders: Holders, kind: str) -> None:
    first = holders.hold("one", kind)
    line = refused_within(holders.start("two", kind), 6)
    assert f"host one, pid {first.pid}," in line
    assert first.poll() is None


@pytest.mark.parametrize(
    ("kind", "host"), [("missing", "one"), ("missing", "two"), ("local", "two")]
)
def test_without_flock_a_dead_holder_is_waited_for(holders: Holders, kind: str, host: str) -> None:
    first = holders.hold("one", kind)
    first.kill()
    first.wait()
    second = holders.start(host, kind)
    until(lambda: f"pid {second.pid}," in holders.file.read_text())
    assert time.time() - holders.file.stat().st_mtime < 5
    assert said(second) == "held\n"
    third = holders.start("three", kind)
    refused_within(third, 6)


@pytest.mark.parametrize("kind", ["real", "missing", "local"])
def test_a_released_lock_keeps_nobody_waiting(holders: Holders, kind: str) -> None:
    assert said(first := holders.hold("one", kind, 0.1)) == "released\n"
    first.wait()
    assert holders.file.read_text().startswith("released by host one")
    start = time.monotonic()
    holders.hold("two", kind)
    assert time.monotonic() - start < 2.5


@pytest.mark.parametrize("kind", ["missing", "local"])
def test_of_two_that_start_at_once_one_is_left(holders: Holders, kind: str) -> None:
    holders.folder.mkdir()
    both = [holders.start("one", kind), holders.start("two", kind)]
    until(lambda: sum(process.poll() is not None for process in both) == 1)
    time.sleep(1.5)
    (left,) = [process for process in both if process.poll() is None]
    assert f"pid {left.pid}," in holders.file.read_text()


def test_a_holder_that_was_suspended_ends_when_it_was_replaced(holders: Holders) -> None:
    """As a job that SLURM suspends: it was taken for dead and must not write again."""
    first = holders.hold("one", "local")
    first.send_signal(signal.SIGSTOP)
    second = holders.hold("two", "local")
    first.send_signal(signal.SIGCONT)
    assert first.wait(timeout=10) == 1
    assert "was taken over" in said(first)
    assert second.poll() is None


def test_two_blocks_of_one_process(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(LockedError, match=f"pid {os.getpid()}"), locked(tmp_path):
        pytest.fail("the lock was given twice")
    with locked(tmp_path):
        assert f"pid {os.getpid()}," in (tmp_path / "lock").read_text()
    assert BEAT * 3 < STALE
