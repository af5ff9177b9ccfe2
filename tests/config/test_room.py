"""What is said before the first job of regions too large and budgets that cannot be filled."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from al.config.room import room_warnings
from al.io.tables import PoolRow

SETTINGS: dict[str, Any] = {
    **{"strategies": ["decomp"], "definitions": {"decomp": {"images": "decomp"}}, "split": None},
    **{"seeds": [0], "cycles": 1, "budget": ["1x1"], "region": [4, 4], "patch": None, "task": "2d"},
}


def row(number: int, *shape: int, axis: int | None = None, roi: str = "") -> PoolRow:
    split = "train" if number else "test"
    return PoolRow(f"i{number}", roi, split, "", "label", shape, axis)


@given(st.data())
def test_a_budget_is_too_much_exactly_where_windows_in_rows_do_not_fit(data: st.DataObject) -> None:
    side = st.integers(1, 12)
    shapes = data.draw(st.lists(st.tuples(side, side), min_size=1, max_size=4))
    region = [data.draw(side), data.draw(side)]
    images, regions, cycles = (data.draw(st.integers(1, 4)) for _ in range(3))
    fits = []
    for shape in shapes:
        size = [min(k, n) for k, n in zip(region, shape, strict=True)]
        starts = [range(0, n - k + 1, k) for k, n in zip(size, shape, strict=True)]
        fits.append(sum(1 for _ in starts[0] for _ in starts[1]))
    given = {"region": region, "budget": [f"{images}x{regions}"], "cycles": cycles}
    rows = [row(0, 1, 1), *(row(1 + i, *shape) for i, shape in enumerate(shapes))]
    told = "\n".join(room_warnings({**SETTINGS, **given}, rows))
    assert ("cycles will stay short" in told) == (images * regions * cycles > sum(fits))
    assert ("do not fit into" in told) == (regions > min(fits))
    assert ("larger than" in told) == any(
        r > n for s in shapes for r, n in zip(region, s, strict=True)
    )
    assert ("the pool has no more" in told) == (images > len(shapes))


def test_slices_patches_rois_and_pools_that_are_not_there() -> None:
    volumes = [row(0, 3, 8, 8, axis=0), row(1, 3, 8, 9, axis=0)]
    volume = {**SETTINGS, "task": "3d"}
    assert room_warnings({**volume, "budget": ["1x12"]}, volumes) == []
    assert "no more than 12 " in room_warnings({**volume, "budget": ["1x13"]}, volumes)[-1]
    wide = {"definitions": {"decomp": {"pool": "pe"}}, "patch": [2, 4, 4]}
    assert room_warnings({**volume, **wide, "budget": ["1x8"]}, volumes) == []
    assert "no more than 4 " in room_warnings({**volume, **wide, "budget": ["1x10"]}, volumes)[-1]
    rois = [row(0, 5, 5, roi="r"), *(row(1, 5, 5, roi=f"r{k}") for k in range(3))]
    found = room_warnings({**SETTINGS, "task": "roi", "cycles": 4}, rois)
    assert len(found) == 1 and "4 cycles ask for 4 regions, and no more than 3 " in found[0]
    assert room_warnings(SETTINGS, []) == room_warnings({**SETTINGS, "strategies": []}, rois) == []
