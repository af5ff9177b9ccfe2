"""Validation images are annotated by the same strategy, beside the training pool."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from al.io.tables import PoolRow, RegionRow
from al.strategies import needs_of
from al.strategies.batch import Candidates
from al.strategies.budget import Budget, validation_images
from al.strategies.choose import Query, choose, propose
from al.strategies.validation import in_parts, with_validation

from .contract import CLASSES, RANDOM, World, check_valid, definition, pairs

BUDGET = Budget(2, 3, (6, 7))
STEERING = {"image05", "image06"}
rois = pytest.mark.parametrize("name", [name for name, task in pairs() if task == "roi"])


def split(world: World) -> tuple[list[PoolRow], list[PoolRow]]:
    training = [row for row in world.rows if row.image not in STEERING]
    return training, [row for row in world.rows if row.image in STEERING]


def features_of(world: World, query: Query, history: list[RegionRow]) -> Candidates:
    """Return the candidates of both parts in one, as the file of a cycle holds them."""
    rows = [row for _, choice in in_parts(propose, query) for row in choice.rows]
    seen = replace(query, rows=world.rows)

    def features(regions: list[RegionRow]) -> np.ndarray:
        found = [world._feature(seen, row) for row in regions]
        return np.array(found, np.float32).reshape(len(regions), len(CLASSES))

    residuals = features(rows) - np.float32(0.25)
    return Candidates(rows, features(rows), residuals, features(history), query.definition)


def asked(world: World, entry: dict[str, Any], history: list[RegionRow], cycle: int) -> Query:
    """Return a cycle's question about the pool and one validation image."""
    training, steering = split(world)
    bare = entry if "features" not in needs_of(entry) else RANDOM
    query = replace(world.query(bare, history, cycle, BUDGET), rows=training, definition=entry)
    if bare is not entry:
        known = world.query({"images": "uncertainty", "regions": "uncertainty", "spread": 1},
                            history, cycle, BUDGET)  # fmt: skip
        query = replace(query, statistics=known.statistics, records=known.records)
        proposed = features_of(world, with_validation(query, steering, 1), history)
        query = replace(query, candidates=proposed)
    return with_validation(query, steering, 1)


def play(world: World, entry: dict[str, Any], cycles: int) -> list[RegionRow]:
    history: list[RegionRow] = []
    for cycle in range(1, cycles + 1):
        query = asked(world, RANDOM if cycle == 1 else entry, history, cycle)
        history += [row for _, choice in in_parts(choose, query) for row in choice.rows]
    return history


@rois
def test_both_are_annotated_until_they_run_out(name: str) -> None:
    world = World.make("roi")
    history = play(world, definition(name), 14)
    check_valid(world, history)
    assert len(history) == len(world.rows)
    opened = {(row.cycle, row.image) for row in history if row.image in STEERING}
    if "images" in definition(name):
        assert max(Counter(cycle for cycle, _ in opened).values()) == 1
    for cycle in {row.cycle for row in history}:
        assert [r.order for r in history if r.cycle == cycle] == list(
            range(sum(r.cycle == cycle for r in history))
        )


@rois
def test_the_training_pool_is_chosen_from_as_if_there_were_no_validation(name: str) -> None:
    world, entry = World.make("roi"), definition(name)
    first = play(world, entry, 1)
    query = asked(world, entry, first, 2)
    (_, training), (_, steering) = in_parts(choose, query)
    ((_, alone),) = in_parts(choose, replace(query, validation=None))
    assert training.rows == alone.rows
    assert {row.image for row in steering.rows} <= STEERING
    assert steering.rows and not {row.image for row in training.rows} & STEERING


def test_classes_are_weighted_as_the_training_pool_says() -> None:
    world, entry = World.make("roi"), definition("decomp")
    query = asked(world, entry, play(world, entry, 1), 2)
    training, steering = query.parts
    own = replace(steering.state, weighted_by=None).class_weights(entry)
    weights = steering.state.class_weights(entry)
    np.testing.assert_array_equal(weights, training.state.class_weights(entry))
    assert np.abs(weights - own).max() > 0.01


def test_images_of_the_validation_set_have_random_numbers_of_their_own() -> None:
    world = World.make("roi")
    training, steering = asked(world, RANDOM, [], 1).parts
    assert training.rng().random() != steering.rng().random()


def test_a_third_of_the_images_and_at_least_one() -> None:
    assert [validation_images("third", n) for n in (1, 2, 5, 6, 20)] == [1, 1, 1, 2, 6]
    assert [validation_images(n, 20) for n in (0, 4)] == [0, 4]
