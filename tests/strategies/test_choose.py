"""Image scores and weights as METHODS define them, on hand-worked pools."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from al.io.errors import ConfigError
from al.io.tables import PoolRow
from al.strategies import REGION_SELECTORS, check_definition, needs_of, note_of, resolve
from al.strategies.budget import Budget
from al.strategies.centres import body_mask
from al.strategies.choose import choose
from al.strategies.pool_state import PoolState
from al.strategies.registry import register_images, register_regions
from al.strategies.selectors.images import decomp_images
from decomp_core import footprint

from .contract import CONFIG, ENTRIES, ROOT, World, definition


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
        classes=tuple("abcdefghijklmnopqrst"[:c]),
    )


def test_weights_run_over_eligible_images_only() -> None:
    s = state([[60, 40], [80, 20]], [[60, 0], [0, 20]], openings=np.array([1, 0]))
    # Only i1 is in the current loop: kappa = (0, 1), so W = (1, 0).
    np.testing.assert_allclose(s.class_weights(definition("decomp")), [1, 0])


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
    # kappas decide, not weights: 0.900 and 0.904 agree, 0.90 and 0.91 of 20 classes do not
    near = state([[1000, 1000]], [[900, 904]])
    apart = state([[100] * 20], [[90] * 19 + [91]])
    assert decomp_images(near, {**entry, "emphasis": {"b": 3}}).tolist() == [0]
    assert decomp_images(apart, entry).tolist() != [0]


def test_emphasis_multiplies_weights() -> None:
    s = state([[10, 10]], [[5, 5]])
    entry = {**definition("decomp"), "emphasis": {"b": 3}}
    np.testing.assert_allclose(s.class_weights(entry), [0.25, 0.75])


def test_needs_follow_from_the_parts() -> None:
    assert needs_of(definition("random")) == set()
    assert needs_of(definition("decomp")) == {"statistics", "labels"}
    assert needs_of(definition("uncertainty")) == {"statistics", "uncertainty"}
    assert needs_of(definition("decomp_cluster")) == {"statistics", "uncertainty", "features"}
    assert "residuals" in needs_of(definition("badge"))
    assert needs_of(definition("clasp_pe")) == {"patches"}
    assert needs_of(definition("bald")) == {"patches", "ensemble"}
    assert needs_of(definition("random_fg66")) == {"truth"}


def test_only_what_reads_ground_truth_or_is_ours_carries_a_note() -> None:
    notes = {name: note_of(definition(name)) for name in ENTRIES}
    assert {name for name, note in notes.items() if note == "reads ground truth"} == {
        "random_fg33",
        "random_fg66",
    }
    assert {name for name, note in notes.items() if note == "our formulation"} == {
        "spatial",
        "spatial_features",
    }
    assert set(notes.values()) == {"", "reads ground truth", "our formulation"}


SETTINGS = {
    **CONFIG,
    "task": "2d",
    "learner": "convnet",
    "thresholds": [0.5, 0.7],
    "classes": ["a", "b"],
}


def test_a_task_that_a_selector_does_not_do_is_refused() -> None:
    with pytest.raises(ConfigError, match="'spatial' does not do task '3d'"):
        check_definition("mine", definition("spatial"), {**SETTINGS, "task": "3d"})


def test_options_come_from_the_sections_an_entry_reads() -> None:
    entry = resolve("mine", {"images": "decomp", "regions": "cluster"}, CONFIG)
    assert entry["tau"] == 0.7 and entry["candidates"] == 3 and "sigma" not in entry
    assert "tau" not in resolve("mine", {"images": "random", "regions": "cluster"}, CONFIG)
    assert definition("clasp_pe")["beta_steps"] == CONFIG["cycles"]
    assert not {"beta_steps", "strata_share"} & set(definition("pe"))
    assert "earlier_centres" in definition("coreset")
    for wrong in (
        {"images": "uncertainty", "regions": "cluster", "earlier_centres": True},
        {"images": "uncertainty", "regions": "decomp", "cap": 0.2},
        {"pool": "spatial_features", "per_image": 1},
        {"pool": "clasp", "beta": 1, "beta_steps": 3},
    ):
        with pytest.raises(ConfigError, match="is not read by its selectors"):
            resolve("mine", wrong, CONFIG)


def test_definitions_read_the_same_in_every_process() -> None:
    """Otherwise Snakemake sees other params and selects, and trains, everything again."""
    code = "from tests.strategies.contract import ENTRIES, definition\n"
    code += "print({name: definition(name) for name in ENTRIES})"
    path = f"{ROOT}:{ROOT / 'scripts'}"
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            check=True,
            env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": str(seed)},
        ).stdout
        for seed in range(2)
    }
    assert len(found) == 1


def test_strategies_that_the_learner_cannot_serve_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    check_definition("mine", definition("cluster"), SETTINGS)
    with pytest.raises(ConfigError, match="'mine' needs features .* learner 'nnunet' has none"):
        check_definition("mine", definition("cluster"), {**SETTINGS, "learner": "nnunet"})
    with pytest.raises(ConfigError, match="'mine' needs an ensemble, and convnet.members is 1"):
        check_definition("mine", definition("bald"), SETTINGS)
    check_definition("mine", definition("bald"), {**SETTINGS, "convnet": {"members": 2}})
    nested = {"nested": [[1, 2], [2]], "nested_order": [1, 2]}
    with pytest.raises(ConfigError, match="'mine' needs class probabilities that sum to 1"):
        check_definition("mine", definition("pe"), {**SETTINGS, "convnet": nested})


@pytest.mark.parametrize("name", ["random", "uncertainty", "decomp"])
def test_only_random_windows_open_the_volume_for_its_body(name: str) -> None:
    world, opened = World.make("3d"), []

    def centres(row: PoolRow) -> np.ndarray:
        opened.append(row.image)
        body = np.zeros(row.shape, bool)
        body[2, 8:12, 8:12] = True
        return body

    query = world.query(definition(name), [], 2, Budget(2, 1, (3, 5)), seed=0)
    choice = choose(replace(query, centres=centres))
    assert opened == ([r.image for r in choice.rows] if name == "random" else [])
    if name == "random":
        assert all(r.z == 2 and 8 <= r.y + 1 < 12 and 8 <= r.x + 2 < 12 for r in choice.rows)


def test_images_of_one_size_draw_from_generators_of_their_own() -> None:
    world = World.make("2d")
    world.rows = [replace(row, shape=(30, 40)) for row in world.rows]
    rows = world.cycle(definition("random"), [], 2, Budget(5, 1, (6, 7))).rows
    assert len({(row.y, row.x) for row in rows}) == 5


def test_duplicate_and_unknown_registrations_are_refused() -> None:
    with pytest.raises(ValueError, match="registered twice"):
        register_images("decomp")(lambda state, options: state.uncertainty)
    with pytest.raises(ValueError, match=r"needs \['lables'\]; allowed"):
        register_images("mine", needs=frozenset({"lables"}))


@pytest.mark.parametrize(("floor", "good"), [(2, True), (0.5, True), ("two", False), (True, False)])
def test_options_declared_with_a_selector(
    floor: object, good: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(REGION_SELECTORS, "mine", raising=False)
    register_regions("mine", options={"floor": 1.0})(lambda task, rng: [])
    try:
        entry = {"images": "random", "regions": "mine"}
        assert resolve("mine", entry, CONFIG)["floor"] == 1.0
        if good:
            assert resolve("mine", {**entry, "floor": floor}, CONFIG)["floor"] == floor
        else:
            with pytest.raises(ConfigError, match=r"floor is .*; allowed: float, such as 1\.0"):
                resolve("mine", {**entry, "floor": floor}, CONFIG)
    finally:
        REGION_SELECTORS.pop("mine")


def test_spread_keeps_the_total() -> None:
    budget = Budget(5, 3, (4, 4))
    assert budget.spread(1, 9) == [3] * 5
    assert budget.spread(2, 99) == [2] * 5 + [1] * 5
    assert budget.spread(0.4, 99) == [8, 7]
    assert budget.spread(100, 99) == [1] * 15
    assert budget.spread(2, 4) == [4, 4, 4, 3]  # fewer images share the same total
    assert budget.spread(1, 4) == [3] * 4


@pytest.mark.parametrize("name", ["decomp", "cluster", "decomp_sparse", "uncertainty_pool"])
def test_a_pool_with_fewer_images_than_the_budget(name: str) -> None:
    world = World.make("2d", n=3)
    choice = world.cycle(definition(name), [], 2, Budget(5, 2, (6, 7)))
    whole = name in ("decomp_sparse", "uncertainty_pool")
    assert len(choice.rows) == (10 if whole else 6)
    assert [r for r in choice.reports if "6 of 10 regions placed" in r] == (
        [] if whole else ["6 of 10 regions placed, 3 images are left"]
    )


def test_a_pool_wide_budget_has_as_many_pixels() -> None:
    assert Budget(6, 5, (8, 8)).total("2d") == 30
    assert Budget(6, 5, (8, 8), (8, 8, 8)).total("3d") == 4  # 1920 / 512, rounded
    assert Budget(1, 1, (8, 8), (20, 20, 20)).total("3d") == 1
    assert Budget(6, 5, (8, 8), (20, 20, 20)).total("roi") == 30


def test_patches_follow_the_slice_axis() -> None:
    row = PoolRow("a", "", "train", "", "", (20, 30, 6), 2)
    assert Budget(1, 1, (8, 9), (4, 8, 9)).box_in(row) == ((8, 9, 4), "")
    assert Budget(1, 1, (8, 9)).box_in(row) == ((8, 9, 1), "")
    size, note = Budget(1, 1, (8, 9), (7, 8, 9)).box_in(row)
    assert size == (8, 9, 6) and "clipped" in note


@pytest.mark.parametrize("name", ["random", "uncertainty", "decomp"])
@pytest.mark.parametrize("task", ["2d", "3d"])
def test_windows_of_any_shape(name: str, task: str) -> None:
    world = World.make(task)
    ring = footprint("annulus", (7, 7))
    history = world.play(definition(name), 4, Budget(2, 4, (7, 7), footprint="annulus"))
    assert len(history) == 40
    for row in world.rows:  # boxes may overlap, what is annotated may not
        covered = np.zeros(row.shape, int)
        for r in (r.region for r in history if r.image == row.image):
            covered[r.slices] += ring.reshape(r.size)
        assert covered.max() <= 1
    squares = world.play(definition(name), 4, Budget(2, 4, (7, 7)))
    assert [r.score for r in history] != [r.score for r in squares] or name == "random"
    if name == "decomp":  # scores count pixels of the class in the ring, not in the box
        for r in (r for r in history if r.cls is not None):
            box = world.maps[r.image][r.region.slices].reshape(7, 7)
            assert r.score == (box[ring] == r.cls).sum()


def test_boxes_are_refused_another_shape() -> None:
    for name in ("cluster", "uncertainty_pool", "clasp_pe"):
        with pytest.raises(ConfigError, match="chooses boxes, and footprint is 'disc'"):
            check_definition(name, definition(name), {**SETTINGS, "footprint": "disc"})


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_without_penalty_spatial_is_the_most_uncertain_of_the_pool(weight: float) -> None:
    world, budget = World.make("2d"), Budget(3, 4, (6, 7))
    plain = world.play(definition("uncertainty_pool"), 3, budget)
    spatial = world.play({**definition("spatial"), "penalty": weight}, 3, budget)
    assert (spatial == plain) == (weight == 0)


def test_strides_follow_the_slice_axis() -> None:
    row = PoolRow("a", "", "train", "", "", (20, 30, 9), 2)
    assert Budget(1, 1, (6, 6), (3, 6, 6)).stride_in(row, [3, 1, 1]) == (1, 1, 3)
    assert Budget(1, 1, (6, 6), (3, 6, 6)).stride_in(row, 2) == 2
    world = World.make("3d", n=1)
    name = world.rows[0].image
    for held in (world.maps, world.uncertainty):
        held[name] = np.ascontiguousarray(np.moveaxis(held[name], 0, 2))
    world.rows = [replace(world.rows[0], shape=world.maps[name].shape, axis=2)]
    entry = {**definition("clasp_pe"), "stride": [3, 1, 1]}
    rows = world.cycle(entry, [], 2, Budget(6, 4, (4, 5), (2, 4, 5))).rows
    assert {r.region.size for r in rows} == {(4, 5, 2)}
    assert {r.x % 3 for r in rows} == {0} and {r.z % 3 for r in rows} != {0}


def test_core_set_can_keep_away_from_earlier_labels() -> None:
    world, budget = World.make("roi"), Budget(3, 2, (1, 1))
    query = world.query(definition("coreset"), [], 2, budget)
    rows = query.candidates.rows
    far = next(i for i, r in enumerate(rows) if r.image != rows[0].image)
    features = np.zeros((len(rows), 2), np.float32)
    features[far] = 5  # the only candidate that lies far from what was annotated
    held = replace(query.candidates, features=features, annotated=np.zeros((3, 2), np.float32))
    first = choose(replace(query, candidates=held)).rows[0]
    assert (first.image, first.roi) == (rows[far].image, rows[far].roi)


def test_patches_in_reserve_fill_what_the_strata_leave() -> None:
    world, budget = World.make("3d", n=2), Budget(4, 12, (6, 7), (2, 6, 7))
    entry = {**definition("clasp_pe"), "patches_per_image": 2}
    query = world.query(entry, [], 2, budget)
    assert {r.order for r in query.patches} == {0, 1}
    assert len(choose(query).rows) == budget.total("3d") == 24


def test_body_is_the_largest_component() -> None:
    volume = np.full((3, 8, 8), -1000.0)
    volume[:, 1:5, 1:5] = 40
    volume[:, 6:, 6:] = 40
    mask = body_mask(volume, -200, 500)
    assert mask.sum() == 3 * 16 and mask[0, 2, 2] and not mask[0, 7, 7]
    assert body_mask(volume, 900, 950).all()
