"""The run behind the page, and how it goes on when people are through with a cycle."""

from __future__ import annotations

import sys
import traceback
from threading import Lock, Thread
from typing import Any, Protocol

from al.annotators.assignment import Assignment
from al.io.errors import ConfigError, DataError

from .bodies import Refusal

ANNOTATE, FAILED = "annotate", "failed"


class Loop(Protocol):
    """The run behind the page."""

    def about(self) -> dict[str, Any]:
        """Return ``run, dataset, task, classes`` (name, colour), ``background``."""

    def assignment(self) -> Assignment | None:
        """Return what people are asked for now."""

    def standing(self) -> dict[str, Any]:
        """Return ``state, cycle, cycles, text, fraction, message``."""

    def complete(self) -> None:
        """Go on: nothing of the cycle waits any more."""


class Onward:
    """Has a run go on, once for each cycle, and again where that failed."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self._lock = Lock()  # while it is told to go on
        self._completed = 0  # the last cycle that was
        self._failure = ""

    def standing(self) -> dict[str, Any]:
        """Return the loop's, or what kept it from going on."""
        told = self.loop.standing()
        if self._failure and told["state"] != ANNOTATE:
            return {**told, "state": FAILED, "message": self._failure}
        return told

    def go_on(self, cycle: int) -> None:
        """Have the run go on after a cycle, in the background; does nothing if it has."""
        if cycle > self._completed:
            Thread(target=self._complete, args=(cycle,), daemon=True).start()

    def again(self) -> None:
        """Have the run go on once more after a failure. Raises Refusal (409): there was none."""
        assignment = self.loop.assignment()
        if self.standing()["state"] != FAILED:
            raise Refusal(409, "Nothing has failed.")
        self._complete(assignment.cycle if assignment else self._completed, again=True)

    def _complete(self, cycle: int, again: bool = False) -> None:
        with self._lock:
            if cycle <= self._completed and not (again and self.standing()["state"] == FAILED):
                return
            try:
                self.loop.complete()
            except Exception as error:
                traceback.print_exc(file=sys.stderr)
                told = isinstance(error, DataError | ConfigError | OSError)
                self._failure = str(error) if told else "The server's own window says more."
            else:
                self._completed, self._failure = max(cycle, self._completed), ""
