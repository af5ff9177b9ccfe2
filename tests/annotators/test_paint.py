"""What the tools of the annotation page paint, against a slow rasterisation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ..report.browser import browser, unavailable
from . import slow_paint as slow
from .kit import World
from .page_object import serving

pytestmark = pytest.mark.browser
NONE = 255

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
    if reason := unavailable():
        pytest.skip(f"no browser here: {reason}")
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
