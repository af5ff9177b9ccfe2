"""What is revealed and what it costs, against hand-worked values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from al.annotators.simulated import reveal
from al.io.files import write_json
from al.io.labels import UNKNOWN, read_label
from al.io.tables import LabelRow, PoolRow, RegionRow
from al.scoring.costs import annotation_costs, count_truth
from decomp_core import Region, footprint


class Truth:
    """A layout that knows labels only."""

    def __init__(self, labels: dict[str, np.ndarray]) -> None:
        self.labels = labels

    def open_label(self, row: PoolRow) -> np.ndarray:
        return self.labels[row.key]

    def threads(self) -> int:
        return 2


def test_reveal_and_costs(tmp_path: Path) -> None:
    truth = {
        k: np.random.default_rng(i).integers(0, 3, (10, 12), dtype=np.uint8)
        for i, k in enumerate("ab")
    }
    truth["a"][2, 2] = UNKNOWN
    pool = [PoolRow(k, "", "train", "", "label", (10, 12)) for k in "ab"]
    row = RegionRow(1, "a", "window", None, 2, 2, None, 3, 4, "", None, None, 0)
    labels, _ = reveal(Truth(truth), pool, [row], [], tmp_path / "labels")
    assert [(r.image, r.path) for r in labels] == [("a", "labels/a.png")]
    absolute = [LabelRow("a", "", str(tmp_path / "labels/a.png"), None)]
    shown = read_label(absolute[0].path)
    known = np.zeros((10, 12), bool)
    known[2:5, 2:6] = True
    np.testing.assert_array_equal(shown[known], truth["a"][known])
    assert (shown[~known] == UNKNOWN).all()

    write_json(tmp_path / "truth.json", count_truth(Truth(truth), pool, 3))
    spent = annotation_costs(pool, [row], absolute, tmp_path / "truth.json", list("xyz"), 0)
    costs = spent["costs"]
    assert costs["area_percent"] == pytest.approx(100 * 12 / 240)
    assert (costs["images"], costs["images_percent"], costs["regions"]) == (1, 50, 1)
    both = np.concatenate([truth["a"].ravel(), truth["b"].ravel()])
    foreground = ((shown > 0) & (shown < 3)).sum() / ((both > 0) & (both < 3)).sum()
    assert costs["foreground_percent"] == pytest.approx(100 * foreground)
    assert spent["annotated"]["z"] == pytest.approx(100 * (shown == 2).sum() / (both == 2).sum())

    bare = [pool[0], replace(pool[1], label_path="")]
    unknown = annotation_costs(bare, [row], absolute, tmp_path / "truth.json", list("xyz"), 0)
    assert unknown["annotated"] == dict.fromkeys("xyz")
    assert unknown["costs"] == costs | {"foreground_percent": None}


def test_region_of_a_test_image_is_refused(tmp_path: Path) -> None:
    row = RegionRow(1, "t", "window", None, 0, 0, None, 1, 1, "", None, None, 0)
    with pytest.raises(ValueError, match="neither train nor val"):
        reveal(Truth({}), [PoolRow("t", "", "test", "", "", (2, 2))], [row], [], tmp_path / "l")


def test_second_reveal_adds_to_the_first_and_leaves_it_alone(tmp_path: Path) -> None:
    truth = {"a": np.arange(120, dtype=np.uint8).reshape(10, 12)}
    pool = [PoolRow("a", "", "train", "", "", (10, 12))]
    rows = [
        RegionRow(c, "a", "window", None, 0, 4 * c, None, 2, 2, "", None, None, 0) for c in (1, 2)
    ]
    first, _ = reveal(Truth(truth), pool, rows[:1], [], tmp_path / "1/labels")
    known = [LabelRow("a", "", str(tmp_path / "1" / first[0].path), None)]
    before = (tmp_path / "1/labels/a.png").read_bytes()
    second, _ = reveal(Truth(truth), pool, rows[1:], known, tmp_path / "2/labels")
    shown = read_label(tmp_path / "2" / second[0].path)
    assert (shown != UNKNOWN).sum() == 8
    assert (tmp_path / "1/labels/a.png").read_bytes() == before


@pytest.mark.parametrize(("kind", "axis"), [("window", None), ("slice_window", 1)])
def test_a_disc_is_revealed_and_paid_for_as_a_disc(
    kind: str, axis: int | None, tmp_path: Path
) -> None:
    shape, size = (12, 12), (7, 7)
    if axis is not None:
        shape, size = (12, 4, 12), (7, 1, 7)
    truth = {"a": np.random.default_rng(0).integers(0, 3, shape, dtype=np.uint8)}
    pool = [PoolRow("a", "", "train", "", "label", shape, axis)]
    region = Region((2,) * len(shape), size)
    row = RegionRow.of(1, "a", kind, region, 0)
    labels, _ = reveal(Truth(truth), pool, [row], [], tmp_path / "labels", "disc")
    shown = read_label(tmp_path / labels[0].path)
    known = np.zeros(shape, bool)
    known[region.slices] = footprint("disc", (7, 7)).reshape(size)
    np.testing.assert_array_equal(shown, np.where(known, truth["a"], UNKNOWN))
    write_json(tmp_path / "truth.json", count_truth(Truth(truth), pool, 3))
    held = [LabelRow("a", "", str(tmp_path / labels[0].path), None)]
    spent = annotation_costs(pool, [row], held, tmp_path / "truth.json", list("xyz"), 0, "disc")
    assert spent["costs"]["area_percent"] == pytest.approx(
        100 * footprint("disc", (7, 7)).sum() / np.prod(shape)
    )
