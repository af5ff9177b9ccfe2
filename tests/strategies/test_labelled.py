"""The start from labels that are there: boxes hold them all, and little else."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from al.strategies.selectors.labelled import boxes


@settings(deadline=None)
@given(st.data(), st.sampled_from([None, 0, 1, 2]), st.sampled_from(["whole", "sparse", "slices"]))
def test_boxes_cover_what_is_labelled(data: Any, axis: int | None, kind: str) -> None:
    shape = data.draw(st.tuples(*[st.integers(1, 9)] * (2 if axis is None else 3)))
    known = np.ones(shape, bool)
    if kind != "whole":
        known = data.draw(arrays(bool, shape))
    if kind == "slices" and axis is not None:
        full = data.draw(arrays(bool, shape[axis]))
        known = np.broadcast_to(np.expand_dims(full, [a for a in range(3) if a != axis]), shape)
    found = list(boxes(known, axis, (3, 4)))
    covered = np.zeros(shape, int)
    for box in found:
        covered[box.slices] += 1
        assert known[box.slices].any()
        plane = [n for a, n in enumerate(box.size) if a != axis]
        small = plane[0] <= 3 and plane[1] <= 4 and (axis is None or box.size[axis] == 1)
        assert small or known[box.slices].all()
    assert covered.max(initial=0) <= 1 and (covered.astype(bool) | ~known).all()
    if kind == "whole":
        assert len(found) == 1
