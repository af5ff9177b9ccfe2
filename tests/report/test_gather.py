"""What of a run is there and what is missing, against a slow count."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from al.paths import INITIAL
from al.report.curves import FULL, FULL_SAME_STEPS, Curve
from al.report.gather import metrics_of, missing_of, truth_counts
from al.report.shortfalls import shortfalls

from .curve_sample import point

BUDGETS, STRATEGIES = ["2x3", "4x1"], ["random", "decomp"]
REFERENCES = [FULL, FULL_SAME_STEPS]
CYCLES = 4
Key = tuple[str, str, int, int]


def look(seeds: list[int], **more: Any) -> dict[str, Any]:
    """Keys of a look that this module reads."""
    return {
        **{"budgets": BUDGETS, "strategies": STRATEGIES, "references": REFERENCES, "seeds": seeds},
        **{"cycles": CYCLES, "classes": ["a", "b"], "splits": ["train"]},
    } | more


def planned(seeds: list[int]) -> list[Key]:
    """Every result as its file is: the first cycle once for all strategies."""
    keys = [(b, INITIAL, s, 1) for b in BUDGETS for s in seeds]
    keys += [
        (b, n, s, c) for b in BUDGETS for n in STRATEGIES for s in seeds for c in range(2, 1 + 4)
    ]
    return keys + [("", n, s, 0) for n in REFERENCES for s in seeds]


def missing(seeds: list[int], held: set[Key]) -> tuple[list[str], int, int]:
    return missing_of(look(seeds), [point(n, s, c, 0.5, budget=b) for b, n, s, c in held])


def named(line: str) -> set[Key]:
    """All results that a line speaks of."""
    reference = re.fullmatch(r"reference (\w+): seeds? ([\d, -]+)", line)
    if reference:
        return {("", reference[1], s, 0) for s in numbers(reference[2])}
    cycle = re.fullmatch(r"(\w+), budget (\w+): cycles? ([\d, -]+) of seeds? ([\d, -]+)", line)
    name, budget, cycles, seeds = cycle.groups()
    return {(budget, name, s, c) for s in numbers(seeds) for c in numbers(cycles)}


def numbers(text: str) -> list[int]:
    """Read ``1-3, 5`` back."""
    found = []
    for part in text.split(", "):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


@settings(max_examples=40)
@given(st.sampled_from([[0], [0, 1, 2], [2, 5]]), st.data())
def test_missing_names_each_hole_once(seeds: list[int], data: st.DataObject) -> None:
    every = planned(seeds)
    held = data.draw(st.sets(st.sampled_from(every)))
    lines, lacking, total = missing(seeds, held)
    gone: list[Key] = []  # one per strategy, also of the first cycle that they share
    for budget, strategy, seed, cycle in set(every) - held:
        owners = STRATEGIES if strategy == INITIAL else [strategy]
        gone += [(budget, name, seed, cycle) for name in owners]
    said = [key for line in lines for key in named(line)]
    assert sorted(said) == sorted(gone) and lacking == len(gone)
    assert total == len(seeds) * (len(BUDGETS) * len(STRATEGIES) * CYCLES + len(REFERENCES))
    # `read_points` gives the first cycle to the strategies that go on from it.
    renamed = set()
    for budget, strategy, seed, cycle in held:
        users = {n for b, n, s, _ in held if (b, s) == (budget, seed)} & set(STRATEGIES)
        names = users if strategy == INITIAL and users else {strategy}
        renamed |= {(budget, name, seed, cycle) for name in names}
    assert missing(seeds, renamed) == (lines, lacking, total)


@settings(deadline=None, max_examples=12)
@given(held=st.sets(st.sampled_from(planned([0, 1]))))
def test_metrics_are_those_planned(
    held: set[Key], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("run")
    wanted = set()
    unplanned = [("9x9", "decomp", 0, 2), ("2x3", "badge", 0, 2), ("2x3", "decomp", 7, 2)]
    unplanned += [("2x3", "decomp", 0, CYCLES + 1), ("", FULL, 7, 0)]
    for budget, name, seed, cycle in [*held, *unplanned]:
        place = folder / f"references/{name}/seed-{seed}"
        if cycle:
            place = folder / f"{budget}/{name}/seed-{seed}/cycle-{cycle:03d}"
        place.mkdir(parents=True)
        (place / "metrics.json").write_text("{}")
        if (budget, name, seed, cycle) in held:
            wanted.add(place / "metrics.json")
    found = metrics_of(folder, look([0, 1]))
    assert set(found) == wanted and len(found) == len(wanted), "each once, shared ones as well"


def test_truth_is_that_of_what_may_be_annotated(tmp_path: Path) -> None:
    (tmp_path / "pools").mkdir()
    head = "image,roi,split,path,label_path,shape,axis\n"
    rows = [("x", "train"), ("y", "val"), ("z", "test"), ("w", "train")]
    text = "".join(f"{image},,{split},p,l,4x4,\n" for image, split in rows)
    (tmp_path / "pools/seed-2.csv").write_text(head + text)
    assert truth_counts(tmp_path, look([2])) == {}, "not counted yet"
    (tmp_path / "truth.json").write_text('{"x": [1, 2, 9], "y": [10, 0, 9], "w": [100, 5, 0]}')
    assert truth_counts(tmp_path, look([2])) == {"a": 101, "b": 7}
    both = look([2], splits=["train", "val"])
    assert truth_counts(tmp_path, both) == {"a": 111, "b": 7}


@pytest.mark.parametrize(
    ("held", "seeds", "cycles", "said"),
    [
        ({0: [1, 2, 3], 1: [1, 2, 3]}, (0, 1), 3, []),
        ({0: [1, 3], 1: [1, 3], 2: [1, 2, 3]}, (), 0, ["cycle 2 missing for seeds 0 and 1"]),
        ({0: [1, 2], 1: [1, 2, 3]}, (0, 1), 3, ["seed 0 to cycle 2 of 3"]),
        ({0: [1], 1: [1, 2], 2: [1, 2, 3]}, (), 3, ["seeds end at cycle 1 to 3 of 3"]),
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
    assert (
        shortfalls([Curve("s", s, *3 * [np.array(c)]) for s, c in held.items()], seeds, cycles)
        == said
    )
