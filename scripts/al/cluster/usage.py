"""A job's journal: what every attempt at it used, those that were killed included.

``benchmark:`` of Snakemake keeps the last attempt only. A job therefore writes lines of JSON of its
own: with the log ``logs/{run}/.../train.log`` go ``benchmarks/{run}/.../train.jsonl``. Their kinds:

``start``  ``rule`` and ``part`` (shard, budget) as the log is named, ``host``, ``pid``, ``job`` and
           ``restarts`` of SLURM (null elsewhere), ``time``, ``gpus`` and ``cpus`` allotted
``beat``   now and then: ``wall`` and ``cpu`` seconds since the process began (children included),
           ``peak_mb`` and ``child_mb`` (resident memory of the job and of its largest child),
           ``gpu_mb`` (reserved by PyTorch on one device; null without CUDA), ``gpus``
``end``    the same and ``outcome``: ``done`` or ``failed``

Each line carries the ``attempt`` it belongs to. A process killed by a signal leaves no ``end``: its
last ``beat`` counts, so that a minute at most is missing.

``gpus`` inside a SLURM job is what the job holds, whether the rule computes on it or not: a rule
that needs no GPU but travels in a submission that has one keeps it from others, and so it counts.
Two rules at the same time in one submission count its GPUs twice. Elsewhere it is 1 once the
process itself has used CUDA, and 0 before.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import opcode
import os
import resource
import sys
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

FIRST_BEAT, LONGEST_BEAT = 5.0, 60.0  # seconds
MB = 2**20
DEVICES = ("CUDA_VISIBLE_DEVICES", "SLURM_STEP_GPUS", "SLURM_JOB_GPUS", "GPU_DEVICE_ORDINAL")


def journal_of(log: str | Path) -> Path | None:
    """The journal of a job by its log, a relative path in ``logs``; None for any other path."""
    log = Path(log)
    if log.is_absolute() or log.parts[:1] != ("logs",):
        return None
    return Path("benchmarks", *log.parts[1:]).with_suffix(".jsonl")


def rule_of(log: str | Path) -> tuple[str, str | None]:
    """Rule and part that a log is named by: ``predict-2.log`` is shard 2 of ``predict``."""
    log = Path(log)
    name, _, part = log.stem.partition("-")
    return (log.parent.name, log.stem) if name == "seed" else (name, part or None)


def start_journal(log: str | Path) -> None:
    """Journal this process until it ends; without a journal for ``log``, do nothing.

    Never raises and never delays the job: what cannot be written is left out.
    """
    path = journal_of(log)
    if path is not None:
        with contextlib.suppress(Exception):
            _Journal(path.absolute(), *rule_of(log)).start()


class _Journal:
    """The lines of one attempt."""

    def __init__(self, path: Path, rule: str, part: str | None) -> None:
        self.path, self.rule, self.part = path, rule, part
        self.pid = os.getpid()
        self.attempt = os.urandom(16).hex()
        self.began = time.monotonic() - _age()
        self.script = _script()
        self.failed = self.torn = False
        self.allotted = _gpus()
        self.cpu = self.child_mb = self.gpu_mb = 0.0
        self.lock, self.ended = threading.Lock(), threading.Event()

    def start(self) -> None:
        """Write the first line and see to the others."""
        # An attempt before this one may have been cut off within a line.
        self.torn = self.path.exists()
        self._write(
            "start",
            rule=self.rule,
            part=self.part,
            host=os.uname().nodename,
            pid=self.pid,
            job=os.environ.get("SLURM_JOB_ID"),
            restarts=_integer(os.environ.get("SLURM_RESTART_COUNT")),
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            gpus=self.allotted or 0,
            cpus=_cpus(),
        )
        self.before, sys.excepthook = sys.excepthook, self._excepthook
        atexit.register(self._end)
        threading.Thread(target=self._beat, name="journal", daemon=True).start()

    def _beat(self) -> None:
        delay = FIRST_BEAT
        while not self.ended.wait(delay):
            with contextlib.suppress(Exception):
                self._write("beat", **self._figures(look=True))
            delay = min(2 * delay, LONGEST_BEAT)

    def _excepthook(
        self, kind: type[BaseException], value: BaseException, trace: TracebackType | None
    ) -> None:
        self.failed = True
        self.before(kind, value, trace)

    def _end(self) -> None:
        if os.getpid() != self.pid:
            return  # a forked child that inherited the handler
        self.ended.set()
        with contextlib.suppress(Exception):
            failed = self.failed or not _returned(self.script)
            self._write("end", **self._figures(), outcome="failed" if failed else "done")

    def _figures(self, look: bool = False) -> dict[str, Any]:
        """Figures up to now, none ever less than before; ``look`` for living children, too."""
        used = os.times()
        cpu, child_mb = _living(self.pid) if look else (0.0, 0.0)
        # A child that is never waited for drops out of the times.
        self.cpu = max(self.cpu, sum(used[:4]) + cpu)
        reaped = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / MB
        self.child_mb = max(self.child_mb, reaped, child_mb)
        gpu_mb = _gpu_mb()
        self.gpu_mb = max(self.gpu_mb, gpu_mb or 0.0)
        return {
            "wall": round(time.monotonic() - self.began, 2),
            "cpu": round(self.cpu, 2),
            "peak_mb": round(_peak_mb("self"), 1),
            "child_mb": round(self.child_mb, 1),
            "gpu_mb": None if gpu_mb is None else round(self.gpu_mb, 1),
            "gpus": int(gpu_mb is not None) if self.allotted is None else self.allotted,
        }

    def _write(self, event: str, **held: Any) -> None:
        """Append a line in one piece; a full disk, or none, is borne in silence."""
        line = json.dumps({"attempt": self.attempt, "event": event, **held}).encode() + b"\n"
        with self.lock:
            if self.torn:
                line = b"\n" + line
            with contextlib.suppress(OSError):
                handle = _append(self.path)
                try:
                    self.torn = os.write(handle, line) != len(line)
                finally:
                    os.close(handle)


def _append(path: Path) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o666)
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, flags, 0o666)


def _script() -> FrameType | None:
    """The frame of the script that runs."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_globals.get("__name__") != "__main__":
        frame = frame.f_back
    return frame


