"""The contract of strategies, for every entry of config/strategies.yaml."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from decomp_core import Region
from glue.pool import by_image, openings
from glue.tables import RegionRow
from strategies.choose import Budget

from .contract import World, check_rotation, check_valid, definition, supported

SMALL = Budget(2, 3, (6, 7))
pytestmark = pytest.mark.parametrize(("name", "task"), supported())


def test_valid_over_cycles_until_the_pool_runs_out(name: str, task: str) -> None:
    world = World.make(task)
    history = world.play(definition(name), 9, SMALL)
    check_valid(world, history)
    check_rotation(world, history, 9)
    if task == "roi":
        assert len(history) == len(world.rows)


def test_full_images_leave_the_rotation(name: str, task: str) -> None:
    if task == "roi":
        pytest.skip("a RoI always fits")
    world = World.make(task, n=3)
    full, once, twice = by_image(world.rows)
    shape = by_image(world.rows)[full][0].shape
    # All but a margin of ``full`` is annotated: it was opened less often, but no window fits.
    regions = {
        full: [Region((0,) * len(shape), (*shape[:-1], shape[-1] - 3))],
        once: [Region((0,) * len(shape), (1,) * len(shape))],
        twice: [Region((k,) * len(shape), (1,) * len(shape)) for k in range(2)],
    }
    kind = "window" if task == "2d" else "slice_window"
    history = [
        RegionRow.of(cycle, image, kind, region, 0)
        for image, held in regions.items()
        for cycle, region in enumerate(held, start=1)
    ]
    history += [replace(r, cycle=3, y=8) for r in history if r.image != full]
    choice = world.cycle(definition(name), history, 4, Budget(1, 2, SMALL.window))
    assert {r.image for r in choice.rows} == {once}
    assert choice.reports == []


def test_whole_budget_is_used_when_it_fits(name: str, task: str) -> None:
    world = World.make(task)
    choice = world.cycle(definition(name), [], 2, SMALL)
    groups = by_image(world.rows)
    for image in {r.image for r in choice.rows}:
        fits = min(3, len(groups[image])) if task == "roi" else 3
        assert sum(r.image == image for r in choice.rows) == fits
    assert len({r.image for r in choice.rows}) == 2


def test_a_class_is_named_where_one_is_behind_the_choice(name: str, task: str) -> None:
    world, entry = World.make(task), definition(name)
    rows = world.cycle(entry, [], 2, SMALL).rows
    assert {r.cls is not None for r in rows} == {entry["regions"] == "decomp"}
    assert {r.score is not None for r in rows} == {entry["regions"] != "random"}
    for r in (r for r in rows if task == "roi" and entry["regions"] == "uncertainty"):
        place = [q.roi for q in by_image(world.rows)[r.image]].index(r.roi)
        assert r.score == pytest.approx(world.uncertainty[r.image][place])


def test_same_seed_same_choice_other_seed_other_choice(name: str, task: str) -> None:
    entry = definition(name)
    first = World.make(task).play(entry, 4, SMALL)
    assert World.make(task).play(entry, 4, SMALL) == first
    if "uncertainty" not in entry.values():
        assert World.make(task).play(entry, 4, SMALL, seed=4) != first


def test_order_of_rows_does_not_matter(name: str, task: str) -> None:
    world, shuffled = World.make(task), World.make(task)
    order = np.random.default_rng(1).permutation(len(world.rows))
    shuffled.rows = [shuffled.rows[i] for i in order]
    assert world.play(definition(name), 4, SMALL) == shuffled.play(definition(name), 4, SMALL)


def test_renaming_images_changes_nothing_for_deterministic_ones(name: str, task: str) -> None:
    entry = definition(name)
    if {entry["images"], entry["regions"]} != {"uncertainty"}:
        pytest.skip("draws from generators keyed by image name")
    world = World.make(task)
    names = {image: f"case-{99 - i}" for i, image in enumerate(by_image(world.rows))}
    history = world.play(entry, 4, SMALL)
    renamed = world.renamed(names).play(entry, 4, SMALL)
    places = [(names[r.image], r.roi, r.z, r.y, r.x, r.score) for r in history]
    assert places == [(r.image, r.roi, r.z, r.y, r.x, r.score) for r in renamed]


def test_one_class_everywhere(name: str, task: str) -> None:
    world = World.make(task, flat=True)
    history = world.play(definition(name), 5, SMALL)
    check_valid(world, history)
    assert len({r.image for r in history}) == 7
    assert max(openings(history).values()) <= 2


def test_image_smaller_than_the_window_is_clipped_and_reported(name: str, task: str) -> None:
    if task == "roi":
        pytest.skip("RoIs have no window")
    world = World.make(task)
    choice = world.cycle(definition(name), [], 2, Budget(2, 2, (64, 64)))
    assert [r for r in choice.reports if "clipped" in r]
    assert choice.rows
    check_valid(world, choice.rows)


def test_nothing_free_is_reported(name: str, task: str) -> None:
    world = World.make(task)
    choice = world.cycle(definition(name), [], 2, Budget(1, 500, (6, 7)))
    assert [r for r in choice.reports if "of 500 regions placed" in r]
    check_valid(world, choice.rows)
