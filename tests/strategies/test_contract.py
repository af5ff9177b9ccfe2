"""The contract of strategies: every entry of config/strategies.yaml fills a budget, and the first
entry of each combination of selectors keeps to all of it, for every task they support.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from al.io.pool import by_image, openings
from al.io.tables import RegionRow
from al.strategies import needs_of
from al.strategies.budget import Budget
from al.strategies.choose import choose
from al.strategies.definitions import parts_of
from al.strategies.offer import Offer
from al.strategies.spares import choose_spares
from decomp_core import Region

from .contract import (
    CLASSES,
    RANDOM,
    World,
    check_rotation,
    check_valid,
    definition,
    has_room,
    pairs,
    supported,
)

PATCH = {"2d": None, "3d": (2, 6, 7), "roi": None}
CYCLES = 9


def small(task: str, images: int = 2, regions: int = 4, window: tuple[int, int] = (6, 7)) -> Budget:
    """Return a budget; two windows of a volume are as large as one patch."""
    return Budget(images, regions, window, PATCH[task])


def images_first(name: str) -> bool:
    return "images" in definition(name)


every_entry = pytest.mark.parametrize(("name", "task"), supported())
every_pair = pytest.mark.parametrize(("name", "task"), pairs())
every_box = pytest.mark.parametrize(("name", "task"), [p for p in pairs() if p[1] != "roi"])
every_rotation = pytest.mark.parametrize(
    ("name", "task"), [p for p in pairs() if p[1] != "roi" and images_first(p[0])]
)


@cache
def played(name: str, task: str) -> tuple[World, list[RegionRow]]:
    """Return a world and what was chosen in it until its pool ran out, or nearly."""
    world = World.make(task)
    return world, world.play(definition(name), CYCLES, small(task))


def until(cycle: int, history: list[RegionRow]) -> list[RegionRow]:
    return [row for row in history if row.cycle <= cycle]


DRAWN = {"random", "diverse", "decomp", "coreset", "badge", "badge_kmeans", "cluster"}
DRAWN |= {"random_fg33", "random_fg66", "spatial_features"}


def draws(name: str) -> bool:
    """Whether a generator has a say in an entry's choice, of those that are known."""
    entry = definition(name)
    noise = entry.get("beta", "none") != "none" or entry.get("strata", False)
    return noise or bool({entry.get(key) for key in ("images", "regions", "pool")} & DRAWN)


@cache
def deterministic(name: str, task: str) -> bool:
    """Whether another seed makes the same choice after the same first cycle."""
    entry, world = definition(name), World.make(task)
    first = world.cycle(RANDOM, [], 1, small(task)).rows
    choices = [world.cycle(entry, first, 2, small(task), seed).rows for seed in (3, 4, 5)]
    return choices[0] == choices[1] == choices[2]


@every_entry
def test_whole_budget_is_used_when_it_fits(name: str, task: str) -> None:
    world, budget, entry = World.make(task), small(task), definition(name)
    choice = world.cycle(entry, [], 2, budget)
    check_valid(world, choice.rows)
    check_class_and_score(world, choice.rows, name)
    if not images_first(name):
        assert len(choice.rows) == budget.total(task)
        return
    groups = by_image(world.rows)
    quotas = budget.spread(entry["spread"], len(groups))
    chosen = openings(choice.rows)
    assert len(chosen) == len(quotas)
    for image in chosen:
        fits = min(quotas[0], len(groups[image])) if task == "roi" else quotas[0]
        assert sum(r.image == image for r in choice.rows) == fits
    if task != "roi":
        assert [r.order for r in choice.rows] == list(range(8))


def check_class_and_score(world: World, rows: list[RegionRow], name: str) -> None:
    """They are named where they are behind the choice, and patches are patches."""
    entry = definition(name)
    by_class = any(part.by_class for part in parts_of(entry))
    classes = {r.cls for r in rows}
    if "random_fg" not in name:
        assert (classes != {None}) == (by_class and entry.get("strata", True))
    if entry.get("pool") == "clasp" and entry["strata"]:
        assert None in classes  # what is left after the classes' share
    assert classes <= {None, *range(len(CLASSES))}
    if entry.get("regions") in {"uncertainty", "cluster", "coreset", "badge", "badge_kmeans"}:
        assert all(r.score is not None for r in rows)
        for r in (r for r in rows if world.task == "roi"):
            place = [q.roi for q in by_image(world.rows)[r.image]].index(r.roi)
            assert r.score == pytest.approx(world.uncertainty[r.image][place])
    if "pool" in entry and world.task == "3d":
        assert {(r.kind, r.region.size) for r in rows} == {("patch", (2, 6, 7))}


@every_pair
def test_valid_over_cycles_until_the_pool_runs_out(name: str, task: str) -> None:
    world, history = played(name, task)
    check_valid(world, history)
    if images_first(name):
        check_rotation(world, history, CYCLES)
    if task == "roi":
        assert len(history) == len(world.rows)


@every_pair
def test_spares_are_what_comes_next(name: str, task: str) -> None:
    """They fit beside what was chosen, in the images that were opened, and are the same again."""
    world, first = World.make(task), until(2, played(name, task)[1])
    query = world.query(definition(name), first, 3, small(task))
    chosen = choose(query).rows
    spares = choose_spares(query, chosen)
    check_valid(world, [*first, *chosen, *spares])
    assert spares and spares == choose_spares(query, chosen)
    if images_first(name):
        assert {r.image for r in spares} <= {r.image for r in chosen}


