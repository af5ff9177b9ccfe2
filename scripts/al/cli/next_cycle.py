"""The start of the next cycle of a human run, in a process of its own beside the page."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from threading import Event, Lock, Thread

from al.cli.launch import BUSY
from al.cluster.words import lasting_words, make_command
from al.io.errors import DataError
from al.io.files import read_json
from al.paths import START, mirrored

RETRY = 5.0  # seconds until the next try where another one works
KEPT, LINES = 400, 12  # of what Snakemake said: kept, and shown where it failed
_STEPS = re.compile(r"(\d+) of (\d+) steps")
_RULE = re.compile(r"(?:local)?rule (\w+):")
# What people wait for, by the rule that is at work
WORK = {
    "reveal_labels": "taking the annotations",
    "prepare_learner": "computing features of all images, once",
    "train": "training",
    "predict": "predicting",
    "predict_initial": "predicting",
    "score_images": "scoring images",
    "evaluate": "evaluating",
    "select_regions": "choosing regions",
    "propose_regions": "choosing regions",
    "propose_patches": "choosing regions",
    "embed_regions": "choosing regions",
}


class Training:
    """The start of the next cycle by the launcher, in a process of its own.

    Args:
        words: gives those of the launcher, as the run was last started.
        due: gives the cycle that has to be trained now, if there is one.
        tell: called whenever the run may stand elsewhere than before.
    """

    def __init__(
        self,
        words: Callable[[], list[str]],
        due: Callable[[], int | None],
        tell: Callable[[], None] = lambda: None,
    ) -> None:
        self._words, self._due, self._tell = words, due, tell
        self.text, self.fraction, self.message = "", 0.0, ""
        self._wanted = self._alive = False
        self._stopped = Event()
        self._process: subprocess.Popen[str] | None = None
        self._lock = Lock()

    @property
    def alive(self) -> bool:
        """Whether it is at work."""
        return self._alive

    def start(self) -> None:
        """Start; where it is at work, again afterwards."""
        with self._lock:
            self._wanted = True
            if self._alive:
                return
            self._alive, self.message = True, ""
            Thread(target=self._work, daemon=True).start()

    def stop(self) -> None:
        """End it as Ctrl-C does, and wait until what runs is saved."""
        with self._lock:  # what was not started by now never is
            self._stopped.set()
            process = self._process
        if process is not None and process.poll() is None:
            process.terminate()
            process.wait()

    def _work(self) -> None:
        try:
            while self._begins():
                self._once()
        except (Exception, SystemExit) as error:  # told on the page, where it can be tried again
            with self._lock:
                self._alive, self.message = False, str(error) or repr(error)
        if not self._stopped.is_set():
            self._tell()

    def _begins(self) -> bool:
        with self._lock:
            self._alive = self._wanted and not self._stopped.is_set()
            self._wanted = False
            return self._alive

    def _once(self) -> None:
        before = self._due()
        self._tell()
        code, said = self._run()
        if self._stopped.is_set():
            return
        if code == BUSY:  # a report of the cycle before may still be written
            self.text = said[-1] if said else "another Snakemake works here"
            self._stopped.wait(RETRY)
            self._wanted = True
        elif code:
            told = [line for line in said if "rror" in line] or said or [f"ended with code {code}"]
            raise RuntimeError("\n".join(told[-LINES:]))
        elif (left := self._due()) is not None:
            if left == before:
                raise RuntimeError(
                    f"Snakemake ended without an error, and cycle {left} is still not trained. "
                    "To see why, start it by make run"
                )
            self._wanted = True

    def _run(self) -> tuple[int, list[str]]:
        self.text, self.fraction = "starting", 0.0
        command = [sys.executable, "-m", "al.cli.launch", "--", *self._words()]
        with self._lock:
            if self._stopped.is_set():
                return 1, []
            process = self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        said: deque[str] = deque(maxlen=KEPT)
        assert process.stdout is not None
        for line in process.stdout:
            said.append(line.rstrip())
            if found := _STEPS.search(line):
                self.fraction = int(found[1]) / int(found[2])
                self._tell()  # regions are there before the last job is done
            if found := _RULE.match(line):
                self.text = WORK.get(found[1], self.text)
        return process.wait(), list(said)


def words_of(folder: Path) -> list[str]:
    """Return the words by which a run was last started, for the launcher, but what is meant once.

    Raises:
        DataError: they are not known.
    """
    return list(_lasting(_started(folder)))


def command_of(folder: Path) -> str:
    """Return what to type to start a run as it was last started."""
    try:
        return make_command(_lasting(_started(folder)))
    except DataError:
        return "make run, with the same ARGS"


def _started(folder: Path) -> str:
    """Return the command of Snakemake by which a run was last started."""
    return read_json(Path(mirrored(folder, "logs")) / START, command=str)["command"]


@lru_cache(maxsize=1)  # Snakemake's own parser takes long to import, and to read with
def _lasting(command: str) -> tuple[str, ...]:
    return tuple(lasting_words(shlex.split(command)[1:]))
