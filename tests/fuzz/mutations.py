"""How files and values are damaged."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

# What headers are made of: sizes and counts are taken from here as often as at random.
TELLING = [0, 1, 2, 3, 4, 8, 16, 127, 128, 254, 255]


@st.composite
def damaged(
    draw: st.DrawFn, files: list[bytes], seal: Callable[[bytes], bytes] = bytes
) -> tuple[bytes, bytes]:
    """Return one of some files, and the same with up to four places changed.

    ``seal`` writes checksums anew, in half of the cases.
    """
    whole = draw(st.sampled_from(files))
    held = bytearray(whole)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(held) - 1)))
        kind = draw(st.sampled_from(["set", "set", "set", "flip", "cut", "drop", "twice", "fill"]))
        size = draw(st.sampled_from([1, 2, 4, 8, 64]))
        if kind == "set":
            values = st.sampled_from(TELLING) | st.integers(0, 255)
            held[at : at + size] = bytes(draw(st.lists(values, min_size=size, max_size=size)))
        elif kind == "flip" and held:
            held[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del held[at:]
        elif kind == "drop":
            del held[at : at + size]
        elif kind == "twice":
            held[at:at] = held[at : at + size]
        elif kind == "fill":
            held[at : at + size] = bytes([draw(st.sampled_from(TELLING))]) * size
    return whole, draw(st.sampled_from([bytes, seal]))(bytes(held))


def with_new_checksums(png: bytes) -> bytes:
    """Return a PNG, or what is left of one, whose chunks have the checksums of what they hold."""
    held, at = bytearray(png), 8
    while at + 12 <= len(held):
        end = at + 8 + int.from_bytes(held[at : at + 4], "big")
        held[end : end + 4] = zlib.crc32(held[at + 4 : end]).to_bytes(4, "big")
        at = end + 4
    return bytes(held) if png[:4] == b"\x89PNG" else png


ODD = st.one_of(
    st.sampled_from([None, True, False, "", " ", "null", "nan", "1e3", "0x10", "1:30", "../x"]),
    st.sampled_from(["a\n", "a b", "-1", "1x1", "5x15", "=1+1", "日本", "x" * 300, "all", "none"]),
    st.sampled_from([0, -1, 1, 2, 255, 256, 10**6, 10**12, -(10**20), 2**63, 0.5, -0.5, 1e-320]),
    st.sampled_from([float("nan"), float("inf"), 1e308, [], {}, [None], [[1]], {"a": 1}, [0, 0]]),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.lists(st.integers(-3, 300), max_size=4),
)


def paths_in(tree: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths to every value of nested mappings and lists."""
    if not isinstance(tree, dict | list):
        return [path]
    inner = tree.items() if isinstance(tree, dict) else enumerate(tree)
    found = [path] if path else []
    return found + [p for key, held in inner for p in paths_in(held, (*path, key))]


@st.composite
def misshapen(draw: st.DrawFn, trees: list[Any], most: int = 3) -> Any:
    """Return one of some nested values with a few replaced, taken out, renamed or added."""
    tree = deepcopy(draw(st.sampled_from(trees)))
    for _ in range(draw(st.integers(1, most))):
        *outer, last = draw(st.sampled_from(paths_in(tree)))
        place = tree
        for key in outer:
            place = place[key]
        kind = draw(st.sampled_from(["set", "set", "set", "drop", "rename", "add"]))
        if kind == "drop":
            del place[last]
        elif kind == "rename" and isinstance(place, dict):
            place[draw(st.text(max_size=8))] = place.pop(last)
        elif kind == "add" and isinstance(place[last], dict):
            place[last][draw(st.text(max_size=8))] = deepcopy(draw(ODD))
        else:
            place[last] = deepcopy(draw(ODD))
        if not paths_in(tree):
            break
    return tree