@every_rotation
def test_full_images_leave_the_rotation(name: str, task: str) -> None:
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
    choice = world.cycle(definition(name), history, 4, Budget(1, 2, (6, 7)))
    opened = [once, twice][: len(Budget(1, 2, (6, 7)).spread(definition(name)["spread"], 3))]
    assert {r.image for r in choice.rows} == set(opened)
    assert choice.reports == []


@every_pair
def test_another_seed_makes_another_choice_where_one_is_drawn(name: str, task: str) -> None:
    parts = {definition(name).get(key) for key in ("images", "regions", "pool")} - {None}
    if parts <= {"uncertainty", "spatial"} or name in ("pe", "bald"):
        assert deterministic(name, task)
    elif parts & (DRAWN - {"decomp", "cluster", "badge", "badge_kmeans"}) or "power" in name:
        assert not deterministic(name, task)


@every_pair
def test_the_same_seed_and_any_order_of_rows_shards_and_jobs_is_the_same_choice(
    name: str, task: str
) -> None:
    shuffled = World.make(task)
    shuffled.order = 1
    history = shuffled.play(definition(name), 3, small(task))
    assert history == until(4, played(name, task)[1])


@pytest.mark.parametrize(("name", "task"), [p for p in pairs() if not draws(p[0])])
def test_renaming_images_changes_nothing_for_deterministic_ones(name: str, task: str) -> None:
    if not deterministic(name, task):
        pytest.skip("draws from generators keyed by image name")
    world, history = played(name, task)
    names = {image: f"case-{99 - i}" for i, image in enumerate(by_image(world.rows))}
    other, history = world.renamed(names), until(4, history)
    before = [replace(r, image=names[r.image]) for r in history]
    for cycle in (2, 3, 4):
        moved = other.cycle(definition(name), until(cycle - 1, before), cycle, small(task)).rows
        same = [r for r in before if r.cycle == cycle]
        # Equals of an image are drawn, those of two images go by name: the scores are the same.
        assert sorted((r.image, r.score) for r in moved) == sorted((r.image, r.score) for r in same)


@every_pair
def test_ground_truth_is_read_only_by_those_who_say_so(name: str, task: str) -> None:
    entry, world = definition(name), World.make(task)
    first, rng = until(3, played(name, task)[1]), np.random.default_rng(5)
    world.truth = {k: rng.permutation(v.ravel()).reshape(v.shape) for k, v in world.truth.items()}
    assert (world.play(entry, 2, small(task)) != first) == ("truth" in needs_of(entry))


@every_box
def test_every_region_holds_ground_truth_unless_all_are_offered(name: str, task: str) -> None:
    world, budget = World.make(task), small(task, regions=2)
    world.hide_truth()
    for offer in (world.offer, Offer()):
        world.offer = offer
        history = world.play(definition(name), 4, budget)
        check_valid(world, history)
        if images_first(name):
            check_rotation(world, history, 4)
        held = [(world.truth[r.image][r.region.slices] != 255).any() for r in history]
        assert all(held) == bool(offer.void)
        assert len(history) > 8


@every_pair
def test_annotated_in_between(name: str, task: str) -> None:
    """What is left is no contiguous block: every second RoI, or every second column of windows."""
    world = World.make(task)
    if task == "roi":
        rows = [r for group in by_image(world.rows).values() for r in group[1::2]]
        before = [RegionRow(1, r.image, "roi", *(None,) * 6, r.roi, None, None, 0) for r in rows]
    else:
        before = [
            RegionRow.of(1, image, "window", Region((0,) * (len(s) - 1) + (x,), (*s[:-1], 4)), 0)
            for image, s in ((r.image, r.shape) for r in world.rows)
            for x in range(7, s[-1] - 4, 11)
        ]
    history = before + world.cycle(definition(name), before, 2, small(task)).rows
    check_valid(world, history)
    assert len(history) > len(before)


@every_pair
def test_one_class_everywhere(name: str, task: str) -> None:
    world = World.make(task, flat=True)
    history = world.play(definition(name), 3, small(task))
    check_valid(world, history)
    if images_first(name):
        check_rotation(world, history, 3)
    for cycle in (2, 3, 4) if task != "roi" else ():
        wanted = 8 if images_first(name) else small(task).total(task)
        assert sum(r.cycle == cycle for r in history) == wanted


@every_box
def test_image_smaller_than_the_region_is_clipped_and_reported(name: str, task: str) -> None:
    world = World.make(task)
    budget = Budget(2, 2, (64, 64), (9, 64, 64) if task == "3d" else None)
    choice = world.cycle(definition(name), [], 2, budget)
    assert [r for r in choice.reports if "clipped" in r]
    assert choice.rows
    check_valid(world, choice.rows)


@every_pair
def test_nothing_free_is_reported(name: str, task: str) -> None:
    world, budget = World.make(task, n=3), small(task, 1, 400)
    choice = world.cycle(definition(name), [], 2, budget)
    assert [r for r in choice.reports if "regions placed" in r and " of " in r]
    check_valid(world, choice.rows)
    entry = definition(name)
    greedy = entry.get("pool") is not None and "candidates" not in entry
    if greedy and task != "roi":
        size = (2, 6, 7) if task == "3d" else (6, 7)
        assert not any(has_room(world, choice.rows, i, size) for i in by_image(world.rows))
