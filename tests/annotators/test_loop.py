"""The whole loop with a real browser: people draw, the next cycle is trained, regions appear.

The benchmark `stopwatch` runs it on each task.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from socket import create_server
from typing import NamedTuple

import numpy as np
import pytest

from al.annotators.targets import VOID, Target
from al.io.labels import UNKNOWN
from al.layouts import get_layout

from ..report.browser import unavailable
from ..workflow.test_people import Clinic
from .page_object import Annotator, annotator

pytestmark = [pytest.mark.browser, pytest.mark.slow]
LONG = 240.0  # seconds that a cycle takes at most, on a busy machine
ENDED = "return /All . cycles are annotated/.test(document.getElementById('notice').textContent)"
IDLE = "return window.annotator !== undefined && window.annotator.state().ready"


@contextmanager
def served(clinic: Clinic, port: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """``make annotate``: yields the process and the address that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "al.cli.annotate", "tiny", "--port", str(port)],
        cwd=clinic.run.folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        assert process.stdout is not None
        said: list[str] = []
        for line in process.stdout:
            said.append(line)
            if found := re.search(r"http://\S+", line):
                yield process, found[0]
                break
        else:
            raise AssertionError("it ended without an address:\n" + "".join(said))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


class Seen(NamedTuple):
    """When somebody was free for a region, saw it and was done with it, in seconds."""

    cycle: int
    free: float
    shown: float
    done: float


class Person:
    """Somebody who knows the truth and draws it."""

    def __init__(self, clinic: Clinic, ada: Annotator) -> None:
        self.clinic, self.ada = clinic, ada
        self.seen: list[Seen] = []
        held = clinic.settings
        self.layout = get_layout(held["layout"], held["layout_options"], held["classes"])

    def truth(self, target: Target) -> np.ndarray:
        """The labels of a region, in its plane; of a RoI its class."""
        label = self.layout.open_label(target.row)
        if target.row.roi:
            return np.array(label)
        found = label[target.region.region.slices]
        return found if target.row.axis is None else found.take(0, target.row.axis)

    def target(self) -> Target:
        """The region on screen."""
        return self.clinic.asked().targets[self.ada.state["id"]]

    def draw(self, target: Target, most: int | None = None) -> None:
        """Draw runs of one class, row by row; the most frequent class fills what is left."""
        truth, region = self.truth(target), target.region.region
        top, left = (s for a, s in enumerate(region.start) if a != target.row.axis)
        values, counts = np.unique(truth, return_counts=True)
        self.ada.press(*"[[[[[")
        *rare, frequent = values[np.argsort(counts)]
        for value in rare:
            self.ada.press(key_of(int(value)))
            for y, first, last in list(runs(truth == value))[:most]:
                self.ada.stroke([(top + y, left + first), (top + y, left + last)])
        if most is None:
            self.ada.press(key_of(int(frequent)), "r")

    def finish(self, target: Target) -> None:
        """Say that it is done, also where some of it is void."""
        number = self.ada.state["id"]
        self.ada.press("enter")
        if self.ada.page.run("return document.querySelector('dialog[open]') !== null"):
            self.ada.press("enter")
        self.ada.page.until(
            f"return window.annotator.state().id !== {number}"
            " || !document.getElementById('notice').hidden"
        )

    def annotate(self, target: Target) -> None:
        """Draw the region on screen and go on; of a RoI press the key of its class."""
        if not target.row.roi:
            self.draw(target)
            self.finish(target)
            return
        self.ada.press(key_of(int(self.truth(target))))
        self.ada.page.until(
            f"return window.annotator.state().id !== {target.region.order}"
            " || !document.getElementById('notice').hidden"
        )

    def work(self) -> None:
        """Annotate until all cycles are."""
        free = time.monotonic()
        while not self.ada.page.run(ENDED):
            assert time.monotonic() < free + LONG, self.ada.page.find("body").text
            if not self.ada.page.run(IDLE):
                # To ask all the time would slow down the training
                time.sleep(0.02 if time.monotonic() < free + 2 else 0.2)
                continue
            shown = time.monotonic()
            target = self.target()
            cycle = self.clinic.asked().cycle
            self.annotate(target)
            self.seen.append(Seen(cycle, free, shown, free := time.monotonic()))
        self.ada.page.driver.get("about:blank")  # or it asks on while the server ends


