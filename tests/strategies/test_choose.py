"""Image scores and weights as METHODS define them, on hand-worked pools."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from glue.errors import ConfigError
from glue.tables import PoolRow
from learners import LEARNERS
from strategies import REGION_SELECTORS, check_definition, needs_of
from strategies.choose import Budget, choose, pool_state
from strategies.image_selectors import class_weights, decomp_images
from strategies.registry import PoolState, Selector, register_images

from .contract import CLASSES, World, definition


def state(
    predicted: list[list[int]], confident: list[list[int]], task: str = "2d", **kw
) -> PoolState:
    n, c = np.shape(predicted)
    return PoolState(
        images=tuple(f"i{k}" for k in range(n)),
        sizes=np.full(n, 100),
        unlabelled=kw.get("unlabelled", np.full(n, 100)),
        room=np.ones(n, bool),
        openings=kw.get("openings", np.zeros(n, int)),
        predicted=np.array(predicted),
        confident=np.array(confident),
        uncertainty=np.zeros(n),
        task=task,
        classes=tuple("abcdef"[:c]),
    )


def test_weights_run_over_eligible_images_only() -> None:
    s = state([[60, 40], [80, 20]], [[60, 0], [0, 20]], openings=np.array([1, 0]))
    # Only i1 is in the current loop: kappa = (0, 1), so W = (1, 0).
    np.testing.assert_allclose(class_weights(s, definition("decomp")), [1, 0])


def test_image_score_is_capped_at_a_tenth() -> None:
    s = state([[95, 5], [50, 50]], [[95, 0], [50, 0]])
    # kappa = (1, 0), W = (0, 1); min(5, 10) and min(50, 10).
    np.testing.assert_allclose(decomp_images(s, definition("decomp")), [5, 10])
    fraction = {**definition("decomp"), "score": "fraction"}
    np.testing.assert_allclose(decomp_images(s, fraction), [0.05, 0.1])


def test_roi_score_counts_presence() -> None:
    s = state([[3, 0], [1, 1]], [[1, 0], [0, 1]], task="roi")
    # kappa = (1/4, 1), W = (1, 0); the cap is one RoI.
    np.testing.assert_allclose(decomp_images(s, definition("decomp")), [1, 1])


def test_equal_weights_can_mean_random_images() -> None:
    s = state([[10, 0], [0, 10]], [[5, 0], [0, 5]])
    entry = {**definition("decomp"), "equal_weights": "random"}
    assert decomp_images(s, entry).tolist() == [0, 0]
    assert decomp_images(s, definition("decomp")).tolist() == [5, 5]


def test_emphasis_multiplies_weights() -> None:
    s = state([[10, 10]], [[5, 5]])
    entry = {**definition("decomp"), "emphasis": {"b": 3}}
    np.testing.assert_allclose(class_weights(s, entry), [0.25, 0.75])


def test_needs_follow_from_the_parts() -> None:
    assert needs_of(definition("decomp")) == {"labels"}
    assert needs_of(definition("uncertainty")) == {"labels", "uncertainty"}


SETTINGS = {"task": "2d", "learner": "convnet", "thresholds": [0.5, 0.7], "classes": ["a", "b"]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": "decmp"}, "did you mean 'decomp'"),
        ({"regions": "uncertain"}, "did you mean 'uncertainty'"),
        ({"tau": 0.6}, "tau 0.6"),
        ({"emphasis": {"c": 2}}, "emphasis of unknown class 'c'"),
    ],
)
def test_wrong_entries_are_refused(change: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_definition("mine", {**definition("decomp"), **change}, SETTINGS)


def test_a_learner_without_features_is_refused_where_they_are_needed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    part = Selector(lambda task, rng: [], frozenset({"features"}), frozenset({"2d"}))
    monkeypatch.setitem(REGION_SELECTORS, "cluster", part)
    entry = {**definition("decomp"), "regions": "cluster"}
    check_definition("mine", entry, SETTINGS)
    plain = replace(LEARNERS["convnet"], has_features=False)
    monkeypatch.setitem(LEARNERS, "plain", plain)
    with pytest.raises(ConfigError, match="'mine' needs features .* learner 'plain' has none"):
        check_definition("mine", entry, {**SETTINGS, "learner": "plain"})


@pytest.mark.parametrize("name", ["random", "uncertainty", "decomp"])
def test_only_random_windows_open_the_volume_for_its_body(name: str) -> None:
    world, opened = World.make("3d"), []
    records = world.records([])
    statistics = {
        k: (r.unlabelled, r.predicted, r.confident[0], r.mean_uncertainty)
        for k, r in records.items()
    }

    def centres(row: PoolRow) -> np.ndarray:
        opened.append(row.image)
        body = np.zeros(row.shape, bool)
        body[2, 8:12, 8:12] = True
        return body

    budget = Budget(2, 1, (3, 5))
    state = pool_state(world.rows, [], statistics, "3d", CLASSES, budget.window)
    choice, _ = choose(
        state, world.rows, [], lambda names: [records[n] for n in names],
        definition(name), budget, 0, 2, centres,
    )  # fmt: skip
    assert opened == ([r.image for r in choice.rows] if name == "random" else [])
    if name == "random":
        assert all(r.z == 2 and 8 <= r.y + 1 < 12 and 8 <= r.x + 2 < 12 for r in choice.rows)


def test_duplicate_selector_names_are_refused() -> None:
    with pytest.raises(ValueError, match="registered twice"):
        register_images("decomp")(lambda state, options: state.uncertainty)
