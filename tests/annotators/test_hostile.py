"""What the server of the annotation page refuses, and how it tells what fails."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from al.annotators.page import bodies
from al.annotators.store import Store
from al.annotators.targets import Work
from al.io.errors import DataError

from .kit import World, log_of, packed, say, wait_for


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, "cityscapes_mini")


FINE = {"pixels": packed(np.zeros((20, 20), np.uint8)), "seconds": 1, "tools": {}}
HEADERS = [
    {"X-Token": "wrong"},
    {"X-Token": "s\xe9cret"},
    {"Host": "evil.example"},
    {"Host": "127.0.0.1.evil.example:8000"},
    {"Origin": "http://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:8888"},  # another program on this machine
    {"X-Annotator": ""},
    {"X-Annotator": "%00ada"},
    {"X-Annotator": "a%0Ab"},
    {"X-Annotator": "%E2%80%AEada"},  # right to left
    {"X-Annotator": "%ff"},
    {"X-Annotator": "a" * 61},
    {"X-Session": "../../etc"},
    {"X-Session": "1"},
]
BODIES = [
    b"[1]",
    b"{",
    b'{"seconds": NaN}',
    b"[" * 50_000,
    json.dumps(FINE | {"seconds": "NaN"}).encode(),
    json.dumps(FINE).replace('"seconds": 1', '"seconds": 1e999').encode(),
    json.dumps(FINE).replace('"seconds": 1', '"seconds": ' + "9" * 4000).encode(),
    *(
        json.dumps(FINE | change).encode()
        for change in (
            {"seconds": True},
            {"seconds": -1},
            {"pixels": None},
            {"pixels": packed(np.zeros((20, 21), np.uint8))},
            {"pixels": packed(np.full((20, 20), 19, np.uint8))},
            {"pixels": FINE["pixels"][:-4] + "A=A="},
            {"pixels": FINE["pixels"][:-4] + "\n=A="},
            {"pixels": FINE["pixels"][:-1] + "é"},
            {"tools": {"../x": 1}},
            {"tools": {"brush": 1.5}},
            {"tools": {"brush": True}},
            {"tools": [1]},
            {"proposal": {"shown": 1}},
            {"proposal": {"shown": True, "changed": 401}},
            {"proposal": {"shown": True, "changed": "1"}},
        )
    ),
]
IDS = (
    "../0",
    "%2e%2e%2f0",
    "..%2f..%2fetc%2fpasswd",
    "-1",
    "5",
    "0x0",
    "1e0",
    "٠",
    "0 ",
    "9" * 5000,
)


def test_what_a_hostile_client_sends_is_refused_and_nothing_is_written(world: World) -> None:
    app = world.app()
    ada = world.client(app)
    assert say(ada, "POST", 0, "open").status_code == 200
    assert say(ada, "PUT", 0, "draft", FINE | {"seconds": 2}).status_code == 200
    before = log_of(world.annotations)
    refused = []
    for header in HEADERS:
        encoded = {k: v.encode("latin-1") for k, v in header.items()}
        tab = world.client(app)
        tab.headers.update(encoded)
        for way, path in (("POST", "done"), ("PUT", "draft"), ("GET", "tile/0/0/0")):
            answer = tab.request(way, f"/api/regions/0/{path}", json=FINE)
            refused.append((403, answer, header))
    assert "printed last" in refused[0][1].json()["message"]
    bare = TestClient(app, "http://127.0.0.1:8000")
    refused.append((403, bare.get("/api/cycle"), "no token"))
    for body in BODIES:
        for way, path in (("POST", "done"), ("PUT", "draft")):
            answer = ada.request(way, f"/api/regions/0/{path}", content=body)
            refused.append((400, answer, body[-60:]))
    for reason in ("", "  \n", 3, "a\0b", "\ud800", "a\u202e", "x" * 501):
        body = json.dumps({"reason": reason}).encode()
        refused.append((400, ada.post("/api/regions/0/skip", content=body), reason))
    for number in IDS:
        for way, path in (("POST", "open"), ("POST", "done"), ("GET", "tile/0/0/0")):
            answer = ada.request(way, f"/api/regions/{number}/{path}", json=FINE)
            refused.append((404, answer, number[:20]))
    for at in ("1/0/0", "0/1/0", "0/0/1", "0/-1/0", "0/0/9999999", "0/1.0/0", "0/0x0/0", "0/٠/0"):
        refused.append((404, say(ada, "GET", 0, f"tile/{at}"), at))  # it has one tile
    for path in (
        "/api/regions/0/tile/0/0/../../x",
        "/static/..%2fserver.py",
        "/static/server.py",
        "/x",
    ):
        refused.append((404, ada.get(path), path))
    refused.append((404, say(ada, "POST", 4, "open"), "a spare nobody asked for"))
    refused.append((409, say(ada, "PUT", 0, "draft", FINE | {"cycle": 2}), "another cycle"))
    refused.append((409, say(ada, "PUT", 1, "draft", FINE), "never opened"))
    limit = bodies.most_bytes(400)
    refused.append((413, ada.put("/api/regions/0/draft", content=b" " * (limit + 1)), "large"))
    sent: list[int] = []

    def endless() -> Any:
        for _ in range(1000):
            sent.append(1)
            yield b" " * 10_000

    refused.append((413, ada.post("/api/regions/0/skip", content=endless()), "no length told"))
    for status, answer, what in refused:
        assert answer.status_code == status, (what, answer.text)
        assert answer.json().keys() <= {"message", "reason", "by"} and answer.json()["message"]
        assert "Traceback" not in answer.text and "nosniff" in answer.headers.values(), what
    assert log_of(world.annotations) == before
    assert ada.get("/", headers={"Host": "evil.example"}).status_code == 403
    policy = bare.get("/").headers["Content-Security-Policy"]
    assert bare.get("/").status_code == 200 and bare.get("/static/style.css").status_code == 200
    assert "default-src 'self'" in policy and "unsafe" not in policy


def test_what_fails_inside_is_told_without_a_traceback(world: World, monkeypatch, capsys) -> None:
    ada = world.client(world.app())

    def broken(_: Any) -> None:
        raise RuntimeError("of the inside")

    monkeypatch.setattr(Store, "median_seconds", broken)
    answer = ada.get("/api/cycle")
    assert answer.status_code == 500 and answer.json().keys() == {"message"}
    assert "inside" not in answer.text and "of the inside" in capsys.readouterr().err


def test_a_damaged_draft_is_named_and_passed_over(world: World) -> None:
    world.store.save_draft(world.targets[0], world.pixels(0), Work(annotator="ada"))
    (file,) = (world.annotations / "drafts").glob("*.json")
    file.write_bytes(file.read_bytes()[:-9])
    ada = world.client(world.app())
    told = ada.post("/api/next", json={})
    assert (told.status_code, told.json()["id"]) == (422, 0) and file.name in told.json()["message"]
    assert world.store.holder(world.targets[0]) is None
    assert ada.post("/api/next", json={"not": [0]}).json()["id"] == 1
    assert say(ada, "POST", 0, "skip", {"reason": "a draft"}).status_code == 200


def test_a_run_that_did_not_go_on_is_told_and_tried_again(tmp_path: Path, capsys) -> None:
    world = World(tmp_path, "bracs_mini", n=1)
    world.run.failing = [ValueError("of the inside"), DataError("x.csv: damaged")]
    ada = world.client(world.app())
    assert ada.post("/api/again").status_code == 409  # nothing has failed
    assert say(ada, "POST", 0, "open").status_code == 200
    world.run.state = "training"
    assert say(ada, "POST", 0, "done", world.answer(0)).status_code == 200
    wait_for(lambda: ada.get("/api/cycle").json()["standing"]["state"] == "failed")
    said = [ada.get("/api/run").json()["standing"], ada.post("/api/again").json()["standing"]]
    assert [s["state"] for s in said] == ["failed", "failed"] and world.run.completed == 0
    assert said[0]["message"] == "x.csv: damaged" and "inside" not in said[1]["message"]
    assert "of the inside" in capsys.readouterr().err
    assert ada.post("/api/again").json()["standing"]["state"] == "training"
    world.run.state = "failed"  # the training
    assert ada.post("/api/again").status_code == 200 and world.run.completed == 2


def test_a_file_system_without_hard_links_is_refused_at_once(world: World, monkeypatch) -> None:
    def refused(*_: Any) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refused)
    with pytest.raises(DataError, match=f"{world.annotations}: .* hard links"):
        world.app()
    assert [*world.annotations.glob("*")] == []
