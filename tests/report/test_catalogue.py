"""What a report announces is what it can draw, explain and write."""

from __future__ import annotations

import re
from typing import Any

import pytest

from al.config.settings import read_yaml
from al.paths import ROOT
from al.report.catalogue import (
    CAPTIONS,
    CATEGORIES,
    CATEGORY_OF_TABLE,
    FIGURES,
    LATEX,
    MARKDOWN,
    PICTURES,
    TABLES,
    caption,
    figures_of,
    pictures_of,
    tables_of,
)
from al.report.figures import DRAW
from al.report.look import look_of
from al.report.tabulation import MAKERS

from .run_files import Data, resolved

KNOWN = list(read_yaml(ROOT / "config/strategies.yaml"))


def test_every_figure_and_table_can_be_made_and_explained(data: Data) -> None:
    assert DRAW.keys() == {entry.name for entry in FIGURES}
    assert {*MAKERS, "usage"} == TABLES.keys() == CATEGORY_OF_TABLE.keys()
    assert TABLES.keys() >= {*LATEX, *MARKDOWN}
    figures = [entry.name for entry in FIGURES + PICTURES]
    assert len(figures) == len(set(figures)), "files would clash"
    names = {*figures, *TABLES, "ranks"}  # the last of several runs
    categories = {*(e.category for e in FIGURES + PICTURES), *CATEGORY_OF_TABLE.values()}
    assert categories <= set(CATEGORIES)
    assert {path.stem for path in CAPTIONS.glob("*.rst")} == {*names, "workflow"}
    for name in names:  # plain text goes into LaTeX, HTML and reStructuredText
        assert caption(name).endswith(".")
        assert not re.search(r"``|\*\*|^\.\.|`_|\|", caption(name)), name
    # A run of all strategies with several budgets has every figure that there is.
    many = {"strategies": "all", "budget": "2x3,4x3,2x6", "cycles": 3, "seeds": 4}
    look = look_of(resolved("kits23_mini", data, **many), KNOWN)
    both = figures_of(look) + pictures_of(look)
    assert {entry for entry, _, _ in both} == {*FIGURES, *PICTURES}
    for entry, stem, budget in both:
        assert stem == (f"{entry.name}-{budget}" if entry.per_budget else entry.name)


@pytest.mark.parametrize(
    ("changes", "has", "has_not"),
    [
        ({"strategies": "decomp"}, "curves agreement correlations", "comparisons pairs penalty"),
        ({"strategies": "random,uncertainty_pool"}, "comparisons pairs agreement", "ablations"),
        ({"strategies": "random"}, "curves imbalance", "agreement correlations"),
        ({"strategies": "decomp,random", "seeds": 4}, "penalty", ""),
        ({"strategies": "decomp", "cycles": 1}, "curves reach", "agreement"),
        ({"strategies": "decomp,decomp_tau_03"}, "thresholds", "dense_sparse penalty"),
        ({"strategies": "decomp", "budget": "2x4,4x2"}, "budgets", "dense_sparse"),
        ({"strategies": "decomp,decomp_uncertainty,uncertainty"}, "ablations", "thresholds"),
        ({"strategies": "none"}, "usage", "curves reach regions"),
    ],
)
def test_figures_and_tables_of_a_run(
    data: Data, changes: dict[str, Any], has: str, has_not: str
) -> None:
    look = look_of(resolved("kits23_mini", data, **{"budget": "2x3", **changes}), KNOWN)
    names = {entry.name for entry, _, _ in figures_of(look) + pictures_of(look)}
    names |= {name for name, _ in tables_of(look)}
    assert set(has.split()) <= names and not set(has_not.split()) & names


def test_look_says_what_was_configured(data: Data) -> None:
    folds = {"folds": 5, "train": None, "val": None, "test": None}
    settings = resolved("kits23_mini", data, split=folds, strategies="random_fg33,decomp", seeds=2)
    settings["report"]["colours"] = {"full": "#000000", "random_fg33": "#010203"}
    found = look_of(settings, KNOWN)
    assert (found["folds"], found["seeds"], found["splits"]) == (5, [0, 1], ["train"])
    assert found["x"] == "area_percent" and found["budgets"] == settings["budget"]
    assert list(found["colours"]) == ["random_fg33", "full"], "in the order of strategies"
    assert "ground truth" in found["notes"]["random_fg33"] and "decomp" not in found["notes"]
    started = look_of(resolved("kits23_mini", data, initial="nnactive"), KNOWN)
    assert started["notes"].keys() == set(started["strategies"]), "its start reads ground truth"
