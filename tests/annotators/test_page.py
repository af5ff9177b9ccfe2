"""The annotation page in a browser: what is drawn with mouse and keys is what is stored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from al.annotators.targets import Target, Work
from al.io.tables import RegionRow
from decomp_core import Region

from ..report.browser import browser, unavailable
from . import slow_paint as slow
from .kit import World, wait_for
from .page_object import Annotator, annotator, serving

pytestmark = pytest.mark.browser
NONE = 255


@pytest.fixture(autouse=True)
def chromium() -> None:
    if reason := unavailable():
        pytest.skip(f"no browser here: {reason}")


PAINT = """
const [cases, done] = arguments;
import("/static/paint.js").then((paint) => done(cases.map((held) => {
  const { height, width, axis, size } = held;
  const all = paint.moveAxis(Uint8Array.from(held.labels), size, axis);
  const mask = Uint8Array.from(held.mask);
  const n = height * width;
  const planes = [];
  for (let i = 0; i < all.length; i += n) {
    planes.push({ height, width, labels: all.subarray(i, i + n), mask });
  }
  const history = new paint.History(all, planes);
  const steps = held.strokes.map(([k, name, ...rest]) => {
    history.begin();
    if (name === "grow") rest.unshift(Uint8Array.from(held.image));
    const rect = paint[name](planes[k], ...rest);
    history.touch(k, rect);
    return { rect, changed: history.end(), after: [...all] };
  });
  const back = [];
  while (history.undo()) back.push([...all]);
  while (history.redo()) {}
  const runs = [...paint.fromRuns(paint.toRuns(all), all.length)];
  return { steps, back, again: [...all], runs, box: [...paint.moveAxis(all, size, axis, true)] };
})));
"""


def test_what_tools_paint_and_undo_takes_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    cases = [_case(rng) for _ in range(30)]
    world = World(tmp_path, "cityscapes_mini")
    with serving(world.app()) as address, browser(tmp_path) as page:
        page.driver.get(address)
        results = page.driver.execute_async_script(PAINT, cases)
    for case, result in zip(cases, results, strict=True):
        _compare(case, result)


def _case(rng: np.random.Generator) -> dict[str, Any]:
    """Labels of a box, and strokes in its planes."""
    axis = int(rng.integers(3))
    size = rng.integers(1, 16, 3)
    size[axis] = rng.integers(1, 4)
    height, width = (int(n) for n in np.delete(size, axis))
    colours = rng.integers(0, 3, (height, width, 1)) * 40 + rng.integers(0, 12, (height, width, 4))

    def anywhere(n: int) -> list[list[int]]:
        return rng.integers(-4, (height + 4, width + 4), (n, 2)).tolist()

    def stroke() -> list[Any]:
        plane, value = int(rng.integers(size[axis])), int(rng.choice([0, 1, 2, 254, NONE]))
        y, x = int(rng.integers(height)), int(rng.integers(width))
        kinds: list[list[Any]] = [
            ["segment", *anywhere(2), int(rng.integers(5)) * 2 + 1, value],
            ["polygon", anywhere(int(rng.integers(1, 7))), value],
            ["flood", y, x, value],
            ["grow", y, x, int(rng.integers(30)), value],
            ["fillRest", value],
        ]
        return [plane, *kinds[rng.integers(len(kinds))]]

    return {
        "labels": rng.choice([0, 1, 254, NONE], size.prod()).tolist(),
        "mask": (rng.random(height * width) < 0.9).astype(int).tolist(),
        "image": colours.ravel().tolist(),
        **{"height": height, "width": width, "axis": axis, "size": size.tolist()},
        "strokes": [stroke() for _ in range(8)],
    }


def _compare(case: dict[str, Any], result: dict[str, Any]) -> None:
    shape = case["height"], case["width"]
    mask = np.array(case["mask"], bool).reshape(shape)
    image = np.array(case["image"]).reshape(*shape, 4)[..., :3]
    box = np.array(case["labels"], np.uint8).reshape(case["size"])
    planes = np.moveaxis(box, case["axis"], 0).copy()
    seen = []
    for (plane, name, *rest, value), step in zip(case["strokes"], result["steps"], strict=True):
        labels, before = planes[plane], planes.copy()
        if name == "segment":
            painted = slow.brushed(shape, rest[:2], rest[2])
        elif name == "polygon":
            painted = slow.enclosed(shape, rest[0])
        elif name == "flood":
            painted = slow.joined(mask & (labels == labels[tuple(rest)]), rest)
        elif name == "grow":
            painted = slow.joined(mask & slow.alike(image, rest[:2], rest[2]), rest[:2])
        else:
            painted = labels == NONE
        labels[painted & mask] = value
        assert np.array_equal(np.reshape(step["after"], planes.shape), planes), (name, rest, value)
        changed = np.argwhere((planes != before).any(0))
        assert step["changed"] == bool(changed.size)
        if changed.size:
            seen.append(before)
            (top, left), (bottom, right) = changed.min(0), changed.max(0) + 1
            expected = {"top": top, "left": left, "bottom": bottom, "right": right}
            assert step["rect"] == expected, name
    assert np.array_equal(np.reshape(result["back"], (len(seen), *planes.shape)), seen[::-1])
    for held in (result["again"], result["runs"]):
        assert np.array_equal(np.reshape(held, planes.shape), planes)
    back = np.moveaxis(planes, 0, case["axis"])
    assert np.array_equal(np.reshape(result["box"], back.shape), back)


@pytest.fixture
def drawing(tmp_path: Path) -> Iterator[tuple[World, Annotator]]:
    """Somebody at work on a disc in an image."""
    world = World(tmp_path, "cityscapes_mini", footprint="disc")
    shown = {str(i): world.pixels(i, 7) for i in range(3)}
    np.savez(world.assignment.proposals, **shown)
    with serving(world.app()) as address, annotator(tmp_path) as ada:
        ada.begin(address, "Ada")
        yield world, ada


def test_an_image_is_painted_by_mouse_and_keys(drawing: tuple[World, Annotator]) -> None:
    world, ada = drawing
    target = world.targets[0]
    shape, mask, (top, left) = target.shape, target.mask(), target.region.region.start
    expected = np.full(shape, NONE, np.uint8)

    def here(*pixels: tuple[int, int]) -> list[tuple[int, int]]:
        return [(top + y, left + x) for y, x in pixels]

    line, corners, gap = [(2, 3), (9, 12), (16, 4)], [(4, 9), (4, 25), (18, 15)], [(0, 5), (19, 5)]
    ada.press("[", "3")
    ada.stroke(here(*line))
    expected[slow.brushed(shape, line, 7)] = 2
    ada.press("p", "shift+2")
    for corner in here(*corners):
        ada.click(corner)
    ada.press("enter")
    expected[slow.enclosed(shape, corners)] = 11
    ada.press("e", "[", "[", "[")
    ada.stroke(here(*gap))
    expected[slow.brushed(shape, gap, 1)] = NONE
    expected[~mask] = NONE
    assert np.array_equal(ada.labels[0], expected)
    ada.saved()
    assert np.array_equal(world.store.draft(target)[0], expected)
    # Undo to nothing and redo to what was there, with the class that was picked.
    ada.press("control+z", "control+z", "control+z", "control+z")
    assert (ada.labels == NONE).all() and ada.state["value"] == 11
    ada.press("control+y", "control+y", "control+y")
    assert np.array_equal(ada.labels[0], expected)
    ada.press("l", "1")
    ada.click(here((10, 3))[0])
    expected[slow.joined(mask & (expected == expected[10, 3]), (10, 3))] = 0
    # Another stroke by the keyboard alone, then the model's proposal for the rest.
    ada.press("b", "5", "c", *["arrow_right"] * 2, "space", "arrow_down", "arrow_down")
    at = np.argwhere(ada.labels[0] == 4)
    assert len(at) == 1
    expected[tuple(at[0])] = 4
    ada.press("c", "m")
    free = (expected == NONE) & mask
    ada.page.until("return document.getElementById('saved').className === 'saved'")
    expected[free] = world.pixels(0, 7)[free]
    assert np.array_equal(ada.labels[0], expected)
    void = np.count_nonzero(expected[mask] == NONE)
    ada.press("enter")
    assert f"{void} pixels" in ada.page.find("dialog[open] p").text
    ada.press("enter")
    ada.wait(2)  # of the same image
    (event,) = world.store.events()
    assert np.array_equal(event.labels, expected)
    changed = np.count_nonzero((expected != world.pixels(0, 7)) & mask)
    assert (event.annotator, event.shown, event.changed) == ("Ada", True, changed)
    assert event.tools == {"brush": 2, "polygon": 1, "eraser": 1, "fill": 1}
    assert ada.progress.startswith("1 of 3, median ")


def test_a_server_that_is_gone_loses_no_stroke(tmp_path: Path) -> None:
    world = World(tmp_path, "cityscapes_mini")
    top, left = world.targets[0].region.region.start
    with annotator(tmp_path) as ada:
        with serving(world.app()) as address:
            ada.begin(address, "Ada")
            ada.press("2")
            ada.stroke([(top + 3, left + 3), (top + 3, left + 15)])
            ada.saved()
        ada.stroke([(top + 12, left + 3), (top + 12, left + 15)])
        ada.page.until("return window.annotator.state().saved === 'failed'")
        drawn = ada.labels
        port = int(address.split(":")[2].split("/")[0])
        with serving(world.app(), port) as address:
            ada.saved()  # by itself
            assert np.array_equal(world.store.draft(world.targets[0])[0], drawn[0])
        ada.stroke([(top + 17, left + 3), (top + 17, left + 15)])
        ada.page.until("return window.annotator.state().saved === 'failed'")
        drawn = ada.labels
        with serving(world.app(), port):
            ada.page.driver.refresh()
            ada.wait(0)
            assert np.array_equal(ada.labels, drawn)
            ada.saved()
            assert np.array_equal(world.store.draft(world.targets[0])[0], drawn[0])
        with serving(world.app("another"), port) as address:
            ada.stroke([(top + 6, left + 3), (top + 6, left + 15)])
            ada.page.until(
                "return /printed last/.test(document.getElementById('messages').innerText)"
            )
            drawn = ada.labels
            ada.page.driver.get(address)
            ada.wait(0)
            assert np.array_equal(ada.labels, drawn)
        assert ada.page.complaints()  # of a server that was not reached


def test_erased_void_and_known_pixels_survive_another_browser(tmp_path: Path) -> None:
    world = World(tmp_path, "cityscapes_mini")
    target = world.targets[0]
    top, left = target.region.region.start
    whole = np.full(target.shape, 3, np.uint8)
    world.store.done(target, whole, Work(annotator="Bob"))
    with serving(world.app()) as address, annotator(tmp_path) as ada:
        ada.begin(address, "Ada")
        ada.page.find("#list [data-id='0']").click()
        ada.wait(0)
        for y, keys in {2: "[[[[2", 6: "v", 10: "e"}.items():
            ada.press(*keys)
            ada.stroke([(top + y, left + 2), (top + y, left + 15)])
        ada.saved()
        ada.page.driver.execute_script("localStorage.clear()")
        ada.page.driver.refresh()
        ada.introduce("Ada")
        ada.wait()
        ada.page.find("#list [data-id='0']").click()
        ada.wait(0)
        part = Region((top + 14, left), (3, 20))
        other = Target(RegionRow.of(1, target.region.image, "window", part, 0), target.row)
        world.store.done(other, np.full((3, 20), 4, np.uint8), Work(annotator="Bob"))
        ada.press("enter")
        ada.wait(2)  # of the same image
    whole[14:17] = 4  # since she has opened it
    whole[[2, 6, 10], 2:16] = [[1], [NONE], [NONE]]
    assert np.array_equal(world.store.events()[-1].labels, whole)


def test_another_drawing_is_shown_and_ones_own_is_offered(tmp_path: Path) -> None:
    world = World(tmp_path, "cityscapes_mini")
    target = world.targets[0]
    top, left = target.region.region.start
    with serving(world.app()) as address, annotator(tmp_path) as ada:
        ada.begin(address, "Ada")
        ada.press("2")
        ada.stroke([(top + 3, left + 3), (top + 3, left + 15)])
        ada.saved()
        world.store.save_draft(target, world.pixels(0), Work(annotator="Bob"), "b" * 32)
        ada.stroke([(top + 9, left + 3), (top + 9, left + 15)])
        mine = ada.labels
        ada.page.until("return document.querySelector('dialog[open]') !== null")
        assert "Bob has drawn" in ada.page.find("dialog[open]").text
        ada.press("enter")  # leaves it; it is offered again
        ada.page.driver.refresh()
        ada.page.until("return document.querySelector('dialog[open]') !== null")
        assert np.array_equal(world.store.draft(target)[0], world.pixels(0))
        ada.page.find("dialog[open] button").click()  # the first: one's own
        ada.wait(0)
        assert np.array_equal(ada.labels, mine)
        ada.saved()
        ada.press("control+z")
        assert np.array_equal(ada.labels[0], world.pixels(0))
        assert all("409" in said for said in ada.page.complaints())


def test_a_training_that_failed_is_tried_again_by_key(tmp_path: Path) -> None:
    world = World(tmp_path, "bracs_mini", n=1)
    world.run.given, world.run.state = None, "failed"
    with serving(world.app()) as address, annotator(tmp_path) as ada:
        ada.page.driver.get(address)
        ada.introduce("Ada")
        ada.page.until("return document.querySelector('#notice button') !== null")
        ada.page.run("document.querySelector('#notice button').focus()")
        ada.press("enter")
        wait_for(lambda: world.run.completed == 1)


def test_slices_are_painted_where_the_region_is(tmp_path: Path) -> None:
    world = World(tmp_path, "kits23_mini")
    target = world.targets[0]
    axis, region = target.row.axis, target.region.region
    height, width = np.delete(target.shape, axis)
    top, left = np.delete(region.start, axis)
    with serving(world.app()) as address, annotator(tmp_path) as ada:
        ada.begin(address, "Ada")
        line = [(top + 1, left + 1), (top + 6, left + 7)]
        for notch in (-100, 100, 100):
            ada.wheel((top, left), notch)
            ada.page.until("return window.annotator.state().ready")
        assert ada.state["slice"] == region.start[axis] - 1
        ada.press("2")
        ada.stroke(line)  # not in the region's slice
        assert (ada.labels == NONE).all()
        ada.press("home", *"[[[")
        ada.page.until(f"return window.annotator.state().slice === {region.start[axis]}")
        ada.wait()
        ada.stroke(line)
        expected = np.full((height, width), NONE, np.uint8)
        corners = [(y - top, x - left) for y, x in line]
        expected[slow.brushed(expected.shape, corners, 3)] = 1
        assert np.array_equal(ada.labels[0], expected)
        ada.press("1", "r", "enter")
        ada.wait(2)
    expected[expected == NONE] = 0
    (event,) = world.store.events()
    assert np.array_equal(event.labels, np.expand_dims(expected, axis))


def test_rois_get_classes_by_key(tmp_path: Path) -> None:
    world = World(tmp_path, "bracs_mini", n=4)
    with serving(world.app()) as address, annotator(tmp_path) as ada:
        ada.begin(address, "Ada")
        order = [ada.state["id"]]
        ada.press("3")
        ada.page.until(f"return ![null, {order[0]}].includes(window.annotator.state().id)")
        ada.wait()
        order.append(ada.state["id"])
        ada.page.find("#skip").click()  # the button, and keys for the reason
        ada.press("2", "enter")
        ada.page.until(f"return ![null, {order[1]}].includes(window.annotator.state().id)")
        ada.wait()
        left = [i for i in range(5) if i not in order]
        ada.press("g")
        for number, key in enumerate("571", 2):
            assert ada.state["selected"] in left
            ada.press(key)
            ada.page.until(f"return document.getElementById('bar').value === {number}")
        ada.page.until("return !document.getElementById('notice').hidden")
    events = world.store.events()
    assert [e.action for e in events] == ["done", "skipped", "done", "done", "done"]
    assert [e.label for e in events] == [2, None, 4, 6, 0]
    assert events[1].reason == "Outside my competence"
    rois = [t.row.roi for t in world.targets]
    assert [rois.index(e.roi) for e in events[:2]] == order
    assert sorted(rois.index(e.roi) for e in events[2:]) == sorted(left)


def test_a_region_that_another_has_taken_is_kept_and_comes_back(tmp_path: Path) -> None:
    world = World(tmp_path, "cityscapes_mini")
    target = world.targets[0]
    top, left = target.region.region.start
    with serving(world.app()) as address, annotator(tmp_path) as ada:
        ada.begin(address, "Ada")
        ada.press("2")
        ada.stroke([(top + 3, left + 3), (top + 3, left + 15)])
        ada.saved()
        ada.page.driver.set_network_conditions(offline=True, latency=0, throughput=0)
        ada.stroke([(top + 9, left + 3), (top + 9, left + 15)])
        ada.page.until("return window.annotator.state().saved === 'failed'")
        drawn = ada.labels
        # Her sign of life stays away for too long, and Bob's page opens the region.
        hers = ada.page.run("return window.annotator.page.api.session")
        world.store.release(target, hers)
        assert world.store.lease(target, "Bob", "b" * 32) is None
        ada.page.driver.set_network_conditions(offline=False, latency=0, throughput=0)
        ada.page.until("return document.querySelector('dialog[open]') !== null")
        assert "Bob" in ada.page.find("dialog[open]").text
        ada.press("enter")
        ada.page.until("return ![null, 0].includes(window.annotator.state().id)")
        world.store.release(target, "b" * 32)
        ada.wait()
        ada.page.find("#list [data-id='0']").click()
        ada.wait(0)
        assert np.array_equal(ada.labels, drawn)
        ada.saved()
        assert np.array_equal(world.store.draft(target)[0], drawn[0])
        assert all("ERR_INTERNET" in said or "409" in said for said in ada.page.complaints())
