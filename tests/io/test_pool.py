"""Splits, generators and openings of the pool."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from al.io.errors import DataError
from al.io.pool import assign_splits, grouped, openings
from al.io.rng import generator
from al.io.tables import PoolRow, RegionRow


def rois(n: int, split: str = "") -> list[PoolRow]:
    return [
        PoolRow(f"p{i:02d}", f"r{j}", split, "", "label", (9, 9))
        for i in range(n)
        for j in range(2)
    ]


def test_what_has_a_split_of_its_own_keeps_it_where_shares_are_drawn() -> None:
    rows = [PoolRow(f"i{n}", "", "test" * (n < 3), "p", "l", (4, 4)) for n in range(12)]
    found = assign_splits(rows, {"train": 0.5, "val": 0.0, "test": 0.5}, 0)
    assert [r.split for r in found[:3]] == ["test"] * 3
    assert {r.split for r in found[3:]} == {"train", "test"}


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


def test_groups_stay_together_by_shares_and_by_folds() -> None:
    """Patients of three visits; without groups the same images are drawn as ever."""
    rows = rois(12)
    visits = grouped(rows, r"p(\d+)[0-9]$|x")
    assert {r.group for r in visits} == {"0", "1"}
    visits = [replace(r, group=f"g{int(r.image[1:]) % 4}") for r in rows]
    for split in ({"train": 0.5, "val": 0.25, "test": 0.25}, {"folds": 4}):
        for seed in range(4):
            drawn = assign_splits(visits, split, seed)
            sides = {(r.group, r.split) for r in drawn}
            assert len(sides) == 4 and [s for _, s in sides].count("test") == 1
            alone = [replace(r, group=r.image) for r in rows]
            whole = [r.split for r in assign_splits(alone, split, seed)]
            assert whole == [r.split for r in assign_splits(rows, split, seed)]
    with pytest.raises(DataError, match="'q' finds nothing in the name of image 'p00'"):
        grouped(rows, "q")
    torn = [replace(r, split="train" if r.image < "p06" else "test") for r in visits]
    with pytest.raises(ValueError, match="'g0' lies in several .* 'p00/r0' in train and 'p08/r0'"):
        assign_splits(torn, None, 0)


def test_splits_of_the_dataset_are_kept_and_missing_ones_refused() -> None:
    rows = rois(3, "train")
    assert assign_splits(rows, {"folds": 3}, 0) == rows
    with pytest.raises(ValueError, match="fixes no split"):
        assign_splits(rois(3), None, 0)
    with pytest.raises(ValueError, match="only the splits"):
        assign_splits(rois(1), {"train": 0.5, "val": 0.0, "test": 0.5}, 0)


LABELLED = st.lists(st.tuples(st.sampled_from("abcd"), st.booleans()), min_size=1, max_size=12)
SPLIT = st.sampled_from([{"train": 0.6, "val": 0.2, "test": 0.2}, {"folds": 2}, None])


@given(LABELLED, SPLIT, st.integers(0, 1))
def test_what_has_no_label_is_trained_on_with_its_group(
    images: list[tuple[str, bool]], split: dict | None, seed: int
) -> None:
    """The other groups are dealt as if they were all there is; that needs no test images."""
    rows = [
        PoolRow(f"i{n}", "", "", "p", "l" if labelled else "", (9, 9), group=group)
        for n, (group, labelled) in enumerate(images)
    ]
    bare = {row.group for row in rows if not row.label_path}
    others = [row for row in rows if row.group not in bare]
    assume(bare)
    dealt = {}
    if split is None:
        dealt = {row.key: "train" for row in others}
    elif len({row.group for row in others}) > 1:
        dealt = {row.key: row.split for row in assign_splits(others, split, seed)}
    found = assign_splits(rows, split, seed)
    assert [replace(row, split="") for row in found] == rows
    assert all(row.split == dealt.get(row.key, row.split) for row in found)
    assert {row.split for row in found if row.group in bare} == {"train"}


def test_a_test_image_without_a_label_is_refused() -> None:
    rows = [PoolRow("a", "", "train", "a.png", "", (9, 9)), *rois(1, "test")]
    assert assign_splits(rows, None, 0) == rows
    rows += [PoolRow("b", "", "val", "b.png", "", (9, 9))]
    with pytest.raises(DataError, match=r"1 images .* no label: b\.png \(val\); allowed: labels"):
        assign_splits(rows, None, 0)


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
