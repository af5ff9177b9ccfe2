"""The annotations of a dataset: an append-only log that any run on it reads.

    annotations/{dataset}/store.json   task and classes
    annotations/{dataset}/log/00000001.json ...   one event per file, never changed
    annotations/{dataset}/drafts/   what was drawn in regions that are not finished
    annotations/{dataset}/leases/   who works on what
    annotations/{dataset}/labels/   label maps made of the log, for other programs (``maps.py``)

The state of a region follows from the log and is kept nowhere else. Any number of processes, on any
number of machines, may write: an event takes the next free number by a hard link.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from hashlib import sha256
from itertools import count, takewhile
from pathlib import Path
from statistics import median
from threading import RLock
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict

from al.io.errors import DataError
from al.io.files import read_json, reading, write_json
from al.io.labels import UNKNOWN

from .targets import DONE, OPEN, SKIPPED, Event, Target, Work, checked_pixels, pack, unpack

LEASE = 90.0  # seconds without a sign of life after which someone else may take a region
PATIENCE = 10  # seconds that another program may hold the file of the leases
_NAME = "[0-9]" * 8 + ".json"


class Draft(BaseModel):
    """What was drawn so far in a region.

    Attributes:
        key: of its target.
        work: how; ``seconds`` and ``tools`` go on from there.
        session: of the page that wrote it.
        pixels: labels of the box, as of ``targets.pack``; 254 is "cannot tell", 255 not painted.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    key: str
    work: Work
    session: str = ""
    pixels: str


