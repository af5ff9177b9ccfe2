"""What of a run is there and what is missing, against a slow count."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from al.paths import INITIAL, Place
from al.report.curves import FULL, FULL_SAME_STEPS
from al.report.gather import metrics_of, missing_of, truth_counts

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


@settings(max_examples=30)
@given(st.sampled_from([[0], [0, 1, 2], [2, 5]]), st.data())
def test_missing_counts_each_hole_once(seeds: list[int], data: st.DataObject) -> None:
    every = planned(seeds)
    held = data.draw(st.sets(st.sampled_from(every)))
    found = [point(n, s, c, 0.5, budget=b) for b, n, s, c in held]
    lines, lacking, total = missing_of(look(seeds), found)
    # The first cycle that strategies share is missing for each of them.
    gone = [STRATEGIES if n == INITIAL else [n] for _, n, *_ in set(every) - held]
    assert lacking == sum(map(len, gone)) and bool(lines) == bool(lacking)
    assert total == len(seeds) * (len(BUDGETS) * len(STRATEGIES) * CYCLES + len(REFERENCES))


def test_missing_is_said_in_a_line_per_strategy_and_reference() -> None:
    held = {*planned([0, 1, 2])}
    held -= {("2x3", "decomp", s, c) for s in (0, 1) for c in (2, 3)} | {("4x1", INITIAL, 2, 1)}
    held -= {("", FULL, 0, 0), ("", FULL, 2, 0)}
    found = [point(n, s, c, 0.5, budget=b) for b, n, s, c in held]
    assert missing_of(look([0, 1, 2]), found)[0] == [
        "decomp, budget 2x3: cycles 2-3 of seeds 0-1",
        "random, budget 4x1: cycle 1 of seed 2",
        "decomp, budget 4x1: cycle 1 of seed 2",
        "reference full: seeds 0, 2",
    ]


def test_metrics_are_those_planned(tmp_path: Path) -> None:
    wanted = planned([0, 1])[::2]
    others = [("9x9", "decomp", 0, 2), ("2x3", "badge", 0, 2), ("2x3", "decomp", 7, 2)]
    others += [("2x3", "decomp", 0, CYCLES + 1), ("", FULL, 7, 0)]
    files = [tmp_path / Place(*key).path / "metrics.json" for key in [*wanted, *others]]
    for file in files:
        file.parent.mkdir(parents=True)
        file.touch()
    found = metrics_of(tmp_path, look([0, 1]))
    assert sorted(found) == sorted(files[: len(wanted)]), "each once, shared ones as well"


def test_truth_is_that_of_what_may_be_annotated(tmp_path: Path) -> None:
    (tmp_path / "pools").mkdir()
    head = "image,roi,split,path,label_path,shape,axis,group\n"
    rows = [("x", "train"), ("y", "val"), ("z", "test"), ("w", "train")]
    text = "".join(f"{image},,{split},p,l,4x4,,\n" for image, split in rows)
    (tmp_path / "pools/seed-2.csv").write_text(head + text)
    assert truth_counts(tmp_path, look([2])) == {}, "not counted yet"
    (tmp_path / "truth.json").write_text('{"x": [1, 2, 9], "y": [10, 0, 9], "w": [100, 5, 0]}')
    assert truth_counts(tmp_path, look([2])) == {"a": 101, "b": 7}
    both = look([2], splits=["train", "val"])
    assert truth_counts(tmp_path, both) == {"a": 111, "b": 7}
