"""Annotate the regions of a run in a browser: ``python -m al.cli.annotate RUN``."""

from __future__ import annotations

import argparse
import secrets
import sys
from contextlib import suppress
from itertools import takewhile
from pathlib import Path
from socket import AF_INET, AF_INET6, create_server, gethostname
from threading import Lock, Thread
from time import strftime
from typing import Any

from al.annotators.assignment import (
    REVEALED,
    Assignment,
    assignment_at,
    cycle_folder,
    open_cycle,
    review_of,
    sums_in,
)
from al.annotators.human import people_of, store_of
from al.annotators.maps import stale, write_maps
from al.annotators.store import Store
from al.cli.next_cycle import Training, command_of, words_of
from al.config.checks import layout_of
from al.config.settings import HUMAN, read_settings
from al.io.errors import ConfigError, DataError, nearest
from al.io.tables import read_files, read_pool
from al.layouts import get_layout
from al.paths import DATA, pool_of
from al.report.style import named_colours

PORT = 8765
LOOPBACK = ("127.0.0.1", "localhost", "::1")


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
        self.training = Training(lambda: words_of(folder), self._due, self.tell)
        self._known: tuple[int | None, Assignment | None] = (None, None)
        self._lock, self._writing, self._telling = Lock(), Lock(), Lock()
        self._told: tuple[str, int, str] | None = None
        self._written: int | None = None  # events that are in the label maps; before: not known

    def about(self) -> dict[str, Any]:
        """Return what the page shows of the run whatever its state."""
        pairs = zip(self.settings["classes"], self.colours, strict=True)
        classes = [{"name": name, "colour": colour} for name, colour in pairs]
        same = {key: self.settings[key] for key in ("run", "dataset", "task", "background")}
        return {**same, "classes": classes}

    def assignment(self) -> Assignment | None:
        """Return what waits for people, or waited until a moment ago.

        ``None`` as well where it is damaged: ``standing`` says so.
        """
        with suppress(DataError, OSError):
            return self._asked()
        return None

    def _asked(self) -> Assignment | None:
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
        told = {"cycle": 0, "cycles": self.settings["cycles"], "text": "", "fraction": None}
        told["message"] = ""
        try:
            return told | self._standing()
        except (DataError, OSError) as error:
            return {**told, "state": "failed", "message": str(error)}

    def _standing(self) -> dict[str, Any]:
        asked = self._asked()
        told: dict[str, Any] = {"cycle": asked.cycle if asked else self._closed()}
        if asked and (self.review or asked.waiting(self.store)):
            return {**told, "state": "annotate", "text": "review" if self.review else ""}
        if self.training.alive:
            told |= {"text": self.training.text, "fraction": self.training.fraction}
            return {**told, "state": "training"}
        if self.training.message:
            return {**told, "state": "failed", "message": self.training.message}
        due = self._due()
        if due is not None and self.goes_on:
            return {**told, "state": "training", "text": "starting"}
        if due is not None:
            head = f"Cycle {due} is annotated" if due else "No regions are chosen yet"
            message = f"{head}. To go on: {command_of(self.folder)}"
        elif asked:
            message = "Nothing is left to choose: all of the pool is annotated"
        else:
            cycles = self.settings["cycles"]
            message = f"All {cycles} cycles are annotated. More: start the run with cycles=N"
        return {**told, "state": "finished", "text": message}

    def tell(self) -> None:
        """Print a line on where the run stands, if that is not what was printed last."""
        with self._telling:
            told = self.standing()
            state, cycle, failure = told["state"], told["cycle"], self.training.message
            if self._told == (held := (state, cycle, failure)):
                return
            self._told = held
            asked, last = self.assignment(), self.settings["cycles"]
            if failure or told["message"]:
                line = f"it failed: {failure or told['message']}"
            elif state == "annotate" and asked:
                n = asked.n if self.review else len(asked.waiting(self.store))
                which = "review" if self.review else f"cycle {cycle} of {last}"
                line = f"{which}: {n} regions {'to look at' if self.review else 'wait'}"
            elif state == "training":
                line = f"cycle {cycle} is annotated, its training starts"
                line = line if cycle else "the first regions are being chosen"
            else:
                line = told["text"]
            print(f"{strftime('%H:%M')}  {line}", flush=True)

    def complete(self) -> None:
        """Start the next cycle, and write the label maps: people are through with this one."""
        if self.goes_on and not self.review:
            self.training.start()
        self.tell()
        self.write_maps_aside()

    def write_maps_aside(self) -> None:
        """Write the label maps while others go on: those of volumes take seconds each."""
        Thread(target=self.write_maps, daemon=True).start()

    def write_maps(self) -> None:
        """Write the label maps of images that were annotated since, also before a kill."""
        try:
            with self._writing:
                self._write_maps()
        except Exception as error:  # they follow from the log, and are written again next time
            print(f"annotate: label maps are not up to date: {error}", file=sys.stderr)

    def _write_maps(self) -> None:
        events, pool = self.store.events(), pool_of(self.folder, self.settings["seeds"][0])
        if len(events) == (self._written or 0) or not pool.exists():
            return
        rows = read_pool(pool)
        if self._written is None:
            rows = stale(self.store, rows)
        else:
            images = {event.image for event in events[self._written :]}
            rows = [row for row in rows if row.image in images]
        layout, sums = get_layout(**layout_of(self.settings)), sums_in(self.folder, self.settings)
        write_maps(self.store, layout, rows, sums)
        self._written = len(events)

    def _closed(self) -> int:
        """Return the last cycle that is annotated and closed; 0 before the first is."""
        cycles = range(1, self.settings["cycles"] + 1)
        places = (cycle_folder(self.folder, self.settings, cycle) for cycle in cycles)
        return sum(1 for _ in takewhile(lambda place: (place / REVEALED).exists(), places))

    def _due(self) -> int | None:
        """Return the cycle that has to be trained, if there is one; 0: none is chosen yet."""
        if asked := self._asked():
            return asked.cycle if asked.n and not asked.waiting(self.store) else None
        last = self._closed()
        if last < self.settings["cycles"]:
            return last
        place = cycle_folder(self.folder, self.settings, last)
        if not (place / "training.json").exists():
            return last
        people = people_of(self.folder, self.settings, False)
        scored = (place / "metrics.json").exists() or people is None or not people.tested
        return None if scored else last


def loop_of(run: str, results: Path, goes_on: bool, review: bool) -> RunLoop:
    """Return what the page asks of a run.

    Raises:
        ConfigError, DataError: there is no such run, or nobody annotates in it.
    """
    known = sorted(path.parent.name for path in results.glob("*/config.yaml"))
    if run not in known:
        raise DataError(f"{results}: no run {run!r} (RUN=NAME); {nearest(run, known)}")
    folder = results / run
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
    loop.write_maps_aside()
    loop.tell()
    try:
        print("Open this address in a browser; Ctrl-C ends the page, the same command goes on:")
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
    parser.add_argument("run", nargs="?", default="")
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
