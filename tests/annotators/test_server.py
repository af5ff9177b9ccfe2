"""The server of the annotation page: what it serves, keeps and refuses."""

from __future__ import annotations

import io
import os
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from starlette.testclient import TestClient

from al.annotators.assignment import Assignment
from al.annotators.page import views
from al.annotators.store import LEASE
from al.io.tables import RegionRow
from decomp_core import Region, footprint

from ..io.test_storage import Mount, fill, mount  # noqa: F401 - a fixture
from .kit import ROOT, TOKEN, World, log_of, packed, say, unpacked, wait_for

TASKS = {"2d": "cityscapes_mini", "3d": "kits23_mini", "roi": "bracs_mini"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Street images; not to be changed."""
    return World(tmp_path_factory.mktemp("shared"), "cityscapes_mini").data


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, "cityscapes_mini")


@pytest.mark.parametrize("task", TASKS)
def test_a_region_from_first_look_to_the_log(task: str, tmp_path: Path) -> None:
    world = World(tmp_path, TASKS[task], footprint="disc")
    classes = len(world.assignment.classes)
    shown = [
        np.full(classes, 1 / classes, np.float32) if task == "roi" else world.pixels(i, 9)
        for i in range(3)
    ]
    np.savez(world.assignment.proposals, **{str(i): a for i, a in enumerate(shown)})
    ada = world.client(world.app())
    assert ada.get("/api/run").json()["classes"][0].keys() == {"name", "colour"}
    first = ada.post("/api/next", json={}).json()
    target, row = world.targets[0], world.targets[0].row
    assert (first["id"], first["state"], first["cycle"]) == (0, "open", 1)
    assert tuple(first["image_shape"]) == row.shape and first["has_proposal"]
    look(world, ada, first)
    small = say(ada, "GET", 0, "thumbnail")
    assert small.status_code == (404 if task == "3d" else 200)
    proposal = say(ada, "GET", 0, "proposal").json()
    disc = None
    if task == "roi":
        assert proposal["probabilities"] == shown[0].tolist() and first["mask"] is None
    else:
        assert np.array_equal(unpacked(proposal["pixels"], target.shape), shown[0])
        side = 20 if task == "2d" else 9
        disc = footprint("disc", (side, side)).reshape(target.shape)
        assert np.array_equal(unpacked(first["mask"], target.shape), disc)
        assert (unpacked(first["pixels"], target.shape) == 255).all()
        draft = world.answer(0, 1, seconds=4.5, cycle=1)
        assert say(ada, "PUT", 0, "draft", draft).status_code == 200
        ada = world.client(world.app())  # the server was killed
        refused = say(ada, "PUT", 0, "draft", draft)
        assert (refused.status_code, refused.json()["reason"]) == (409, "closed")
        again = say(ada, "POST", 0, "open").json()
        kept = np.where(disc, world.pixels(0, 1), 255)
        assert np.array_equal(unpacked(again["pixels"], target.shape), kept)
        assert (again["seconds"], again["tools"]) == (4.5, {"brush": 3})
        assert again["proposal_shown"]
    answer = world.answer(0, 2)
    for _ in range(2):  # the first answer was lost
        after = say(ada, "POST", 0, "done", answer).json()
        assert (after["done"], after["total"], after["seconds_median"]) == (1, 3, 12.5)
        assert after["minutes_left"] == pytest.approx(2 * 12.5 / 60)
    (event,) = world.store.events()
    if task == "roi":
        assert event.label == 2 == after["regions"][0]["label"]
    else:
        assert np.array_equal(event.labels, np.where(disc, world.pixels(0, 2), 255))
    assert (event.annotator, event.shown, event.tools) == ("ada", True, {"brush": 3})
    assert event.sha256 == next(f.sha256 for f in world.files.values() if row.path.endswith(f.path))
    finish(world, ada)


def look(world: World, ada: TestClient, first: dict[str, Any]) -> None:
    """What is shown of the first region is what is in the file."""
    row = world.targets[0].row
    if row.axis is None:
        image = world.layout.open_image(row)
        for level, (rows, columns) in enumerate(views.tiles_of(row.shape)):
            tiles = [
                [_opened(say(ada, "GET", 0, f"tile/{level}/{i}/{j}")) for j in range(columns)]
                for i in range(rows)
            ]
            whole = np.concatenate([np.concatenate(line, axis=1) for line in tiles])
            expected = views.pyramid_of(image).levels[level]
            assert np.array_equal(whole, expected) or level  # reduced tiles are JPEG
            assert np.abs(whole - expected.astype(int)).mean() < 8
    else:
        volume, low = world.layout.open_image(row), first["levels"]["low"]
        step = (first["levels"]["high"] - low) / 65535
        for axis in range(3):
            content = say(ada, "GET", 0, f"slice?axis={axis}&index=5").content
            plane = volume.take(5, axis)
            seen = np.frombuffer(content, "<u2").reshape(plane.shape) * step + low
            assert np.abs(seen - plane).max() <= step / 2 + 1e-3
        letters = "".join(first["orientation"])
        assert sorted(letters) == sorted("LRAPSI") and {letters[:2], letters[2:4]} & {"SI", "IS"}


def _opened(answer: Any) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def finish(world: World, ada: TestClient) -> None:
    """The rest of a cycle: one region is skipped, a spare takes its place, the run goes on once."""
    second = ada.post("/api/next", json={"after": 0}).json()["id"]
    assert world.targets[second].region.image == world.targets[0].region.image
    after = say(ada, "POST", second, "skip", {"reason": "all\nblurred ", "seconds": 1}).json()
    states = {line["id"]: line["state"] for line in after["regions"]}
    assert states[second] == "skipped" and len(states) == 4 and after["total"] == 3
    assert world.store.events()[-1].reason == "all blurred"
    while (number := ada.post("/api/next", json={}).json()["id"]) is not None:
        assert world.run.completed == 0
        assert say(ada, "POST", number, "done", world.answer(number)).status_code == 200
    wait_for(lambda: world.run.completed == 1)
    for _ in range(2):  # corrections, the second one without a change
        assert say(ada, "POST", 0, "open").json()["state"] == "done"
        assert say(ada, "POST", 0, "done", world.answer(0, 3)).status_code == 200
    assert [e.action for e in world.store.history_of(world.targets[0])] == ["done"] * 3
    world.run.given = None
    assert ada.post("/api/next", json={}).json() == {"id": None}
    assert ada.get("/api/cycle").json()["regions"] == []
    assert world.run.completed == 1


def test_two_people_and_one_region(world: World, monkeypatch) -> None:
    app = world.app()
    ada, bob = world.client(app), world.client(app, "bob")
    assert ada.post("/api/next", json={}).json()["id"] == 0
    assert bob.post("/api/next", json={}).json()["id"] == 1
    busy = say(bob, "POST", 0, "open")
    assert (busy.status_code, busy.json()["by"]) == (409, "ada")
    assert bob.get("/api/cycle").json()["regions"][0]["state"] == "busy"
    assert bob.get("/api/cycle").json()["annotators"] == ["ada", "bob"]
    assert say(ada, "PUT", 0, "draft", world.answer(0, 1)).status_code == 200
    import al.annotators.store as store

    clock = store.time.time
    monkeypatch.setattr(store.time, "time", lambda: clock() + LEASE + 1)  # ada's lid was closed
    taken = say(bob, "POST", 0, "open").json()
    assert np.array_equal(unpacked(taken["pixels"], (20, 20)), world.pixels(0, 1))
    for act in ("beat", "draft", "done"):
        way, body = ("PUT" if act == "draft" else "POST"), world.answer(0, 4)
        late = say(ada, way, 0, act, body)
        assert (late.status_code, late.json()["reason"], late.json()["by"]) == (409, "busy", "bob")
    answer = world.answer(0, 2, proposal={"shown": True, "changed": 7})
    assert say(bob, "POST", 0, "done", answer).status_code == 200
    late = say(ada, "POST", 0, "done", world.answer(0, 4))
    assert (late.json()["reason"], late.json()["by"]) == ("done", "bob")
    (event,) = world.store.events()
    assert (event.annotator, event.shown, event.changed) == ("bob", True, 7)
    # Of region 1, which bob has left since, the lease ran out as well; ada goes on there.
    assert say(ada, "POST", 1, "open").status_code == 200
    assert say(bob, "POST", 1, "beat", {}).json()["reason"] == "busy"
    assert say(ada, "POST", 1, "release").status_code == 200
    assert say(bob, "POST", 1, "beat", {}).status_code == 200
    # What waits was looked up before bob finished region 0.
    monkeypatch.setattr(Assignment, "waiting", lambda *_: world.targets[:3])
    assert ada.post("/api/next", json={"not": [1]}).json()["id"] == 2


def test_what_is_not_painted_stays_as_others_have_annotated_it(world: World) -> None:
    """Regions that overlap, and a draft that is older than what the other region says."""
    first = world.targets[0]
    left = Region(first.region.region.start, (20, 10))
    world.targets[1] = replace(first, region=RegionRow.of(1, first.region.image, "window", left, 1))
    app = world.app()
    ada, bob = world.client(app), world.client(app, "bob")
    drawn = np.full((20, 20), 255, np.uint8)
    drawn[:3], drawn[3:6] = 1, 254  # "cannot tell"
    body = {"pixels": packed(drawn)}
    assert say(ada, "POST", 0, "open").json()["known"] is None
    assert say(ada, "PUT", 0, "draft", body).status_code == 200
    assert np.array_equal(unpacked(say(ada, "POST", 0, "open").json()["pixels"], (20, 20)), drawn)
    whole = np.full((20, 10), 2, np.uint8)
    whole[10:] = 254
    assert say(bob, "POST", 1, "open").status_code == 200
    assert say(bob, "POST", 1, "done", {"pixels": packed(whole)}).status_code == 200
    expected = drawn.copy()
    expected[6:10, :10], expected[10:, :10] = 2, 254
    again = say(ada, "POST", 0, "open").json()
    assert np.array_equal(unpacked(again["pixels"], (20, 20)), expected)
    assert np.array_equal(unpacked(again["known"], (20, 20))[:, :10], whole)
    assert say(ada, "POST", 0, "done", body).status_code == 200
    labels, covered = world.store.known(world.targets[0])
    assert covered.all() and np.array_equal(labels, np.where(expected == 254, 255, expected))


def test_a_tab_that_slept_leaves_the_drawing_of_another(world: World) -> None:
    app = world.app()
    ada, bob = world.client(app), world.client(app, "bob")
    first = say(ada, "POST", 0, "open").json()
    saved = say(ada, "PUT", 0, "draft", world.answer(0, 1)).json()["draft"]
    assert say(ada, "POST", 0, "open").json()["own"]
    assert first["draft"] == "" != saved
    world.store.release(world.targets[0], ada.headers["X-Session"])  # it ran out
    assert say(bob, "POST", 0, "open").json()["draft"] == saved
    assert say(bob, "PUT", 0, "draft", world.answer(0, 2)).status_code == 200
    assert say(bob, "POST", 0, "release").status_code == 200
    for way, act in (("POST", "beat"), ("PUT", "draft"), ("POST", "done")):
        late = say(ada, way, 0, act, world.answer(0, 3))
        assert (late.status_code, late.json()["reason"]) == (409, "closed"), act
    assert np.array_equal(world.store.draft(world.targets[0])[0], world.pixels(0, 2))
    again = say(ada, "POST", 0, "open").json()
    assert np.array_equal(unpacked(again["pixels"], (20, 20)), world.pixels(0, 2))
    assert again["draft"] not in ("", saved) and (again["by"], again["own"]) == ("bob", False)
    assert say(ada, "PUT", 0, "draft", world.answer(0, 3)).status_code == 200


@pytest.mark.parametrize("known", [True, False])
def test_an_image_that_changed_or_went_is_named(known: bool, tmp_path: Path) -> None:
    world = World(tmp_path, "cityscapes_mini")
    if not known:
        world.files = {}
    ada, file = world.client(world.app()), Path(world.targets[0].row.path)
    assert say(ada, "POST", 0, "open").status_code == 200
    assert say(ada, "PUT", 0, "draft", world.answer(0, 1)).status_code == 200
    content = file.read_bytes()
    os.utime(file)  # copied: another time, the same content
    assert say(ada, "POST", 0, "open").status_code == 200
    file.write_bytes(content + b"0")
    calls = [("open", None), ("done", world.answer(0, 1))]
    answers = [say(ada, "POST", 0, act, body) for act, body in calls]
    file.unlink()
    answers += [say(ada, "POST", 0, act, body) for act, body in calls]
    answers.append(ada.post("/api/next", json={}))
    for answer in answers:
        assert (answer.status_code, answer.json()["reason"]) == (409, "changed")
        assert file.name in answer.json()["message"]
    assert ada.post("/api/next", json={"not": [answers[-1].json()["id"], 2]}).json()["id"] == 1
    assert world.store.events() == []
    assert say(ada, "POST", 2, "skip", {"reason": "gone"}).status_code == 200  # never opened
    assert [event.action for event in world.store.events()] == ["skipped"]
    file.write_bytes(content)
    assert say(ada, "POST", 0, "open").json()["state"] == "draft"
    assert say(ada, "POST", 0, "done", world.answer(0, 1)).status_code == 200


def test_an_unreadable_image_is_told(world: World) -> None:
    file = Path(world.targets[0].row.path)
    file.write_bytes(file.read_bytes()[:200])
    world.files = {}
    ada = world.client(world.app())
    assert say(ada, "POST", 0, "open").status_code == 200
    answer = say(ada, "GET", 0, "tile/0/0/0")
    assert answer.status_code == 422 and file.name in answer.json()["message"]


def test_a_full_disk_loses_nothing_and_is_told(world: World, mount: Mount) -> None:  # noqa: F811
    world.annotations = mount("size=1m")
    ada = world.client(world.app())
    assert say(ada, "POST", 0, "open").status_code == 200
    assert say(ada, "PUT", 0, "draft", world.answer(0, 1)).status_code == 200
    before = log_of(world.annotations)
    fill(world.annotations)
    for way, act in (("PUT", "draft"), ("POST", "done")):
        answer = say(ada, way, 0, act, world.answer(0, 2))
        assert answer.status_code == 507 and "the disk is full" in answer.json()["message"]
    assert log_of(world.annotations) == before
    for file in world.annotations.glob("*"):
        if file.is_file() and file.suffix != ".json":
            file.unlink()
    assert say(ada, "POST", 0, "done", world.answer(0, 2)).status_code == 200
    (event,) = world.store.events()
    assert np.array_equal(event.labels, world.pixels(0, 2))


ACTS = ("open", "open", "draft", "draft", "done", "skip", "beat", "release", "away", "killed")
STEPS = st.tuples(
    st.sampled_from(["ada", "bob"]), st.integers(0, 1), st.sampled_from(ACTS), st.integers(0, 9)
)


@settings(max_examples=40, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_no_order_of_what_two_people_do_loses_or_doubles_anything(
    data: Path, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, str, int]]
) -> None:
    folder = tmp_path_factory.mktemp("orders")
    (folder / "data").symlink_to(data)
    world = World(folder, "cityscapes_mini")
    app = world.app()
    log: list[tuple[str, int, str]] = []
    drafts: dict[int, np.ndarray] = {}
    sent: dict[str, tuple[int, int]] = {}
    for who, number, act, seed in steps:
        if act == "killed":
            app, sent = world.app(), {}
        if act == "away":  # all leases run out
            for file in (world.annotations / "leases").glob("*.json"):
                file.unlink()
        if act in ("away", "killed"):
            continue
        body = {"reason": "no"} if act == "skip" else world.answer(number, seed)
        tab, way = world.client(app, who), "PUT" if act == "draft" else "POST"
        answer = say(tab, way, number, act, None if act == "open" else body)
        assert answer.status_code in (200, 409), answer.text
        if answer.status_code == 409:
            continue
        if act == "open":
            sent.pop(who, None)
        elif act == "draft":
            drafts[number] = world.pixels(number, seed)
        elif act == "skip":
            log.append((who, number, "skipped"))
        elif act == "done" and sent.get(who) != (number, seed):
            log.append((who, number, "done"))
            sent[who] = number, seed
            drafts.pop(number, None)
    keys = {t.key: t.region.order for t in world.targets}
    store = world.store
    assert [(e.annotator, keys[e.key], e.action) for e in store.events()] == log
    for number, pixels in drafts.items():
        kept = store.draft(world.targets[number])
        assert kept is not None and np.array_equal(kept[0], pixels)


def test_many_at_a_time_annotate_each_region_once(tmp_path: Path) -> None:
    world = World(tmp_path, "bracs_mini", n=18)
    app = world.app()

    def annotate(who: str) -> None:
        tab = world.client(app, who)
        while (number := tab.post("/api/next", json={}).json()["id"]) is not None:
            assert say(tab, "POST", number, "done", world.answer(number)).status_code == 200

    with ThreadPoolExecutor(4) as people:
        list(people.map(annotate, ("ada", "bob", "cleo", "dan")))
    found = [event.roi for event in world.store.events()]
    assert sorted(found) == sorted(t.row.roi for t in world.targets[:18])
    wait_for(lambda: world.run.completed == 1)


def test_served_on_a_socket_until_it_is_told_to_stop(tmp_path: Path) -> None:
    World(tmp_path, "cityscapes_mini")
    command = [sys.executable, "-m", "tests.annotators.kit", str(tmp_path), "cityscapes_mini"]
    paths = {"PYTHONPATH": f"{ROOT}/scripts:{ROOT}"}
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=os.environ | paths
    ) as process:
        try:
            assert process.stdout is not None
            address, _, token = process.stdout.readline().strip().partition("/#token=")
            assert token == TOKEN and address.startswith("http://127.0.0.1:")
            headers = {"X-Token": token, "X-Annotator": "J%C3%BCrgen", "X-Session": "0" * 16}
            asked = httpx.get(f"{address}/api/cycle", headers=headers, trust_env=False)
            assert asked.json()["annotators"] == ["Jürgen"]
            with socket.create_connection(
                ("127.0.0.1", int(address.rsplit(":", 1)[1])), 30
            ) as line:
                told = "".join(f"{k}: {v}\r\n" for k, v in headers.items())
                head = f"POST /api/next HTTP/1.1\r\nHost: 127.0.0.1\r\n{told}"
                line.sendall(f"{head}Content-Length: 9999999999\r\n\r\n".encode())
                assert line.recv(100).startswith(b"HTTP/1.1 413")
        finally:
            process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
