"""The grammar of paths: what is built is parsed, and nothing else is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from al.paths import (
    CONSTRAINTS,
    CYCLE,
    INITIAL,
    REFERENCE,
    REFERENCES,
    Place,
    mirrored,
    places_in,
)

names = st.from_regex(CONSTRAINTS["strategy"], fullmatch=True, alphabet="abz09_")
places = st.one_of(
    st.builds(
        Place.of,
        st.builds("{}x{}".format, st.integers(1, 99), st.integers(1, 999)),
        names,
        st.integers(0, 10**6),
        st.integers(1, 999),
    ),
    st.builds(Place.of_reference, st.sampled_from(REFERENCES), st.integers(0, 99)),
)


@given(
    places, st.sampled_from(["results", "/a/5x15/b", "."]), st.sampled_from(["", "x.csv", "m/y"])
)
def test_what_is_built_is_parsed(place: Place, root: str, file: str) -> None:
    assert Place.parse(Path(root, "run", place.path, file)) == place


@given(places)
def test_snakemakes_patterns_give_the_same_paths(place: Place) -> None:
    values = {"run": "r", "budget": place.budget, "strategy": place.strategy}
    values |= {"reference": place.strategy, "seed": place.seed, "cycle": f"{place.cycle:03d}"}
    pattern = REFERENCE if place.is_reference else CYCLE
    assert pattern.format(**values) == f"results/r/{place.path}"
    for name in re.findall(r"{(\w+)}", pattern):
        assert re.fullmatch(CONSTRAINTS[name], str(values[name]))


def test_the_first_cycle_is_shared() -> None:
    assert Place.of("5x15", "decomp", 0, 1) == Place("5x15", INITIAL, 0, 1)
    assert Place.of("5x15", "decomp", 0, 2).strategy == "decomp"


@pytest.mark.parametrize(
    "path",
    ["5x15/decomp/seed-0", "5x15/decomp/seed-0/cycle-1", "references/other/seed-0", "a/b.csv"]
    + ["references/full/seed-0/cycle-001", "5x15/Decomp/seed-0/cycle-001", "references/seed-0"],
)
def test_other_paths_are_no_places(path: str) -> None:
    assert Place.parse(path) is None


def test_places_of_a_folder(tmp_path: Path) -> None:
    held = [Place.of("2x3", "decomp", 1, 2), Place.of_reference("full", 0)]
    for folder in [place.path for place in held] + [Path("2x3/decomp/seed-1")]:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "metrics.json").touch()
    found = dict(places_in(tmp_path, "metrics.json"))
    assert found == {place: tmp_path / place.path / "metrics.json" for place in held}


def test_other_kinds_of_files_mirror_the_results() -> None:
    assert mirrored("results/r/a.csv", "logs") == "logs/r/a.csv"
    assert mirrored("logs/r/results/a", "work") == "work/r/results/a"
    for path, kind in (("data/a", "logs"), ("results/a", "data"), ("", "logs")):
        with pytest.raises(ValueError, match="must begin with results, work"):
            mirrored(path, kind)
