"""The store of annotations: nothing is lost, nothing is asked for again, whoever writes when."""

from __future__ import annotations

import json
import multiprocessing
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from al.annotators.assignment import Assignment
from al.annotators.store import Store
from al.annotators.targets import DONE, OPEN, SKIPPED, Target, Work
from al.io.errors import DataError
from al.io.tables import PoolRow, RegionRow
from decomp_core import Region, footprint

CLASSES = ("a", "b", "c")
SHAPE = (12, 14)
FORMS = ("square", "disc")


def row(image: str, roi: str = "") -> PoolRow:
    return PoolRow(image, roi, "train", f"{image}.png", "", SHAPE)


def target(image: str, start: tuple[int, int], form: str = "square", order: int = 0) -> Target:
    return Target(RegionRow.of(1, image, "window", Region(start, (5, 5)), order), row(image), form)


def assignment(targets: list[Target], n: int, task: str = "2d") -> Assignment:
    return Assignment("r", "d", task, CLASSES, None, 1, 2, targets, n)


places = st.tuples(st.integers(0, 7), st.integers(0, 9))
regions = st.lists(
    st.tuples(st.sampled_from("xy"), places), min_size=6, max_size=6, unique=True
)  # four that are chosen, two spares
actions = st.lists(
    st.tuples(
        st.sampled_from(["done", "skip", "skip", "correct", "draft", "kill"]),
        st.integers(0, 1),  # which run, and which process
        st.integers(0, 5),  # which region of it
        st.integers(0, 2**32 - 1),
    ),
    max_size=12,
)


def _torn(folder: Path) -> None:
    """What a killed writer leaves."""
    (folder / "log").mkdir(parents=True, exist_ok=True)
    (folder / "log" / ".new.part-abcdefgh").write_text('{"annotator": "x", "ti')


@settings(max_examples=60, deadline=None)
@given(regions, regions, st.sampled_from(FORMS), actions)
def test_nothing_is_lost_or_asked_for_again(
    tmp_path_factory: Any, first: list, second: list, form: str, played: list
) -> None:
    """Two runs on one dataset against a map of last words, pixel by pixel."""
    folder = tmp_path_factory.mktemp("store")
    runs = [
        [target(image, start, form, i) for i, (image, start) in enumerate(run)]
        for run in (first, second)
    ]
    stores = [Store(folder, "2d", CLASSES) for _ in runs]
    words = {image: np.full(SHAPE, -1) for image in "xy"}
    disc = footprint("disc", (5, 5)) if form == "disc" else np.ones((5, 5), bool)
    said, drafts = 0, {}
    for action, who, which, seed in played:
        store, here = stores[who], runs[who][which]
        pixels = np.random.default_rng(seed).choice([0, 1, 2, 255], (5, 5)).astype(np.uint8)
        work = Work(annotator="an", seconds=2.0)
        if action == "kill":
            _torn(folder)
            stores[who] = Store(folder, "2d", CLASSES)
        elif action == "draft":
            store.save_draft(here, pixels, work)
            drafts[here.key] = np.where(disc, pixels, 255)
        elif action == "skip":
            store.skip(here, "spoilt", work)
            said += 1
        elif action == "done" or store.state(here) == DONE:
            store.done(here, pixels, work)
            drafts.pop(here.key, None)
            said += 1
            at = here.region.region.slices
            words[here.region.image][at] = np.where(disc, pixels, words[here.region.image][at])
    for store, run in zip(stores, runs, strict=True):
        assert [event.number for event in store.events()] == list(range(1, said + 1))
        asked = assignment(run, 4)
        active, waiting = asked.active(store), {t.key for t in asked.waiting(store)}
        given_up = [t for t in active if any(e.action == SKIPPED for e in store.history_of(t))]
        assert active[:4] == run[:4] and len(active) == 4 + min(2, len(given_up))
        for here in run:
            held = words[here.region.image][here.region.region.slices]
            labels, covered = store.known(here)
            np.testing.assert_array_equal(covered, held >= 0)
            np.testing.assert_array_equal(labels, np.where(held < 0, 255, held))
            whole = (held[disc] >= 0).all()
            skipped = any(e.action == SKIPPED for e in store.history_of(here))
            assert store.state(here) == (DONE if whole else SKIPPED if skipped else OPEN)
            assert (here.key in waiting) == (here in active and not whole and not skipped)
            kept = store.draft(here)
            assert (kept is not None) == (here.key in drafts)
            if kept is not None:
                np.testing.assert_array_equal(kept[0], drafts[here.key])


def _write(folder: Path, who: int) -> None:
    store = Store(folder, "2d", CLASSES)
    for i in range(25):
        pixels = np.full((5, 5), who, np.uint8)
        store.done(target("x", (who, i % 9)), pixels, Work(annotator=str(who)))


