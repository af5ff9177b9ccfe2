"""Splits, openings, scores and costs against hand-worked values."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from al.annotators.simulated import reveal
from al.io.files import write_json
from al.io.labels import UNKNOWN, write_label
from al.io.pool import assign_splits, openings
from al.io.rng import generator
from al.io.tables import LabelRow, PoolRow, RegionRow
from al.scoring.costs import annotation_costs, count_truth
from al.scoring.scores import confusion, dice, score_images, score_rois, score_volumes
from al.strategies.centres import body_mask


def rois(n: int, split: str = "") -> list[PoolRow]:
    return [
        PoolRow(f"p{i:02d}", f"r{j}", split, "", "", (9, 9)) for i in range(n) for j in range(2)
    ]


def test_shares_are_drawn_by_image_and_seed() -> None:
    share = {"train": 0.6, "val": 0.1, "test": 0.3}
    rows = assign_splits(rois(20), share, 0)
    by_image = {r.image: {q.split for q in rows if q.image == r.image} for r in rows}
    assert all(len(s) == 1 for s in by_image.values())
    sizes = [sum(s == {k} for s in by_image.values()) for k in ("train", "val", "test")]
    assert sizes == [12, 2, 6]
    assert assign_splits(rois(20), share, 0) == rows != assign_splits(rois(20), share, 1)


def test_folds_partition_the_images() -> None:
    tests = [
        {r.image for r in assign_splits(rois(11), {"folds": 3}, k) if r.split == "test"}
        for k in range(3)
    ]
    assert sorted(len(t) for t in tests) == [3, 4, 4]
    assert len(set().union(*tests)) == 11


def test_splits_of_the_dataset_are_kept_and_missing_ones_refused() -> None:
    rows = rois(3, "train")
    assert assign_splits(rows, {"folds": 3}, 0) == rows
    with pytest.raises(ValueError, match="fixes no split"):
        assign_splits(rois(3), None, 0)
    with pytest.raises(ValueError, match="only the splits"):
        assign_splits(rois(1), {"train": 0.5, "val": 0.0, "test": 0.5}, 0)


def test_generators_differ_by_seed_cycle_and_image() -> None:
    keys = [(0, 1, None), (1, 0, None), (0, 1, "a"), (0, 1, "b"), (0, 2, "a")]
    draws = [generator(*k).integers(2**62) for k in keys]
    assert len(set(draws)) == len(draws)
    assert generator(0, 1, "a").integers(2**62) == draws[2]


def test_openings_count_cycles_not_regions() -> None:
    history = [
        RegionRow(c, "a", "roi", *(None,) * 6, r, None, None, 0)
        for c, r in [(1, "x"), (1, "y"), (3, "z")]
    ]
    assert openings(history) == {"a": 2}


def test_confusion_against_a_loop() -> None:
    rng = np.random.default_rng(0)
    truth, labels = rng.integers(0, 4, (2, 9, 9)).astype(np.uint8)
    truth[truth == 3] = UNKNOWN
    slow = np.zeros((3, 3), int)
    labels[labels == 3] = 0
    for t, p in zip(truth.ravel(), labels.ravel(), strict=True):
        if t != UNKNOWN:
            slow[t, p] += 1
    np.testing.assert_array_equal(confusion(truth, labels, 3), slow)


def test_mean_iou_leaves_out_classes_absent_everywhere() -> None:
    truth = np.array([[0, 0, 1, 1]], np.uint8)
    labels = np.array([[0, 1, 1, 1]], np.uint8)
    scores = score_images([(truth, labels)], ["a", "b", "c"])
    assert scores["score"] == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert scores["per_class"]["c"] is None
    assert scores["secondary"]["accuracy"] == 0.75


def test_dice_of_empty_classes() -> None:
    empty, some = np.zeros((2, 2), np.uint8), np.array([[0, 1], [2, 1]], np.uint8)
    assert dice(empty, empty, [1]) == 1
    assert dice(some, empty, [1]) == dice(empty, some, [1]) == 0
    assert dice(some, np.array([[0, 1], [1, 0]], np.uint8), [1, 2]) == pytest.approx(4 / 5)
    scores = score_volumes([(some, some), (some, empty)], {"all": [1, 2], "rare": [2]})
    assert scores["per_class"] == {"all": 0.5, "rare": 0.5}


def test_weighted_f1_by_hand() -> None:
    scores = score_rois(np.array([0, 0, 0, 1]), np.array([0, 0, 1, 1]), ["a", "b", "c"])
    assert scores["score"] == pytest.approx(0.75 * 0.8 + 0.25 * 2 / 3)
    assert scores["per_class"]["c"] is None


def test_body_is_the_largest_component() -> None:
    volume = np.full((3, 8, 8), -1000.0)
    volume[:, 1:5, 1:5] = 40
    volume[:, 6:, 6:] = 40
    mask = body_mask(volume, -200, 500)
    assert mask.sum() == 3 * 16 and mask[0, 2, 2] and not mask[0, 7, 7]
    assert body_mask(volume, 900, 950).all()


class Truth:
    """A layout that knows labels only."""

    def __init__(self, labels: dict[str, np.ndarray]) -> None:
        self.labels = labels

    def open_label(self, row: PoolRow) -> np.ndarray:
        return self.labels[row.key]


def test_reveal_and_costs(tmp_path: Path) -> None:
    truth = {
        k: np.random.default_rng(i).integers(0, 3, (10, 12), dtype=np.uint8)
        for i, k in enumerate("ab")
    }
    truth["a"][2, 2] = UNKNOWN
    pool = [PoolRow(k, "", "train", "", "", (10, 12)) for k in "ab"]
    row = RegionRow(1, "a", "window", None, 2, 2, None, 3, 4, "", None, None, 0)
    labels = reveal(Truth(truth), pool, [row], [], tmp_path / "labels")
    assert [(r.image, r.path) for r in labels] == [("a", "labels/a.png")]
    absolute = [LabelRow("a", "", str(tmp_path / "labels/a.png"), None)]
    from al.io.labels import read_label

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
    first = reveal(Truth(truth), pool, rows[:1], [], tmp_path / "1/labels")
    write_label(tmp_path / "keep.png", np.zeros((1, 1), np.uint8))
    known = [LabelRow("a", "", str(tmp_path / "1" / first[0].path), None)]
    before = (tmp_path / "1/labels/a.png").read_bytes()
    second = reveal(Truth(truth), pool, rows[1:], known, tmp_path / "2/labels")
    from al.io.labels import read_label

    shown = read_label(tmp_path / "2" / second[0].path)
    assert (shown != UNKNOWN).sum() == 8
    assert (tmp_path / "1/labels/a.png").read_bytes() == before


@pytest.mark.parametrize(("kind", "axis"), [("window", None), ("slice_window", 1)])
def test_a_disc_is_revealed_and_paid_for_as_a_disc(
    kind: str, axis: int | None, tmp_path: Path
) -> None:
    from al.io.labels import read_label
    from decomp_core import Region, disc

    shape, size = (12, 12), (7, 7)
    if axis is not None:
        shape, size = (12, 4, 12), (7, 1, 7)
    truth = {"a": np.random.default_rng(0).integers(0, 3, shape, dtype=np.uint8)}
    pool = [PoolRow("a", "", "train", "", "", shape, axis)]
    region = Region((2,) * len(shape), size)
    row = RegionRow.of(1, "a", kind, region, 0)
    labels = reveal(Truth(truth), pool, [row], [], tmp_path / "labels", "disc")
    shown = read_label(tmp_path / labels[0].path)
    known = np.zeros(shape, bool)
    known[region.slices] = disc(7).reshape(size)
    np.testing.assert_array_equal(shown, np.where(known, truth["a"], UNKNOWN))
    write_json(tmp_path / "truth.json", count_truth(Truth(truth), pool, 3))
    held = [LabelRow("a", "", str(tmp_path / labels[0].path), None)]
    spent = annotation_costs(pool, [row], held, tmp_path / "truth.json", list("xyz"), 0, "disc")
    assert spent["costs"]["area_percent"] == pytest.approx(100 * disc(7).sum() / np.prod(shape))
