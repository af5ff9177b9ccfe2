"""What is held out of the revealed regions."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from al.io.tables import LabelRow, PoolRow, RegionRow
from al.learners.holdout import hold_out
from decomp_core import Region

ROWS = {f"i{n}": PoolRow(f"i{n}", "", "train", "", "", (64, 64)) for n in range(40)}
PLACES = st.tuples(st.integers(0, 39), st.integers(0, 7), st.integers(0, 7))


def region(place: tuple[int, int, int], cycle: int = 1) -> RegionRow:
    image, y, x = place
    return RegionRow.of(cycle, f"i{image}", "window", Region((8 * y, 8 * x), (8, 8)), 0)


def flat(held: dict[str, list[Region]]) -> set[tuple[str, tuple[int, ...]]]:
    return {(image, box.start) for image, boxes in held.items() for box in boxes}


@settings(max_examples=100, deadline=None)
@given(st.lists(PLACES, min_size=2, max_size=60, unique=True), st.floats(0.01, 0.99), st.data())
def test_a_region_never_changes_sides(places, share, data) -> None:
    first = data.draw(st.integers(2, len(places)))
    rows = [region(place, 1 if n < first else 2) for n, place in enumerate(places)]
    before, after = (flat(hold_out(part, [], ROWS, share)) for part in (rows[:first], rows))
    begun = {(row.image, row.region.start) for row in rows[:first]}
    assert 1 <= len(before) < first
    assert before == after & begun
    assert flat(hold_out(rows[::-1], [], ROWS, share)) == after


def test_void_is_never_held_out() -> None:
    rows = [region((n, y, 0)) for n in range(20) for y in range(8)]
    held = hold_out(rows, [], ROWS, 0.5, lambda image, box: box.start[0] > 16)
    assert held
    assert {start[0] for _, start in flat(held)} == {24, 32, 40, 48, 56}
    assert hold_out(rows, [], ROWS, 0.5, lambda image, box: False) == {}


def test_about_the_share_is_held_out() -> None:
    rows = [region((n, y, x)) for n in range(40) for y in range(8) for x in range(8)]
    held = flat(hold_out(rows, [], ROWS, 0.2))
    assert 0.17 < len(held) / len(rows) < 0.23


def test_whole_images_are_held_out_where_all_is_revealed() -> None:
    labels = [LabelRow(name, "", "", None) for name in ROWS]
    held = hold_out(None, labels, ROWS, 0.2)
    assert 2 <= len(held) <= 16
    assert all(boxes == [Region((0, 0), (64, 64))] for boxes in held.values())


def test_one_region_is_for_learning() -> None:
    assert hold_out([region((0, 0, 0))], [], ROWS, 0.9) == {}
