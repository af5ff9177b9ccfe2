"""What a SLURM cluster offers, as scontrol and sacctmgr tell it."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
from dataclasses import dataclass

UNLIMITED = 10**9  # minutes
DOWN = ("DOWN", "DRAIN", "FAIL", "FUTURE", "UNKNOWN", "NOT_RESPONDING", "MAINT")


class NoCluster(RuntimeError):
    """SLURM's commands are not there, or do not answer."""


@dataclass(frozen=True)
class Partition:
    """A partition; ``max_minutes`` is its MaxTime."""

    name: str
    up: bool
    default: bool
    max_minutes: int


@dataclass(frozen=True)
class Node:
    """A node: what it has in all, whoever uses it now; ``gpus`` by type, ``""`` for untyped."""

    name: str
    partitions: tuple[str, ...]
    up: bool
    cpus: int
    memory: int
    gpus: dict[str, int]

    def gpu_count(self, model: str = "") -> int:
        """GPUs of a model; of any, if none is named."""
        return self.gpus.get(model, 0) if model else sum(self.gpus.values())


@dataclass(frozen=True)
class Accounts:
    """What the accounting database knows of this user."""

    default: str
    qos: dict[str, tuple[str, ...]]  # by account


def ask(*words: str) -> subprocess.CompletedProcess[str]:
    """Run one of SLURM's commands.

    Raises:
        NoCluster: it is not installed or does not answer in 60 s.
    """
    try:
        return subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )
    except FileNotFoundError:
        raise NoCluster(f"{words[0]} is not installed on this machine") from None
    except subprocess.TimeoutExpired:
        raise NoCluster(f"{words[0]} did not answer in 60 s") from None


def _told(*words: str) -> str:
    done = ask(*words)
    if done.returncode:
        raise NoCluster(f"{' '.join(words)} failed: {done.stderr.strip()[-300:]}")
    return done.stdout


def _fields(line: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in line.split() if "=" in word)


def read_config() -> dict[str, str]:
    """slurm.conf as the controller has it."""
    lines = _told("scontrol", "show", "config").splitlines()
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def read_partitions() -> dict[str, Partition]:
    """All partitions by name."""
    found = {}
    for line in _told("scontrol", "-o", "show", "partition").splitlines():
        f = _fields(line)
        name = f["PartitionName"]
        limit = minutes_of(f.get("MaxTime", "UNLIMITED"))
        found[name] = Partition(name, f.get("State") == "UP", f.get("Default") == "YES", limit)
    return found


def read_nodes() -> list[Node]:
    """All nodes."""
    found = []
    for line in _told("scontrol", "-o", "show", "node").splitlines():
        f = _fields(line)
        found.append(
            Node(
                name=f.get("NodeName", ""),
                partitions=tuple(f.get("Partitions", "").split(",")),
                up=not any(state in f.get("State", "UNKNOWN") for state in DOWN),
                cpus=int(f.get("CPUEfctv") or f.get("CPUTot", 0)),
                memory=int(f.get("RealMemory", 0)) - int(f.get("MemSpecLimit", 0)),
                gpus=gpus_of(f.get("Gres", "")),
            )
        )
    return found


def read_accounts() -> Accounts | None:
    """Accounts of this user; None where there is no accounting database, or it is silent."""
    user = pwd.getpwuid(os.getuid()).pw_name
    words = ("sacctmgr", "-n", "-P", "show")
    try:
        default = ask(*words, "user", user, "format=defaultaccount")
        listed = ask(*words, "assoc", f"user={user}", "format=account,qos")
    except NoCluster:
        return None
    if default.returncode or listed.returncode:
        return None
    rows = [line.split("|") for line in listed.stdout.splitlines() if line]
    qos = {account: tuple(names.split(",")) for account, names in rows}
    return Accounts(default.stdout.strip(), qos)


def gpus_of(gres: str) -> dict[str, int]:
    """GPUs by type in a node's Gres, e.g. ``gpu:a100:8(S:0-1),tmp:1``."""
    found: dict[str, int] = {}
    for model, count in re.findall(r"(?:^|,)gpu(?::([A-Za-z][\w.-]*))?(?::(\d+))?(?=[,(]|$)", gres):
        found[model] = found.get(model, 0) + int(count or 1)
    return found


def minutes_of(time: str) -> int:
    """Minutes of SLURM's ``days-hours:minutes:seconds``, rounded down; UNLIMITED is very many."""
    if time.upper() in ("UNLIMITED", "INFINITE", "NONE", "N/A"):
        return UNLIMITED
    days, _, clock = time.rpartition("-")
    parts = [int(part) for part in clock.split(":")]
    if days:
        parts += [0] * (3 - len(parts))
    seconds = 0
    for part in parts if len(parts) > 1 else [*parts, 0]:
        seconds = seconds * 60 + part
    return int(days or 0) * 1440 + seconds // 60


def seconds_of(value: str) -> int:
    """Seconds of a setting such as ``300 sec``."""
    found = re.match(r"\d+", value)
    return int(found[0]) if found else 0