def test_processes_write_at_the_same_time(tmp_path: Path) -> None:
    processes = [multiprocessing.Process(target=_write, args=(tmp_path, w)) for w in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    events = Store(tmp_path, "2d", CLASSES).events()
    assert [event.number for event in events] == list(range(1, 76))
    assert sorted(event.annotator for event in events) == sorted(["0", "1", "2"] * 25)


def test_a_skipped_region_gives_its_place_to_the_next_of_its_image(tmp_path: Path) -> None:
    store, work = Store(tmp_path, "2d", CLASSES), Work(annotator="an")
    names = ["x", "y", "y", "x", "x"]  # two chosen, three spares
    targets = [target(name, (0, 2 * i), order=i) for i, name in enumerate(names)]
    asked = assignment(targets, 2)
    for skipped, active in ((0, [0, 1, 3]), (3, [0, 1, 3, 4]), (4, [0, 1, 3, 4, 2])):
        store.skip(targets[skipped], "spoilt", work)
        assert [t.region.order for t in asked.active(store)] == active
    store.skip(targets[2], "spoilt", work)  # no spare is left
    assert [t.region.order for t in asked.waiting(store)] == [1]
    store.done(targets[4], np.zeros((5, 5), np.uint8), work)
    store.done(targets[0], np.zeros((5, 5), np.uint8), work)  # somebody could after all
    assert [t.region.order for t in asked.active(store)] == [0, 1, 3, 4, 2], "none is dropped"
    # Spares that were skipped before the region, in another run, pass the place on.
    other = assignment([targets[i] for i in (4, 0, 3, 1)], 1)
    assert [t.region.order for t in other.active(store)] == [4, 0, 3, 1]


def test_another_picture_or_grid_under_the_same_name_is_not_annotated(tmp_path: Path) -> None:
    store, here = Store(tmp_path, "2d", CLASSES), target("x", (2, 2))
    seen = replace(here, sha256="one")
    store.done(seen, np.ones((5, 5), np.uint8), Work(annotator="an", sha256="one"))
    inside = Target(RegionRow.of(1, "x", "window", Region((3, 3), (2, 2)), 0), here.row)
    others = [replace(inside, sha256="two"), replace(inside, row=replace(here.row, shape=(6, 7)))]
    assert [store.state(t) for t in (seen, replace(inside, sha256="one"))] == [DONE, DONE]
    for other in others:
        assert store.state(other) == OPEN and not store.known(other)[1].any()
    assert store.history_of(replace(here, sha256="two")) == []


def test_rois_have_a_class(tmp_path: Path) -> None:
    store = Store(tmp_path, "roi", CLASSES)
    region = RegionRow(1, "x", "roi", *(None,) * 6, "r1", None, None, 0)
    here = Target(region, row("x", "r1"))
    for label in (1, 2):
        store.done(here, label, Work(annotator="an"))
    assert (store.label(here), store.state(here), len(store.history_of(here))) == (2, DONE, 2)
    with pytest.raises(ValueError, match="label 3; allowed: 0 to 2"):
        store.done(here, 3, Work(annotator="an"))


def test_one_session_has_a_region(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = (Store(tmp_path, "2d", CLASSES) for _ in range(2))
    here = target("x", (0, 0))
    assert first.lease(here, "ann", "s1") is None
    assert second.lease(here, "bob", "s2") == "ann"
    assert second.lease(here, "ann", "s1") is None, "the same session, by another server"
    second.release(here, "s2")
    assert second.lease(here, "bob", "s2") == "ann", "not its own to give back"
    monkeypatch.setattr("al.annotators.store.time.time", lambda: 4e9)

    # It ran out, and several servers find that out at the same time.
    look = Store.holder
    monkeypatch.setattr(Store, "holder", lambda *a: (look(*a), time.sleep(0.05))[0])
    with ThreadPoolExecutor(4) as pool:
        told = list(pool.map(lambda w: Store(tmp_path, "2d", CLASSES).lease(here, w, w), "abcd"))
    (winner,) = (who for who, other in zip("abcd", told, strict=True) if other is None)
    assert set(told) == {None, winner}


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda p: p.write_text(p.read_text()[:-9]), "put .* back from a copy"),
        (lambda p: p.unlink(), "number 2 is missing. Put it back from a copy"),
        (lambda p: p.write_text(json.dumps({**json.loads(p.read_text()), "pixels": "eJw="})),
         "back from a copy"),
    ],
)  # fmt: skip
def test_damage_is_told(tmp_path: Path, damage: Any, told: str) -> None:
    store = Store(tmp_path, "2d", CLASSES)
    for i in range(3):
        store.done(target("x", (i, i)), np.zeros((5, 5), np.uint8), Work(annotator="an"))
    damage(tmp_path / "log" / "00000002.json")
    with pytest.raises(DataError, match=told):
        Store(tmp_path, "2d", CLASSES).events()


def test_other_classes_are_refused(tmp_path: Path) -> None:
    Store(tmp_path, "2d", CLASSES).skip(target("x", (0, 0)), "spoilt", Work(annotator="an"))
    with pytest.raises(DataError, match="classes a, b, c; the run has 2d, a, c, b"):
        Store(tmp_path, "2d", ("a", "c", "b"))
