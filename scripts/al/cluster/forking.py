"""Jobs of this machine, forked from one process that has imported what they need.

A cycle is half a dozen short jobs, and importing torch takes longer than many of them work. So
Snakemake's own jobs are children of a template, started with the first of them, in place of a new
Python each. What a job is given, writes and ends with is the same. Jobs on SLURM, in containers and
in environments of conda, and all jobs where the system is not Linux, start a Python as ever.
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from importlib import import_module
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from al.learners import get_learner
from al.paths import ROOT

# What a cycle consists of; other jobs import more once they have begun.
SCRIPTS = ("train", "predict", "evaluate", "score_images", "select_regions", "reveal_labels")
# The template itself computes nothing: a library with threads of its own could not be forked.
ALONE = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
BLOSC = {"BLOSC_NTHREADS": "1"}
# NVIDIA's driver has an entry there for each GPU. Whoever asks CUDA for them cannot be forked any
# more, which these two learners do not do while they are imported.
GPUS = Path("/proc/driver/nvidia/gpus")
EMBEDDED = ("convnet", "pixels")
HELD = {signal.SIGINT, signal.SIGTERM}  # of the jobs; the template ends with its Snakemake
LONGEST = 2**16  # bytes of a request
ON_LINUX = sys.platform == "linux"


class Template:
    """The process that jobs are forked from, of one Snakemake."""

    def __init__(self, learner: str) -> None:
        self._learner = learner
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel = socket.socket(socket.AF_UNIX)
        atexit.register(self.close)

    def run(
        self, script: str, environment: dict[str, str], threads: int, record: Any
    ) -> int | None:
        """Run a script as a job of its own and wait for its end.

        Args:
            script: Python file; the job runs as ``__main__`` with this process's environment.
            environment: variables that the job has other values of.
            threads: that its libraries may start.
            record: Snakemake's benchmark of the job, if it has one.

        Returns:
            The exit code, negative where a signal has ended it or its template; ``None`` where
            there is no template to be had, and nothing was begun.
        """
        from snakemake.benchmark import benchmarked

        asked = {"script": script, "environment": environment, "threads": threads}
        request = json.dumps(asked).encode()
        for _ in range(
            2 if len(request) < LONGEST else 0
        ):  # one that was just killed began nothing
            ours, theirs = socket.socketpair()
            with ours, ours.makefile("r", encoding="ascii") as answers:
                with theirs, self._lock:
                    self._send([request], [theirs.fileno()])
                if not (started := answers.readline()):
                    continue
                with benchmarked(int(started), record) if record else nullcontext():
                    if ended := answers.readline():
                        return int(ended)
                with suppress(ProcessLookupError):  # without its template nobody knows its end
                    os.kill(int(started), signal.SIGKILL)
                return -signal.SIGKILL
        return None

    def close(self) -> None:
        """End the template; its jobs, if any are left, go on."""
        with self._lock:
            self._channel.close()
            if self._process is not None:
                self._process.kill()
                self._process.wait()
                self._process = None

    def _send(self, request: list[bytes], end: list[int]) -> None:
        """Hand over a request with the end of a socket that the answers come by."""
        if self._process is None or self._process.poll() is not None:
            self._start()
        try:
            socket.send_fds(self._channel, request, end)
        except ConnectionError:
            self._start()
            socket.send_fds(self._channel, request, end)

    def _start(self) -> None:
        self._channel.close()
        self._channel, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        code = (
            f"import sys; sys.path[:0] = {[str(ROOT / 'scripts'), str(ROOT)]}; "
            f"from {__name__} import main; main({theirs.fileno()}, {self._learner!r})"
        )
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", code],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, **ALONE, **BLOSC},
            )


def fork_jobs(learner: str, ended: Callable[[str, Sequence[str]], None]) -> None:
    """Have the scripts of this Snakemake's own jobs forked, with what a learner imports.

    Args:
        learner: its name.
        ended: called with the rule and the outputs of a job that has ended well.
    """
    from snakemake.script import PythonScript

    template, plainly = Template(learner), PythonScript.execute_script

    def execute_script(self: Any, fname: str, edit: bool = False) -> None:
        elsewhere = self.container_img or self.conda_env or self.env_modules or self.shadow_dir
        if not ON_LINUX or elsewhere or not fork(self, fname):
            plainly(self, fname, edit=edit)
        ended(self.rulename, list(self.output))

    def fork(self: Any, fname: str) -> bool:
        environment = dict.fromkeys(ALONE, str(self.threads))
        if folder := self.resources.get("tmpdir"):
            environment |= dict.fromkeys(("TMPDIR", "TMP", "TEMP", "TEMPDIR"), str(folder))
        code = template.run(fname, environment, self.threads, self.bench_record)
        if code:
            raise subprocess.CalledProcessError(code, [sys.executable, fname])
        return code is not None

    PythonScript.execute_script = execute_script


def main(channel: int, learner: str) -> None:
    """Be the template: fork a child for each request, until nobody is left to ask."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD)
    _import_all(learner)
    requests = socket.socket(fileno=channel)
    running: dict[int, tuple[ForkProcess, socket.socket]] = {}
    with selectors.DefaultSelector() as events:
        events.register(requests, selectors.EVENT_READ)
        while True:
            for key, _ in events.select():
                if key.fileobj is not requests:
                    events.unregister(key.fd)
                    job, client = running.pop(key.fd)
                    job.join()
                    _tell(client, job.exitcode)
                    client.close()
                    if key.fd != job.sentinel:
                        os.close(key.fd)
                    job.close()
                    continue
                request, ends, *_ = socket.recv_fds(requests, LONGEST, 1)
                if not request:
                    os._exit(0)  # what still runs goes on
                client = socket.socket(fileno=ends[0])
                others = [requests, client, *(other for _, other in running.values())]
                job = ForkProcess(target=_work, args=(json.loads(request), others))
                try:
                    job.start()
                except OSError:  # no memory, no process: told by what is not answered
                    client.close()
                    continue
                watch = _watched(job)
                running[watch] = job, client
                events.register(watch, selectors.EVENT_READ)
                _tell(client, job.pid)


