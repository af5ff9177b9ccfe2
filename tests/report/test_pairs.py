"""Strategies that differ in one thing only are found, and no others."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from al.config.settings import read_yaml
from al.io.errors import DataError
from al.paths import ROOT
from al.report.pairs import (
    Group,
    ablation_groups,
    ablation_pairs,
    budget_pairs,
    read_budget,
    spread_pairs,
    threshold_series,
)
from al.strategies import resolve

Definitions = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def configured() -> Definitions:
    """Every strategy there is, its options filled in as for a run."""
    settings = read_yaml(ROOT / "config/config.yaml")
    entries = read_yaml(ROOT / "config/strategies.yaml")
    return {name: resolve(name, entry, settings) for name, entry in entries.items()}


def test_ablations_of_the_paper(configured: Definitions) -> None:
    """Figs. 5 and 11: image selection of DECOMP in place of uncertainty, by region selection."""
    assert [(g.common, g.members) for g in ablation_groups(configured, "images")] == [
        ("uncertainty", {"uncertainty": "uncertainty", "decomp": "decomp_uncertainty"}),
        ("decomp", {"decomp": "decomp", "uncertainty": "uncertainty_decomp"}),
        ("cluster", {"uncertainty": "cluster", "decomp": "decomp_cluster"}),
        ("coreset", {"uncertainty": "coreset", "decomp": "decomp_coreset"}),
    ]
    regions = {g.common: g.members for g in ablation_groups(configured, "regions")}
    assert list(regions) == ["uncertainty", "decomp"]
    assert regions["decomp"] == {
        "decomp": "decomp",
        "uncertainty": "decomp_uncertainty",
        "cluster": "decomp_cluster",
        "coreset": "decomp_coreset",
    }


def test_a_group_has_one_strategy_per_selector() -> None:
    """Options that the differing selector alone reads: the first stands for the others."""
    found = {
        "a": {"images": "decomp", "regions": "random", "tau": 0.7},
        "b": {"images": "decomp", "regions": "random", "tau": 0.3},
        "c": {"images": "uncertainty", "regions": "random"},
    }
    members = {"decomp": "a", "uncertainty": "c"}
    assert ablation_groups(found, "images") == [Group("images", "random", members)]
    assert ablation_pairs(found) == [("images", "a", "c"), ("images", "b", "c")]


def test_thresholds_of_the_paper(configured: Definitions) -> None:
    """Fig. 7, in the order of tau."""
    (series,) = threshold_series(configured)
    assert list(series.items()) == [
        (0.3, "decomp_tau_03"),
        (0.5, "decomp_tau_05"),
        (0.7, "decomp"),
    ]
    assert threshold_series({n: configured[n] for n in ("decomp", "random")}) == []


def test_dense_and_sparse_of_the_paper(configured: Definitions) -> None:
    """Fig. 6: the budget itself against twice the images."""
    assert spread_pairs(configured) == [
        (name, f"{name}_sparse") for name in ("random", "uncertainty", "decomp")
    ]


def test_budgets_of_equal_size() -> None:
    assert budget_pairs(["4x1", "2x2", "1x4", "2x2"]) == [("1x4", "2x2"), ("1x4", "4x1")]
    assert budget_pairs(["5x4"]) == []
    assert read_budget("50x10") == (50, 10)
    for wrong in ("50", "ax2", "1x2x3", "-1x2", ""):
        with pytest.raises(DataError, match="not of the form IMAGESxREGIONS"):
            read_budget(wrong)


definition = st.one_of(
    st.fixed_dictionaries(
        {"images": st.sampled_from("rud"), "regions": st.sampled_from("rudc")},
        optional={
            "tau": st.sampled_from([0.3, 0.7]),
            "spread": st.sampled_from([1, 2]),
            "emphasis": st.sampled_from([{}, {"bus": 2}]),
        },
    ),
    st.fixed_dictionaries({"pool": st.sampled_from("su")}, optional={"tau": st.just(0.3)}),
)
many = st.lists(definition, max_size=8).map(lambda d: {f"s{i}": v for i, v in enumerate(d)})


def _differing(a: dict[str, Any], b: dict[str, Any]) -> set[str]:
    """Keys in which two definitions differ, those that one lacks left out."""
    return {key for key in set(a) & set(b) if a[key] != b[key]}


@given(many)
def test_pairs_are_those_of_the_definition(definitions: Definitions) -> None:
    found = {(part, frozenset(names)) for part, *names in ablation_pairs(definitions)}
    wanted = set()
    for a, b in combinations(definitions, 2):
        first, second = definitions[a], definitions[b]
        differing = _differing(first, second)
        if "images" in first and "images" in second and differing in ({"images"}, {"regions"}):
            wanted.add((differing.pop(), frozenset((a, b))))
    assert found == wanted
    for part in ("images", "regions"):
        groups = ablation_groups(definitions, part)
        other = {"images": "regions", "regions": "images"}[part]
        for group in groups:
            for pair in combinations(group.members.values(), 2):
                assert (part, frozenset(pair)) in wanted
            for selector, name in group.members.items():
                assert definitions[name][part] == selector
                assert definitions[name][other] == group.common
        assert bool(groups) == any(which == part for which, _ in wanted)


@given(many)
def test_series_differ_in_one_option(definitions: Definitions) -> None:
    for series in threshold_series(definitions):
        assert list(series) == sorted(series) and len(series) > 1
        rests = [{k: v for k, v in definitions[n].items() if k != "tau"} for n in series.values()]
        assert all(rest == rests[0] for rest in rests)
        assert all(definitions[name]["tau"] == tau for tau, name in series.items())
    for dense, sparse in spread_pairs(definitions):
        assert _differing(definitions[dense], definitions[sparse]) == {"spread"}
        assert definitions[dense].keys() == definitions[sparse].keys()
        assert definitions[dense]["spread"] < definitions[sparse]["spread"]
