"""Image scores and weights as METHODS define them, on hand-worked pools."""

from __future__ import annotations

import numpy as np
import pytest

from glue.errors import ConfigError
from strategies import check_definition, needs_of
from strategies.image_selectors import class_weights, decomp_images
from strategies.registry import PoolState, register_images

from .contract import definition


def state(
    predicted: list[list[int]], confident: list[list[int]], task: str = "2d", **kw
) -> PoolState:
    n, c = np.shape(predicted)
    return PoolState(
        images=tuple(f"i{k}" for k in range(n)),
        sizes=np.full(n, 100),
        unlabelled=kw.get("unlabelled", np.full(n, 100)),
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


SETTINGS = {"task": "2d", "thresholds": [0.5, 0.7], "classes": ["a", "b"]}


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


def test_duplicate_selector_names_are_refused() -> None:
    with pytest.raises(ValueError, match="registered twice"):
        register_images("decomp")(lambda state, options: state.uncertainty)