@contextmanager
def annotators(folder: Path, names: Sequence[str]) -> Iterator[list[Annotator]]:
    """A browser for each name."""
    with ExitStack() as stack:
        yield [stack.enter_context(annotator(folder / name)) for name in names]


def work_together(people: Sequence[Person]) -> None:
    """Have everybody annotate at the same time, until all cycles are."""
    with ThreadPoolExecutor(len(people)) as pool:
        list(pool.map(Person.work, people))


def runs(mask: np.ndarray) -> Iterator[tuple[int, int, int]]:
    """Yield row, first and last column of each run of True."""
    for y, line in enumerate(mask):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], line.astype(np.int8), [0]])))
        for first, end in edges.reshape(-1, 2):
            yield y, int(first), int(end) - 1


def key_of(index: int) -> str:
    """The key of a class; of void that of "cannot tell"."""
    return "v" if index == UNKNOWN else "shift+" * (index > 9) + str((index + 1) % 10)


def check(clinic: Clinic, names: Sequence[str]) -> None:
    """What is stored is what was drawn, each region once, by all; each cycle has a score."""
    held, events = clinic.settings, clinic.store.events()
    layout = get_layout(held["layout"], held["layout_options"], held["classes"])
    rows = {r.key: r for r in layout.index(Path(held["data_root"]))}
    for event in events:
        if event.roi:
            assert event.label == layout.open_label(rows[f"{event.image}/{event.roi}"])
        else:
            truth = layout.open_label(rows[event.image])[event.region.slices]
            np.testing.assert_array_equal(event.labels, truth)
    assert len({event.key for event in events}) == len(events), "nothing was asked for twice"
    assert {event.annotator for event in events} == set(names)
    assert len(list(clinic.results.rglob("metrics.json"))) == held["cycles"]


@pytest.fixture(autouse=True)
def chromium() -> None:
    if reason := unavailable():
        pytest.skip(f"no browser here: {reason}")


def test_a_killed_server_and_a_killed_training(tmp_path: Path) -> None:
    """What was drawn until the last stroke is there again; the training goes on; two people."""
    clinic = Clinic.of("cityscapes_mini", tmp_path, cycles="2", region="8x8", budget="1x3")
    clinic.run.run(program="launch")
    with create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]  # the same each time, as the usual one is
    names = ["Ada", "Bob"]
    with annotators(tmp_path, names) as (ada, bob):
        people = [Person(clinic, page) for page in (ada, bob)]
        with served(clinic, port) as (process, address):
            ada.begin(address, "Ada")
            target = people[0].target()
            people[0].draw(target, most=2)
            ada.saved()
            drawn = ada.labels
            process.kill()
            process.wait()
        kept = clinic.store.draft(target)
        assert kept is not None
        assert np.array_equal(np.where(kept[0] == VOID, UNKNOWN, kept[0]), drawn[0])
        ada.page.complaints()  # that nobody answers
        with served(clinic, port) as (process, address):
            reopen(ada, address)
            ada.wait()
            assert people[0].target().key == target.key and np.array_equal(ada.labels, drawn)
            bob.begin(address, "Bob")
            for person in (*people, people[0]):  # whose page holds the next one already
                person.ada.wait()
                person.annotate(person.target())
            limit = time.monotonic() + LONG
            while not any(clinic.run.folder.glob("work/tiny/**/*.pt")) and not any(
                clinic.results.rglob("training.json")
            ):
                assert time.monotonic() < limit
                time.sleep(0.05)
            process.kill()
            process.wait()
        for page in (ada, bob):
            page.page.driver.get("about:blank")  # or it goes on to ask who does not answer
            page.page.complaints()
        with served(clinic, port) as (_, address):
            for page in (ada, bob):
                reopen(page, address)
            work_together(people)
    check(clinic, names)


def reopen(page: Annotator, address: str) -> None:
    """Open the address anew; with another fragment alone the page would stay as it is."""
    page.page.driver.get("about:blank")
    page.page.driver.get(address)