class Store:
    """The annotations of a dataset.

    Args:
        folder: ``annotations/{dataset}``, made when something is written.
        task: ``2d``, ``3d`` or ``roi``.
        classes: names, in index order.

    Raises:
        DataError: it holds annotations of other classes, or is damaged.
    """

    def __init__(self, folder: str | Path, task: str, classes: Sequence[str]) -> None:
        self.folder = Path(folder)
        self.classes = list(classes)
        self._lock = RLock()
        self._events: list[Event] = []
        self._images: dict[str, list[Event]] = defaultdict(list)
        self._keys: dict[str, list[Event]] = defaultdict(list)
        about, file = {"task": task, "classes": self.classes}, self.folder / "store.json"
        self._about = about
        held = read_json(file, task=str, classes=list) if file.exists() else about
        if held != about:
            raise DataError(
                f"{file}: annotations of task {held['task']} with the classes "
                f"{', '.join(map(str, held['classes']))}; the run has {task}, "
                f"{', '.join(self.classes)}. Choose another name for the dataset"
            )

    def events(self) -> list[Event]:
        """Return the log, in order; what was read before is not read again.

        Raises:
            DataError: an event is damaged.
        """
        with self._lock:
            last = self._events[-1].number if self._events else 0
            for path in self._unread(last):
                event = self._read(path)
                if event.number != last + 1:
                    raise DataError(
                        f"{self.folder / 'log'}: number {last + 1} is missing. Put it back from a "
                        "copy; if it is lost, give the last file of the log that number"
                    )
                last = event.number
                self._events.append(event)
                self._images[event.image].append(event)
                self._keys[event.key].append(event)
            return list(self._events)

    def _unread(self, last: int) -> list[Path]:
        """Return the files of the log after a number, in order."""
        log = self.folder / "log"
        if last == 0:
            return sorted(log.glob(_NAME))
        # Listing thousands of files for each region that is looked at takes seconds.
        numbers = takewhile(lambda n: (log / _name(n)).exists(), count(last + 1))
        return [log / _name(number) for number in numbers]

    def _read(self, path: Path) -> Event:
        with reading(path, "an annotation"):
            event = Event.model_validate_json(path.read_bytes())
            if event.pixels is not None:
                _ = event.labels  # whether it can be read
            return event.model_copy(update={"number": int(path.stem)})

    def history_of(self, target: Target) -> list[Event]:
        """Return what was done with a region, in order."""
        with self._lock:
            self.events()
            return [e for e in self._keys.get(target.key, ()) if target.concerns(e)]

    def known(self, target: Target) -> tuple[np.ndarray, np.ndarray]:
        """Return what is known of a region from all that overlap it, the last word counts.

        Returns:
            labels of its box, uint8, 255 where they are void or not known, and where they are
            known, bool of the same shape.
        """
        labels = np.full(target.shape, UNKNOWN, np.uint8)
        covered = np.zeros(target.shape, bool)
        with self._lock:
            self.events()
            events = list(self._images.get(target.region.image, ()))
        box = target.region.region
        for event in (e for e in events if e.action == DONE and target.concerns(e)):
            low = [max(a, b) for a, b in zip(box.start, event.start, strict=True)]
            high = [min(a, b) for a, b in zip(box.stop, event.region.stop, strict=True)]
            if any(a >= b for a, b in zip(low, high, strict=True)):
                continue
            here = tuple(slice(a - s, b - s) for a, b, s in zip(low, high, box.start, strict=True))
            there = tuple(
                slice(a - s, b - s) for a, b, s in zip(low, high, event.start, strict=True)
            )
            mask = event.mask()[there]
            labels[here] = np.where(mask, event.labels[there], labels[here])
            covered[here] |= mask
        return labels, covered

    def label(self, target: Target) -> int | None:
        """Return the class of a RoI, if it has one."""
        found = [e.label for e in self.history_of(target) if e.action == DONE]
        return found[-1] if found else None

    def state(self, target: Target) -> str:
        """Return whether a region is ``done`` (all of it is known), ``skipped`` or ``open``."""
        history = self.history_of(target)
        if history and history[-1].action == DONE:
            return DONE
        if target.row.roi:
            known = self.label(target) is not None
        else:
            mask, covered = target.mask(), self.known(target)[1]
            known = bool((covered if mask is None else covered[mask]).all())
        if known:
            return DONE
        return SKIPPED if history else OPEN

    def by(self, target: Target) -> str:
        """Return who had the last word on a region; empty where nobody had."""
        history = self.history_of(target)
        return history[-1].annotator if history else ""

    def median_seconds(self) -> float | None:
        """Return how long a region took, of those that were annotated."""
        taken = [e.seconds for e in self.events() if e.action == DONE and e.seconds > 0]
        return median(taken) if taken else None

    def done(self, target: Target, value: np.ndarray | int, work: Work) -> Event:
        """Note a finished region; its draft is dropped then.

        Args:
            target: the region.
            value: labels of its box, uint8, 255 for void; of a RoI its class.
            work: how it was annotated.

        Raises:
            ValueError: labels of another shape, or a class that is none.
        """
        held: dict[str, Any]
        if target.row.roi:
            if type(value) is not int or not 0 <= value < len(self.classes):
                raise ValueError(f"label {value!r}; allowed: 0 to {len(self.classes) - 1}")
            held = {"label": value}
        else:
            held = {"pixels": pack(checked_pixels(np.asarray(value), target, len(self.classes)))}
        event = self._append(target, work, action=DONE, **held)
        self._file("drafts", target).unlink(missing_ok=True)
        return event

    def skip(self, target: Target, reason: str, work: Work) -> Event:
        """Note that a region was not annotated, and why; what was drawn in it stays a draft."""
        return self._append(target, work, action=SKIPPED, reason=reason)

    def _append(self, target: Target, work: Work, **held: Any) -> Event:
        region = target.region
        held |= {"shape": tuple(target.row.shape)}
        if not target.row.roi:
            held |= {"start": region.region.start, "size": region.region.size}
            held |= {"form": target.form, "axis": target.row.axis}
        event = Event(time=now(), image=region.image, roi=target.row.roi, **held, **dict(work))
        self._begin()
        log = self.folder / "log"
        with self._lock, _written(log, event.model_dump_json()) as temporary:
            while True:
                known = self.events()
                number = known[-1].number + 1 if known else 1
                try:
                    os.link(temporary, log / _name(number))
                    break
                except FileExistsError:  # another process took it since
                    time.sleep(0.01)
            _sync(log)
            return self.events()[number - 1]

    def save_draft(self, target: Target, pixels: np.ndarray, work: Work, session: str = "") -> None:
        """Keep what was drawn so far, 254 for "cannot tell". Raises ValueError as ``done``."""
        kept = pack(checked_pixels(pixels, target, len(self.classes), draft=True))
        self._begin()
        draft = Draft(key=target.key, work=work, session=session, pixels=kept)
        write_json(self._file("drafts", target), draft.model_dump())

    def draft(self, target: Target) -> tuple[np.ndarray, Work, str] | None:
        """Return what was drawn in a region before it was finished, how, and in which session.

        Raises:
            DataError: the file is damaged.
        """
        file = self._file("drafts", target)
        if not file.exists():
            return None
        with reading(file, "a draft"):
            held = Draft.model_validate_json(file.read_bytes())
            return unpack(held.pixels, target.shape), held.work, held.session

    def drawn(self, target: Target) -> str:
        """Return a digest of a region's draft, by which another is known; empty: there is none."""
        try:
            return sha256(self._file("drafts", target).read_bytes()).hexdigest()
        except FileNotFoundError:
            return ""

    def probe(self) -> None:
        """Raise DataError where annotations cannot be written: before anybody draws some."""
        try:
            with _written(self.folder, "") as temporary:
                other = temporary.with_name(temporary.name + ".link")
                os.link(temporary, other)
                other.unlink()
        except OSError as error:
            raise DataError(
                f"{self.folder}: annotations cannot be written there ({error.strerror}). Allowed: "
                "a folder that may be written to, on a file system with hard links; have "
                "annotations/ lead to one"
            ) from error

    def lease(self, target: Target, annotator: str, session: str) -> str | None:
        """Take a region for ``LEASE`` seconds, or longer; returns who has it if that is impossible.

        Args:
            target: the region.
            annotator: who wants it.
            session: the page from which; another of the same annotator is another.
        """
        file = self._file("leases", target)
        held = {"annotator": annotator, "session": session, "until": time.time() + LEASE}
        with self._leases():
            before = self.holder(target)
            if before is not None and before["session"] != session:
                return str(before["annotator"])
            # Not at every stroke
            if before is None or before["until"] < held["until"] - LEASE / 2:
                write_json(file, held)
            return None

    def holder(self, target: Target) -> dict[str, Any] | None:
        """Return ``annotator``, ``session`` and ``until`` of a lease that has not run out."""
        file = self._file("leases", target)
        if not file.exists():
            return None
        try:
            held = read_json(file, annotator=str, session=str, until=float)
        except DataError:  # gone, or not whole on this machine: nothing depends on it for long
            return None
        return held if held["until"] > time.time() else None

    def release(self, target: Target, session: str) -> None:
        """Give a region back, if this session has it."""
        with self._leases():
            held = self.holder(target)
            if held is not None and held["session"] == session:
                self._file("leases", target).unlink(missing_ok=True)

    @contextmanager
    def _leases(self) -> Iterator[None]:
        """Let no other thread or process take or give back a region while the block runs."""
        folder = self.folder / "leases"
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=PATIENCE, poll_interval=0.005)
        with self._lock, ExitStack() as held:
            try:
                held.enter_context(lock)
            except Timeout:
                raise DataError(
                    f"{folder}: another program has held {lock.lock_file} for {PATIENCE} seconds"
                ) from None
            yield

    def _begin(self) -> None:
        if not (self.folder / "store.json").exists():
            write_json(self.folder / "store.json", self._about)

    def _file(self, kind: str, target: Target) -> Path:
        place = json.dumps([target.key, target.row.shape, target.sha256])  # of this picture alone
        digest = sha256(place.encode()).hexdigest()[:32]
        return self.folder / kind / f"{digest}.json"


def _name(number: int) -> str:
    return f"{number:08d}.json"


def now() -> str:
    """Return the time as ISO, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@contextmanager
def _written(folder: Path, text: str) -> Iterator[Path]:
    """Yield a file that holds a text on the disk, under a name of its own; it goes afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=".new.part-", dir=folder)
    try:
        with open(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        yield Path(name)
    finally:
        os.unlink(name)


def _sync(folder: Path) -> None:
    """Have the names in a folder on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
