"""What a strategy lacks is said in few words."""

from __future__ import annotations

import numpy as np
import pytest

from al.report.curves import Curve
from al.report.shortfalls import shortfalls


def _curve(seed: int, cycles: list[int]) -> Curve:
    values = np.array(cycles, float)
    return Curve("s", seed, np.array(cycles), values, values)


@pytest.mark.parametrize(
    ("held", "seeds", "cycles", "said"),
    [
        ({0: [1, 2, 3], 1: [1, 2, 3]}, (0, 1), 3, []),
        ({0: [1, 2, 3], 1: [1, 3]}, (0, 1), 3, ["cycle 2 missing for seed 1"]),
        ({0: [1, 3], 1: [1, 3], 2: [1, 2, 3]}, (), 0, ["cycle 2 missing for seeds 0 and 1"]),
        ({0: [1, 2], 1: [1, 2, 3]}, (0, 1), 3, ["seed 0 to cycle 2 of 3"]),
        ({0: [1], 1: [1, 2], 2: [1, 2, 3]}, (), 3, ["seeds end at cycle 1 to 3 of 3"]),
        ({0: [1, 6]}, (0,), 6, ["4 cycles missing"]),
        (
            {0: [1, 3], 2: [1, 3]},
            (0, 1, 2),
            4,
            ["2 of 3 seeds", "cycle 2 missing", "to cycle 3 of 4"],
        ),
    ],
)
def test_what_is_missing(
    held: dict[int, list[int]], seeds: tuple[int, ...], cycles: int, said: list[str]
) -> None:
    assert shortfalls([_curve(s, c) for s, c in held.items()], seeds, cycles) == said
