"""What annotators ask of the page's server and what they change: called from threads, many at once.

Requests are checked in ``bodies``; all that is wrong with one is a ``Refusal``.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np

from al.annotators.assignment import Assignment
from al.annotators.store import LEASE, Store, now
from al.annotators.targets import DONE, OPEN, SKIPPED, VOID, Target, Work, checked_pixels
from al.io.errors import DataError
from al.io.labels import UNKNOWN
from al.io.tables import FileRow

from . import bodies
from .bodies import Caller, Refusal
from .describe import description_of, drawn_in, known_of, line_of, progress_of
from .guard import Files
from .looking import Looking
from .onward import Loop, Onward
from .views import Views


@dataclass
class Opened:
    """A region as a tab has opened it.

    Attributes:
        sha256: of the image's file.
        time: when it was first opened (ISO, UTC).
        events: how many the store had of it.
        shown: whether the model's proposal was asked for.
        drawn: digest of the draft as this tab read or wrote it last.
    """

    sha256: str
    time: str
    events: int
    shown: bool
    drawn: str


class Service(Looking):
    """The regions of a run's cycle for any number of annotators.

    Args:
        loop: the run.
        store: annotations of its dataset.
        layout: of its dataset.
        files: rows of ``data.csv`` by path; what is not there is fingerprinted when opened.
        root: ``data_root``.
    """

    def __init__(
        self, loop: Loop, store: Store, layout: Any, files: Mapping[str, FileRow], root: str | Path
    ) -> None:
        super().__init__(loop, Views(layout))
        self.store, self.layout = store, layout
        self.files = Files(files, root)
        self._lock = RLock()  # over each change and what was checked before it
        self._opened: dict[tuple[str, str], Opened] = {}
        self._seen: dict[str, tuple[str, float]] = {}
        self._sent: dict[str, tuple[str, dict[str, Any]]] = {}  # what each tab finished last
        self.onward = Onward(loop)

    def warm(self) -> None:
        """Have the first region that waits ready before anybody asks for it."""
        with suppress(DataError):  # told when it is asked for
            assignment = self.loop.assignment()
            waiting = assignment.waiting(self.store) if assignment is not None else []
            self.views.ahead(*waiting[:1])

    def run(self) -> dict[str, Any]:
        """Return what is told of the run."""
        return {**self.loop.about(), "standing": self.onward.standing()}

    def again(self, who: Caller) -> dict[str, Any]:
        """Have the run go on once more after a failure."""
        self.onward.again()
        return self.cycle(who)

    def cycle(self, who: Caller) -> dict[str, Any]:
        """Return how far the cycle is, region by region."""
        self._see(who)
        progress = progress_of(self.store, self.loop.assignment(), who.session)
        with self._lock:
            since = time.monotonic() - LEASE
            at_work = sorted({name for name, at in self._seen.values() if at > since})
        return {"standing": self.onward.standing(), **progress, "annotators": at_work}

    def next(self, who: Caller, body: dict[str, Any]) -> dict[str, Any]:
        """Take the first region that waits after one, of the same image if there is one."""
        after, left_out = body.get("after"), bodies.numbers_of(body, "not")
        assignment = self.loop.assignment()
        if assignment is None:
            return {"id": None}
        image, last = None, -1
        if after is not None:
            last = bodies.whole(body, "after", 10**6) or 0
            if last < len(assignment.targets):
                image = assignment.targets[last].region.image
        waiting = [t for t in assignment.waiting(self.store) if t.region.order not in left_out]
        waiting.sort(key=lambda t: (t.region.image != image, t.region.order <= last))
        for target in waiting:
            held = self.store.holder(target)
            if held is not None and held["session"] != who.session:
                continue
            try:
                opened = self._open(who, assignment, target, fresh=True)
            except Refusal as refusal:
                if refusal.body.get("reason") in ("busy", DONE, SKIPPED):
                    continue  # somebody was quicker
                refusal.body["id"] = target.region.order
                raise
            further = (t for t in waiting if t is not target and self.store.holder(t) is None)
            self.views.ahead(target, *islice(further, 1))
            return opened
        return {"id": None}

    def open(self, who: Caller, number: str) -> dict[str, Any]:
        """Take a region and describe it."""
        assignment, target = self._target(number)
        if target not in assignment.active(self.store):
            raise Refusal(404, "This region is not asked for.")
        opened = self._open(who, assignment, target)
        self.views.ahead(target)
        return opened

    def proposal(self, who: Caller, number: str) -> dict[str, Any]:
        """Return what the model makes of a region; from now on it counts as shown."""
        assignment, target = self._target(number)
        proposal = assignment.proposal(target)
        if proposal is None:
            raise Refusal(404, "There is no proposal for this region.")
        with self._lock:
            self._own(who, target).shown = True
        if target.row.roi:
            return {"probabilities": [float(v) for v in proposal]}
        return {"pixels": bodies.text_of(proposal)}

    def most_bytes(self, number: str) -> int:
        """Return how large the body of a request with a region's pixels may be."""
        return bodies.most_bytes(int(np.prod(self._target(number)[1].shape)))

    def draft(self, who: Caller, number: str, body: dict[str, Any]) -> dict[str, Any]:
        """Keep what is drawn so far."""
        assignment, target = self._target(number, body)
        if target.row.roi:
            raise Refusal(400, "A RoI has a class and no draft.")
        pixels = self._pixels(body, target)
        with self._lock:
            opened = self._own(who, target)
            work = self._work(who, assignment, target, opened, body)
            self.store.save_draft(target, pixels, work, who.session)
            opened.drawn = self.store.drawn(target)
        return {"draft": opened.drawn}

    def done(self, who: Caller, number: str, body: dict[str, Any]) -> dict[str, Any]:
        """Note a finished region; the same sent again, as after a lost answer, counts once."""
        assignment, target = self._target(number, body)
        value: Any
        if target.row.roi:
            value = bodies.whole(body, "label", len(self.store.classes) - 1)
        else:
            value = self._pixels(body, target)
        self.files.sha256(target.row)
        with self._lock:
            if self._sent.get(who.session) != (target.key, body):
                opened = self._own(who, target)
                work = self._work(who, assignment, target, opened, body)
                if not target.row.roi:  # what is not painted stays as others have annotated it
                    value = np.where(value == UNKNOWN, known_of(self.store, target), value)
                    value[value == VOID] = UNKNOWN
                self.store.done(target, value, work)
                self._sent[who.session] = target.key, body
            self._leave(who, target)
            self._go_on(assignment)
        return self.cycle(who)

    def skip(self, who: Caller, number: str, body: dict[str, Any]) -> dict[str, Any]:
        """Note that a region is not annotated, as its image may be unreadable; another takes its
        place."""
        assignment, target = self._target(number, body)
        reason = bodies.reason_of(body)
        if (who.session, target.key) not in self._opened and not self._opens(target):
            with self._lock:
                if (holder := self.store.lease(target, who.annotator, who.session)) is not None:
                    raise _busy(holder)
                held = len(self.store.history_of(target)), False, self.store.drawn(target)
                self._opened[who.session, target.key] = Opened("", now(), *held)
        with self._lock:
            opened = self._own(who, target)
            work = self._work(who, assignment, target, opened, body)
            self.store.skip(target, reason, work)
            self._leave(who, target)
            self._go_on(assignment)
        return self.cycle(who)

    def _opens(self, target: Target) -> bool:
        """Return whether a region can be shown."""
        try:
            self.files.sha256(target.row)
            self.store.draft(target)
            description_of(target, self.layout, self.views)
        except (Refusal, DataError):
            return False
        return True

    def release(self, who: Caller, number: str) -> dict[str, Any]:
        """Give a region back."""
        with self._lock:
            self._leave(who, self._target(number)[1])
        return {}

    def beat(self, who: Caller, number: str, body: dict[str, Any]) -> dict[str, Any]:
        """Keep a region for a while longer."""
        target = self._target(number, body)[1]
        with self._lock:
            self._own(who, target)
        return {}

    def _see(self, who: Caller) -> None:
        with self._lock:
            at = time.monotonic()
            self._seen = {s: v for s, v in self._seen.items() if v[1] > at - LEASE}
            self._seen[who.session] = (who.annotator, at)

    def _open(
        self, who: Caller, assignment: Assignment, target: Target, fresh: bool = False
    ) -> dict[str, Any]:
        """Take a region and describe it; a ``fresh`` one nobody has finished."""
        self._see(who)
        try:
            digest = self.files.sha256(target.row)
            with self._lock:
                opened, draft = self._taken(who, target, digest, fresh)
            return {
                **line_of(self.store, target, who.session),
                "number": assignment.active(self.store).index(target) + 1,
                **description_of(target, self.layout, self.views),
                **drawn_in(self.store, target, draft),
                "draft": opened.drawn,
                "own": draft is not None and draft[2] == who.session,
                "cycle": assignment.cycle,
                "has_proposal": assignment.proposal(target) is not None,
                "proposal_shown": opened.shown,
            }
        except Refusal:
            raise
        except Exception as error:
            with self._lock:
                self._leave(who, target)
            if isinstance(error, DataError):
                raise Refusal(422, str(error), id=target.region.order) from None
            raise

    def _taken(
        self, who: Caller, target: Target, sha256: str, fresh: bool
    ) -> tuple[Opened, tuple[np.ndarray, Work, str] | None]:
        """Take a region for a tab; returns its draft too. Raises Refusal (409), DataError."""
        holder = self.store.lease(target, who.annotator, who.session)
        if holder is not None:
            raise _busy(holder)
        if fresh and (state := self.store.state(target)) != OPEN:
            self.store.release(target, who.session)
            raise Refusal(409, "This region is finished.", reason=state)
        drawn, draft = self.store.drawn(target), self.store.draft(target)
        work = Work(annotator=who.annotator) if draft is None else draft[1]
        events = len(self.store.history_of(target))
        key = who.session, target.key
        before = self._opened.get(key)
        opened = Opened(sha256, work.opened or now(), events, work.shown, drawn)
        if before is not None and before.events == events:  # opened again
            opened.time, opened.shown = before.time, before.shown
        self._opened[key] = opened
        self._sent.pop(who.session, None)
        return opened, draft

    def _pixels(self, body: dict[str, Any], target: Target) -> np.ndarray:
        """Return labels of a region's box from a body, as those of a draft."""
        pixels = bodies.pixels_of(body, target.shape)
        try:
            return checked_pixels(pixels, target, len(self.store.classes), draft=True)
        except ValueError as error:
            raise Refusal(400, f"{error}.") from None

    def _own(self, who: Caller, target: Target) -> Opened:
        """Return a region as this tab has opened it, its lease renewed.

        Raises:
            Refusal: 409, it is another's, or was drawn in or finished meanwhile.
        """
        self._see(who)
        key = who.session, target.key
        if (opened := self._opened.get(key)) is None:
            raise Refusal(409, "This region is not open in this tab: open it.", reason="closed")
        history = self.store.history_of(target)
        if len(history) > opened.events:
            last = history[-1]
            did = "finished" if last.action == DONE else "skipped"
            message = (
                f"{last.annotator} has {did} this region meanwhile. What you drew stays in this "
                "page: open the region again to put it in the place of the other."
            )
            raise Refusal(409, message, reason=last.action, by=last.annotator)
        holder = self.store.lease(target, who.annotator, who.session)
        if holder is not None:
            raise _busy(holder)
        if self.store.drawn(target) != opened.drawn:
            message = "This region was drawn in elsewhere since this tab saw it: open it again."
            raise Refusal(409, message, reason="closed")
        return opened

    def _work(
        self,
        who: Caller,
        assignment: Assignment,
        target: Target,
        opened: Opened,
        body: Mapping[str, Any],
    ) -> Work:
        shown, changed = bodies.proposal_of(body, int(np.prod(target.shape)))
        opened.shown |= shown
        return Work(
            annotator=who.annotator,
            run=assignment.run,
            cycle=assignment.cycle,
            sha256=opened.sha256,
            opened=opened.time,
            seconds=bodies.seconds_of(body),
            tools=bodies.tools_of(body),
            shown=opened.shown,
            changed=changed if opened.shown else None,
        )

    def _leave(self, who: Caller, target: Target) -> None:
        self._opened.pop((who.session, target.key), None)
        self.store.release(target, who.session)

    def _go_on(self, assignment: Assignment) -> None:
        """Have the run go on where nothing of the cycle waits."""
        if not assignment.waiting(self.store):
            self.onward.go_on(assignment.cycle)


def _busy(holder: str) -> Refusal:
    return Refusal(409, f"{holder} works on this region.", reason="busy", by=holder)