def _returned(script: FrameType | None) -> bool:
    """Whether a script came to its end; one that left by a SystemExit, whatever its code, did not.

    Nothing tells an exit handler of a SystemExit. The frame does: it stands where it was left, at
    its ``return`` or before it.
    """
    if script is None:
        return True
    return opcode.opname[script.f_code.co_code[script.f_lasti]].startswith("RETURN")


def _age() -> float:
    """Seconds since this process began, its imports included; 0 where that cannot be told."""
    try:
        ticks = int(_stat("self")[19])
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return 0.0
    return age if 0 <= age < 3600 else 0.0


def _stat(pid: str) -> list[str]:
    """Fields of ``/proc/PID/stat`` from the state on; the name before it may hold anything."""
    return Path("/proc", pid, "stat").read_text(errors="replace").rpartition(")")[2].split()


def _peak_mb(pid: str) -> float:
    """Peak resident memory; ``ru_maxrss`` would begin with that of the process that forked."""
    try:
        for line in Path("/proc", pid, "status").read_text(errors="replace").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / MB
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MB if pid == "self" else 0.0


def _living(pid: int) -> tuple[float, float]:
    """CPU seconds, together, and largest peak memory (MB) of the living descendants."""
    found: dict[int, tuple[int, float]] = {}
    tick = os.sysconf("SC_CLK_TCK")
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):
            if name.isdecimal():
                with contextlib.suppress(OSError, ValueError, IndexError):
                    held = _stat(name)
                    found[int(name)] = (int(held[1]), sum(map(int, held[11:15])) / tick)
    mine, fresh = set(), {pid}
    while fresh:
        fresh = {p for p, (parent, _) in found.items() if parent in fresh} - mine
        mine |= fresh
    peak = max((_peak_mb(str(p)) for p in mine), default=0.0)
    return sum(found[p][1] for p in mine), peak


def _gpu_mb() -> float | None:
    """Largest memory reserved on one device; None unless this process has used CUDA."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    try:
        if cuda is None or not cuda.is_initialized():
            return None
        return max(cuda.max_memory_reserved(k) for k in range(cuda.device_count())) / MB
    except Exception:  # torch half imported, a lost device: no reason to lose the line
        return None


def _gpus() -> int | None:
    """Number of GPUs that a SLURM job holds; None outside one."""
    if "SLURM_JOB_ID" not in os.environ:
        return None
    named = next((os.environ[name] for name in DEVICES if name in os.environ), "")
    return sum(_count(word) for word in named.split(","))


def _count(word: str) -> int:
    """How many devices one word of a list names: ``3``, ``0-3``, ``GPU-8f2c...``; -1 is none."""
    word = word.strip()
    low, dash, high = word.partition("-")
    if low.isdecimal() and dash and high.isdecimal():
        return int(high) - int(low) + 1
    return int(word not in ("", "-1", "NoDevFiles"))


def _cpus() -> int:
    """CPUs that SLURM allotted, or those that this process may run on."""
    for name in ("SLURM_CPUS_PER_TASK", "SLURM_CPUS_ON_NODE"):
        if (count := _integer(os.environ.get(name))) is not None:
            return count
    return len(os.sched_getaffinity(0))


def _integer(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None
