"""A small generated dataset, a cycle of it that waits for people, and the page's server on it."""

from __future__ import annotations

import base64
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from starlette.testclient import TestClient

from al.annotators.assignment import Assignment
from al.annotators.page import server
from al.annotators.store import Store
from al.annotators.targets import Target
from al.generators import generate
from al.io.fingerprints import taken
from al.io.tables import PoolRow, RegionRow
from al.layouts import Layout, get_layout
from decomp_core import Region

ROOT = Path(__file__).parents[2]
TOKEN = "secret-of-the-test"
SIZES = {
    "cityscapes_mini": {"train": 2, "val": 1, "height": 64, "width": 96},
    "kits23_mini": {"cases": 2, "depth": 8, "side": 32},
    "bracs_mini": {"train": 2, "val": 1, "test": 1},
}


@dataclass
class Run:
    """A run that waits for people, as the page sees it."""

    name: str
    settings: dict[str, Any]
    given: Assignment | None
    completed: int = 0
    state: str = "annotate"
    failing: list[Exception] = field(default_factory=list)  # what goes wrong next

    def about(self) -> dict[str, Any]:
        same = {key: self.settings.get(key) for key in ("task", "background")}
        pairs = zip(self.settings["classes"], self.settings["class_colours"], strict=True)
        classes = [{"name": name, "colour": colour} for name, colour in pairs]
        return {"run": "mine", "dataset": self.name, "classes": classes, **same}

    def assignment(self) -> Assignment | None:
        return self.given

    def standing(self) -> dict[str, Any]:
        keys = ("state", "cycle", "cycles", "text", "fraction", "message")
        return dict.fromkeys(keys) | {"state": self.state, "cycle": 1, "cycles": 2}

    def complete(self) -> None:
        if self.failing:
            raise self.failing.pop()
        self.completed += 1


class World:
    """A dataset in ``folder``, of which ``n`` regions are asked for and two are spare."""

    def __init__(
        self, folder: Path, name: str, n: int = 3, footprint: str = "square", **sizes: int
    ) -> None:
        self.folder, self.data, self.name = folder, folder / "data", name
        if not self.data.exists():
            generate(name, self.data, 0, **SIZES[name] | sizes)
        held = yaml.safe_load((ROOT / f"config/datasets/{name}.yaml").read_text())
        self.layout: Layout = get_layout(held["layout"], held["layout_options"], held["classes"])
        self.rows = [r for r in self.layout.index(self.data) if r.split in ("", "train")]
        self.targets = [
            Target(region, row, footprint) for region, row in _regions(self.rows, n + 2)
        ]
        self.assignment = Assignment(
            run="mine",
            dataset=name,
            task=held["task"],
            classes=held["classes"],
            background=held.get("background"),
            cycle=1,
            cycles=2,
            targets=self.targets,
            n=n,
            proposals=folder / "proposals.npz",
        )
        self.run = Run(name, held, self.assignment)
        self.files = {row.path: row for row in taken(self.rows, self.data)}
        self.annotations = folder / "annotations"

    @property
    def store(self) -> Store:
        """The store as another process sees it."""
        return Store(self.annotations, self.assignment.task, self.assignment.classes)

    def app(self, token: str = TOKEN) -> Any:
        """A server, as after a restart."""
        hosts = {"127.0.0.1", "localhost"}
        return server.app(self.run, self.store, self.layout, token, hosts, self.files, self.data)

    def client(self, app: Any, who: str = "ada", **more: str) -> TestClient:
        """A tab of a browser in which somebody annotates."""
        session = who.encode().hex().rjust(16, "0")
        headers = {"X-Token": TOKEN, "X-Annotator": who, "X-Session": session, **more}
        address = "http://127.0.0.1:8000"
        return TestClient(app, address, headers=headers, raise_server_exceptions=False)

    def pixels(self, number: int, seed: int = 0) -> np.ndarray:
        """Labels drawn in a region at random, void among them."""
        classes = len(self.assignment.classes)
        drawn = np.random.default_rng(seed).integers(0, classes + 1, self.targets[number].shape)
        return np.where(drawn == classes, 255, drawn).astype(np.uint8)

    def answer(self, number: int, seed: int = 0, **more: Any) -> dict[str, Any]:
        """What a page sends of a finished region."""
        if self.assignment.task == "roi":
            value: dict[str, Any] = {"label": seed % len(self.assignment.classes)}
        else:
            value = {"pixels": packed(self.pixels(number, seed))}
        return {**value, "seconds": 12.5, "tools": {"brush": 3}, **more}


def packed(pixels: np.ndarray) -> str:
    """Return labels as they travel."""
    return base64.b64encode(pixels.tobytes()).decode()


def unpacked(text: str, shape: Sequence[int], kind: str = "u1") -> np.ndarray:
    """Return what travelled."""
    return np.frombuffer(base64.b64decode(text), kind).reshape(shape)


def say(client: TestClient, way: str, region: int, act: str, body: Any = None) -> Any:
    """Ask for something of a region; returns what is answered."""
    return client.request(way, f"/api/regions/{region}/{act}", json=body)


def wait_for(condition: Any) -> None:
    """Wait until another thread has done something."""
    for _ in range(500):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("waited for 5 seconds")


def log_of(folder: Path) -> dict[str, bytes]:
    """What is kept of annotations: everything but who has which region."""
    files = (p for p in folder.rglob("*.json") if p.parent.name in ("log", "drafts"))
    return {str(p): p.read_bytes() for p in files}


def _regions(rows: list[PoolRow], count: int) -> list[tuple[RegionRow, PoolRow]]:
    """Regions that do not overlap, of the images in turn."""
    found = []
    for order in range(count):
        row = rows[order % len(rows)]
        at = order // len(rows)
        if row.roi:
            region = RegionRow(1, row.image, "roi", *(None,) * 6, row.roi, None, None, order)
        elif row.axis is None:
            box = Region((5, 3 + 21 * at), (20, 20))
            region = RegionRow.of(1, row.image, "window", box, order)
        else:
            start, size = [2, 2, 2], [9, 9, 9]
            start[row.axis], size[row.axis] = 1 + at, 1
            box = Region(tuple(start), tuple(size))
            region = RegionRow.of(1, row.image, "slice_window", box, order)
        found.append((region, row))
    return found


if __name__ == "__main__":
    server.serve(World(Path(sys.argv[1]), sys.argv[2]).app(), "127.0.0.1", 0)
