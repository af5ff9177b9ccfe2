"""The lock of a folder: real processes, with names that can be exchanged and without.

The latter, as NFS and Lustre, is bindfs: two mounts of one folder, with a cache each, are what two
nodes see of it. Other hosts are processes with another host name.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from al.io.locking import BEAT, LEASE, LockedError, locked
from tests.debian import apt_install

LEASED = 2.0
HOLDER = f"""
import socket, sys, time
from pathlib import Path
import al.io.locking as locking

host, folder, seconds = sys.argv[1:]
locking.BEAT, locking.LEASE, locking.POLL = 0.2, {LEASED}, 0.1
socket.gethostname = lambda: host
try:
    with locking.locked(Path(folder)):
        print("held", flush=True)
        time.sleep(float(seconds))
    print("released", flush=True)
except locking.LockedError as refusal:
    print(f"refused {{refusal}}", flush=True)
"""


class Holders:
    """Processes of two hosts that hold or want the lock of one folder."""

    def __init__(self, folders: dict[str, Path]) -> None:
        self.folders = folders
        self.started: list[subprocess.Popen[str]] = []

    @property
    def file(self) -> Path:
        return self.folders["one"] / "work/lock"

    def start(self, host: str, seconds: float = 60) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", HOLDER, host, str(self.folders[host] / "work"), str(seconds)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.started.append(process)
        return process

    def hold(self, host: str, seconds: float = 60) -> subprocess.Popen[str]:
        process = self.start(host, seconds)
        assert said(process) == "held\n"
        return process

    def owner(self) -> int | None:
        found = [line for line in self.file.read_text().splitlines() if line.startswith("pid=")]
        return int(found[0][4:]) if found else None


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


def mount(folder: Path, place: Path) -> None:
    if shutil.which("bindfs") is None and (reason := apt_install(("bindfs",))):
        pytest.skip(f"no file system without exchange here: {reason}")
    place.mkdir()
    done = subprocess.run(["bindfs", str(folder), str(place)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"bindfs: {done.stderr.strip()}")


@pytest.fixture(params=["exchange", "none"])
def holders(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Holders]:
    folders = dict.fromkeys(("one", "two"), tmp_path)
    if request.param == "none":
        folders = {name: tmp_path.with_name(f"{tmp_path.name}-{name}") for name in folders}
        for folder in folders.values():
            mount(tmp_path, folder)
    made = Holders(folders)
    yield made
    for process in made.started:
        process.kill()
        process.communicate()
    if request.param == "none":
        for folder in folders.values():
            subprocess.run(["umount", str(folder)], check=True)


def test_a_living_holder_is_named_wherever_it_runs(holders: Holders) -> None:
    first = holders.hold("one")
    for host in ("one", "two"):
        line = said(holders.start(host))
        assert line.startswith("refused ") and f"host one, pid {first.pid}" in line
    assert first.poll() is None and holders.owner() == first.pid


def test_a_dead_holder_is_replaced(holders: Holders) -> None:
    for host, after in (("one", "one"), ("one", "two")):
        first = holders.hold(host)
        first.kill()
        first.wait()
        second = holders.hold(after)
        assert holders.owner() == second.pid
        second.kill()
        second.wait()
        holders.file.unlink()


def test_one_that_died_while_it_made_the_lock(holders: Holders) -> None:
    holders.file.parent.mkdir()
    holders.file.touch()
    assert holders.hold("two").pid == holders.owner()


def test_a_released_lock_keeps_nobody_waiting(holders: Holders) -> None:
    assert said(first := holders.hold("one", 0.1)) == "released\n"
    first.wait()
    start = time.monotonic()
    holders.hold("two")
    assert time.monotonic() - start < LEASED


def test_of_three_that_find_a_dead_holder_one_is_left(holders: Holders) -> None:
    first = holders.hold("one")
    first.kill()
    first.wait()
    three = [holders.start(host) for host in ("two", "two", "two")]
    assert [said(process) for process in three].count("held\n") == 1
    until(lambda: sum(process.poll() is None for process in three) == 1)
    (left,) = [process for process in three if process.poll() is None]
    assert holders.owner() == left.pid


def test_a_holder_that_was_suspended_ends_when_it_was_replaced(holders: Holders) -> None:
    """As a job that SLURM suspends: it was taken for dead and must not write again."""
    first = holders.hold("one")
    first.send_signal(signal.SIGSTOP)
    second = holders.hold("two")
    first.send_signal(signal.SIGCONT)
    assert first.wait(timeout=10) == 1
    assert "was lost" in said(first)
    assert second.poll() is None and holders.owner() == second.pid


def test_two_blocks_of_one_process(tmp_path: Path) -> None:
    refused = pytest.raises(LockedError, match=f"pid {os.getpid()}")
    with locked(tmp_path), refused, locked(tmp_path):
        pytest.fail("the lock was given twice")
    with locked(tmp_path):
        assert f"pid={os.getpid()}\n" in (tmp_path / "lock").read_text()
    assert BEAT * 10 < LEASE
