"""A file whose time says that a process lives, for readers on other machines."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path


class Heartbeat:
    """Touches a file from a thread while the block runs.

    Args:
        path: the file; it is not created. A touch that fails is left out, as network file systems
            fail for moments.
        interval: seconds between two touches.
        check: called before each touch.
    """

    def __init__(
        self, path: Path, interval: float, check: Callable[[], None] = lambda: None
    ) -> None:
        self._path = path
        self._interval = interval
        self._check = check
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Heartbeat:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        wait = min(1.0, self._interval)  # the first comes early: two that began at once meet there
        while not self._over.wait(wait):
            wait = self._interval
            with contextlib.suppress(OSError):
                self._check()
                os.utime(self._path)
