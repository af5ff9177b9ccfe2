"""Annotate the regions of a run in a browser: ``python -m al.cli.annotate RUN``."""

from __future__ import annotations

import argparse
import re
import secrets
import shlex
import subprocess
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from socket import AF_INET, AF_INET6, create_server, gethostname
from threading import Event, Lock, Thread
from typing import Any

from al.annotators.assignment import Assignment, assignment_at, open_cycle, review_of
from al.annotators.human import people_of, store_of
from al.annotators.maps import write_maps
from al.annotators.store import Store
from al.cluster.words import checked_run
from al.config.checks import layout_of
from al.config.settings import HUMAN, read_settings
from al.io.errors import ConfigError, DataError, nearest
from al.io.files import read_json
from al.io.tables import read_files, read_pool
from al.layouts import get_layout
from al.paths import DATA, START, mirrored, pool_of
from al.report.style import named_colours

PORT = 8765
BUSY = 3  # what the launcher ends with where another Snakemake works in the folder
LOOPBACK = ("127.0.0.1", "localhost", "::1")
RETRY = 5.0  # seconds until the next try where another one works
KEPT, LINES = 400, 12  # of what Snakemake said: kept, and shown where it failed
_STEPS = re.compile(r"(\d+) of (\d+) steps")
_RULE = re.compile(r"(?:local)?rule (\w+):")
# What people wait for, by the rule that is at work
WORK = {
    "reveal_labels": "taking the annotations",
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
        words: of the launcher, as the run was last started.
        more: whether to go on at once after an end without an error.
    """

    def __init__(self, words: list[str], more: Callable[[], bool]) -> None:
        self.words, self._more = words, more
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
        self._stopped.set()
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._wanted or self._stopped.is_set():
                    self._alive = False
                    return
                self._wanted = False
            code, said = self._run()
            if code == BUSY:  # a report of the cycle before may still be written
                self.text = said[-1] if said else "another Snakemake works here"
                self._stopped.wait(RETRY)
                self._wanted = True
            elif code:
                told = [line for line in said if "rror" in line]
                with self._lock:
                    self._alive, self.message = False, "\n".join((told or said)[-LINES:])
                return
            elif self._more():
                self._wanted = True

    def _run(self) -> tuple[int, list[str]]:
        self.text, self.fraction = "starting", 0.0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "al.cli.launch", "--", *self.words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        said: deque[str] = deque(maxlen=KEPT)
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said.append(line.rstrip())
            if found := _STEPS.search(line):
                self.fraction = int(found[1]) / int(found[2])
            if found := _RULE.match(line):
                self.text = WORK.get(found[1], self.text)
        return self._process.wait(), list(said)


class RunLoop:
    """What the page asks of a run; see ``page.server.Loop``.

    Args:
        folder: ``results/{run}``.
        store: annotations of its dataset.
        colours: RGB of its classes, 0 to 255.
        goes_on: whether the next cycle is started when people are through with one.
        review: whether regions of earlier cycles are shown, to be corrected.
    """

    def __init__(
        self,
        folder: Path,
        store: Store,
        colours: list[list[int]],
        goes_on: bool = True,
        review: bool = False,
    ) -> None:
        self.folder, self.store, self.goes_on, self.review = folder, store, goes_on, review
        self.settings = read_settings(folder / "config.yaml")
        self.colours = colours
        self.training = Training(words_of(folder), self._annotated)
        self._known: tuple[int | None, Assignment | None] = (None, None)
        self._lock = Lock()
        self._written = len(store.events())

    def about(self) -> dict[str, Any]:
        """Return what the page shows of the run whatever its state."""
        pairs = zip(self.settings["classes"], self.colours, strict=True)
        classes = [{"name": name, "colour": colour} for name, colour in pairs]
        same = {key: self.settings[key] for key in ("run", "dataset", "task", "background")}
        return {**same, "classes": classes}

    def assignment(self) -> Assignment | None:
        """Return what waits for people, or waited until a moment ago."""
        with self._lock:
            if self.review:
                if self._known[1] is None:
                    self._known = (None, review_of(self.folder, self.settings))
                return self._known[1]
            cycle = open_cycle(self.folder, self.settings)
            if cycle != self._known[0]:
                held = None if cycle is None else assignment_at(self.folder, self.settings, cycle)
                self._known = (cycle, held)
            return self._known[1]

    def standing(self) -> dict[str, Any]:
        """Return how far the run is: state, cycle, cycles, text, fraction and message."""
        asked, cycles = self.assignment(), self.settings["cycles"]
        cycle = asked.cycle if asked else 0
        told = {"cycle": cycle, "cycles": cycles, "text": "", "fraction": None, "message": ""}
        if asked and (self.review or asked.waiting(self.store)):
            return {**told, "state": "annotate", "text": "review" if self.review else ""}
        if self.training.alive:
            told |= {"text": self.training.text, "fraction": self.training.fraction}
            return {**told, "state": "training"}
        if self.training.message:
            return {**told, "state": "failed", "message": self.training.message}
        people = people_of(self.folder, self.settings, True)
        assert people is not None
        if asked and not asked.n:
            message = "Nothing is left to choose: all of the pool is annotated"
        elif people.asked is None:
            message = f"All {cycles} cycles are annotated. More: start the run with cycles=N"
        elif self.goes_on:
            return {**told, "state": "training", "text": "starting"}
        else:
            message = f"Cycle {people.trained} is annotated. To go on: make run, with the same ARGS"
        return {**told, "cycle": people.trained, "state": "finished", "text": message}

    def complete(self) -> None:
        """Write the label maps, and start the next cycle: people are through with this one."""
        self.write_maps()
        if self.goes_on and not self.review:
            self.training.start()

    def write_maps(self) -> None:
        """Write the label maps of images that were annotated since the last time."""
        events = self.store.events()
        images = {event.image for event in events[self._written :]}
        if images:
            pool = read_pool(pool_of(self.folder, self.settings["seeds"][0]))
            layout = get_layout(**layout_of(self.settings))
            write_maps(self.store, layout, [row for row in pool if row.image in images])
            self._written = len(events)

    def _annotated(self) -> bool:
        """Whether the open cycle asks for nothing that is not known already."""
        asked = self.assignment()
        return asked is not None and asked.n > 0 and not asked.waiting(self.store)


def words_of(folder: Path) -> list[str]:
    """Return the words by which a run was last started, for the launcher."""
    held = read_json(Path(mirrored(folder, "logs")) / START, command=str)
    words = shlex.split(held["command"])[1:]
    return [word for word in words if word != "--rerun-incomplete"]


def loop_of(run: str, results: Path, goes_on: bool, review: bool) -> RunLoop:
    """Return what the page asks of a run.

    Raises:
        ConfigError, DataError: there is no such run, or nobody annotates in it.
    """
    folder = results / checked_run(run)
    if not (folder / "config.yaml").is_file():
        known = sorted(path.parent.name for path in results.glob("*/config.yaml"))
        raise DataError(f"{results}: no run {run!r}; {nearest(run, known)}")
    settings = read_settings(folder / "config.yaml")
    if settings.get("annotator") != HUMAN:
        raise ConfigError(
            f"{run}: its annotator is simulated; allowed: a run started with annotator=human"
        )
    store = store_of(settings["dataset"], settings["task"], settings["classes"])
    colours = named_colours(
        settings["classes"], settings["class_colours"] or (), settings["background"]
    )
    rgb = [list(bytes.fromhex(colour[1:])) for colour in colours.values()]
    return RunLoop(folder, store, rgb, goes_on, review)


def annotate(loop: RunLoop, host: str, port: int) -> None:
    """Serve the page until it is stopped; starts the next cycle where nobody waits for one."""
    from al.annotators.page.server import app, serve

    settings, data = loop.settings, loop.folder / DATA
    files = {row.path: row for row in read_files(data)} if data.exists() else {}
    names = {*LOOPBACK, host} if host in LOOPBACK else {*LOOPBACK, host, gethostname()}
    server = app(
        loop,
        loop.store,
        get_layout(**layout_of(settings)),
        secrets.token_urlsafe(24),
        names,
        files,
        settings["data_root"],
    )
    if loop.goes_on and loop.standing()["state"] == "training":
        loop.training.start()
    try:
        serve(server, host, port)
    finally:
        loop.training.stop()
        loop.write_maps()


def free_port(host: str) -> int:
    """Return the usual port, by which a browser knows what it kept for a server, or 0."""
    try:
        with create_server((host, PORT), family=AF_INET6 if ":" in host else AF_INET):
            return PORT
    except OSError:
        return 0


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Annotate the regions of a run in a browser.")
    parser.add_argument("run")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, help="default: 8765, or a free one")
    parser.add_argument("--stay", action="store_true", help="do not start the next cycle")
    parser.add_argument("--review", action="store_true", help="regions of earlier cycles")
    parser.add_argument("--results", type=Path, default=Path("results"))
    options = parser.parse_args()
    try:
        loop = loop_of(options.run, options.results, not options.stay, options.review)
        port = free_port(options.host) if options.port is None else options.port
        annotate(loop, options.host, port)
    except (ConfigError, DataError, OSError) as error:
        print(f"annotate: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
