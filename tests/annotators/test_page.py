"""The annotation page in a browser: what is drawn with mouse and keys is what is stored."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from al.annotators.page import views
from al.annotators.targets import Target, Work
from al.io.tables import RegionRow
from decomp_core import Region

from ..report.browser import unavailable
from . import slow_paint as slow
from .kit import World, wait_for
from .page_object import Annotator, annotator, serving

pytestmark = pytest.mark.browser
NONE = 255


@pytest.fixture(autouse=True)
def chromium() -> None:
    if reason := unavailable():
        pytest.skip(f"no browser here: {reason}")


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
    drawn, expected = expected, np.where(free, world.pixels(0, 7), expected)
    assert np.array_equal(ada.labels[0], expected)
    switch_off_and_on(ada, drawn)
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


def switch_off_and_on(ada: Annotator, drawn: np.ndarray) -> None:
    """What the proposal has filled goes, what was drawn stays; then it is filled again."""
    ada.press("m")
    ada.page.until("return !document.getElementById('proposal').checked")
    assert np.array_equal(ada.labels[0], drawn)
    ada.press("m")
    ada.page.until("return document.getElementById('proposal').checked")
    ada.page.until("return window.annotator.page.current.work.withdrawn === false")


SEEN = """
const { viewer } = window.annotator.page.screen;
const { left, top, width, height } = viewer.root.getBoundingClientRect();
const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
copy.drawImage(viewer.layers.image, 0, 0);
const found = [];
for (let y = 3; y < height; y += 17) {
  for (let x = 3; x < width; x += 17) {
    const at = viewer.toImage(x + 0.5 + left, y + 0.5 + top);
    found.push([at.y, at.x, ...copy.getImageData(x, y, 1, 1).data]);
  }
}
return [viewer.zoom, found, [...viewer.scene.tiles.kept.keys()]];
"""
EXACT = """
window.annotator.page.screen.pixels().then((p) => arguments[0]([...p.slice(0, 40000)]))
"""


def test_a_large_image_is_seen_as_it_is_wherever_one_looks(tmp_path: Path) -> None:
    world = World(tmp_path, "cityscapes_mini", height=600, width=1300)
    row = world.rows[0]
    for i, (start, size) in enumerate((((550, 1250), 40), ((0, 100), 600))):
        region = RegionRow.of(1, row.image, "window", Region(start, (size, size)), i)
        world.targets[i] = Target(region, row)
    image = world.layout.open_image(row)
    levels = views.pyramid_of(image).levels
    with serving(world.app()) as address, annotator(tmp_path, 800, 600) as ada:
        ada.begin(address, "Ada")
        before = ada.page.run(SEEN)[0]
        ada.page.driver.set_window_size(900, 700)  # what was fitted still is
        ada.page.until(lambda: ada.page.run(SEEN)[0] > before)
        for i in range(2):
            ada.page.find(f"#list [data-id='{i}']").click()
            ada.wait(i)
            for keys in (["f"], ["shift+f"], ["+"] * 5, ["+"] * 9):
                ada.press(*keys)
                ada.page.until("const s = window.annotator.state(); return s.ready && s.sharp")
                zoom, found, tiles = ada.page.run(SEEN)
                seen = np.array(found)
                at, level = seen[:, :2], max(0, int(np.floor(np.log2(1 / zoom))))
                last = np.subtract(image.shape[:2], 1)
                edge = np.abs(at - np.rint(at)) * zoom < 1  # of a pixel, in those of the screen
                told = ((at >= 1) & (at < last) & ~(edge & (zoom >= 1.5))).all(1)
                assert np.count_nonzero(told) > 50
                row, column = at[told].astype(int).T >> level
                far = np.abs(seen[told, 2:5] - levels[level][row, column]).max(1)
                needed = np.unique(np.stack([row, column], 1) // 512, axis=0)
                assert {f"{level} {i} {j}" for i, j in needed} <= {*tiles}
                # Reduced: between pixels of a level, and from JPEG.
                assert np.median(far) < 16 if zoom < 1.5 else not far.any(), (i, keys)
        snapped = np.reshape(ada.page.driver.execute_async_script(EXACT), (-1, 4))[:, :3]
        assert np.array_equal(snapped, image[:, 100:700].reshape(-1, 3)[: len(snapped)])


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


BESIDE = """
const { sides } = window.annotator.page.screen.views;
return sides.map(({ shownAt, scene }) => {
  const [axis, index] = shownAt.split(" ").map(Number);
  return [axis, index, [...scene.labels.plane.labels]];
});
"""


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
        for other, index, labels in ada.page.run(BESIDE):
            section = np.take(np.expand_dims(expected, axis), index - region.start[other], other)
            assert labels == section.ravel().tolist()
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
        ada.press("2")
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