def _watched(job: ForkProcess) -> int:
    """Return what is readable once a job has ended."""
    try:
        return os.pidfd_open(job.pid)
    except OSError:  # before Linux 5.3; it stays open while a child of the job lives
        return job.sentinel


def _work(asked: dict[str, Any], others: list[socket.socket]) -> None:
    """Run the script of a job, as ``python script`` would."""
    for end in others:
        end.close()
    os.environ.update(asked["environment"])
    threadpool_limits(asked["threads"])
    tempfile.tempdir = None  # asks the environment again
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(asked["threads"])  # and MKL's
        sys.modules["torch"].seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()  # as in a Python of its own, whoever draws from it
    script = Path(asked["script"])
    Path("/proc/self/comm").write_text(script.stem.rpartition(".")[2])  # as `ps` and `top` show it
    sys.argv = [str(script)]
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD)
    try:
        runpy.run_path(str(script), run_name="__main__")
    except Exception as error:
        frames = error.__traceback__
        while frames and frames.tb_frame.f_code.co_filename in (__file__, "<frozen runpy>"):
            frames = frames.tb_next
        sys.excepthook(type(error), error.with_traceback(frames), frames)
        sys.exit(1)
    finally:
        threading._shutdown()
        atexit._run_exitfuncs()  # multiprocessing leaves out what waits for the end of a Python


def _tell(client: socket.socket, number: int | None) -> None:
    with suppress(ConnectionError):  # of a Snakemake that was killed
        client.sendall(f"{number}\n".encode())


def _import_all(learner: str) -> None:
    """Import what the jobs of a cycle do; what cannot be is told by the job that needs it."""
    import snakemake.iocontainers
    import snakemake.logging  # noqa: F401

    for name in SCRIPTS:
        with suppress(Exception):
            runpy.run_path(str(ROOT / "scripts" / f"{name}.py"))
    with suppress(Exception):
        if learner in EMBEDDED or not GPUS.is_dir():
            get_learner(learner)
        import_module("torch._dynamo")  # which the first optimiser imports
        # Compiled code is loaded in a second, and compiled, the first time ever, in many.
        np, core = import_module("numpy"), import_module("decomp_core")
        labels, weights = np.zeros((8, 8), np.uint8), np.ones(1)
        core.decomp_regions(labels, weights, 1, (2, 2), np.random.default_rng(0))
