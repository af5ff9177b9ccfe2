"""What a report announces is what it can draw, explain and write."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from al.config.settings import read_yaml
from al.report.assembly import CATEGORY_OF_TABLE
from al.report.catalogue import (
    CAPTIONS,
    CATEGORIES,
    FIGURES,
    PICTURES,
    PRINTED,
    TABLES,
    caption,
    figures_of,
    pictures_of,
    tables_of,
)
from al.report.drawing import WHERE
from al.report.look import look_of
from al.report.page import CATEGORIES as OF_PAGE
from al.report.tabulation import MAKERS

from .run_files import ROOT, make_data, resolved

KNOWN = list(read_yaml(ROOT / "config/strategies.yaml"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data("kits23_mini", tmp_path_factory.mktemp("data"))


def look(data: Path, **changes: Any) -> dict[str, Any]:
    return look_of(resolved("kits23_mini", data, **changes), KNOWN)


def names_of(found: list[tuple[Any, str, str]]) -> set[str]:
    return {entry.name for entry, _, _ in found}


def test_every_figure_has_a_function_and_a_caption() -> None:
    assert WHERE.keys() == {entry.name for entry in FIGURES}
    for where in WHERE.values():
        module, function = where.split(":")
        parameters = inspect.signature(getattr(import_module(f"al.report.{module}"), function))
        assert list(parameters.parameters)[0] == "view"
    names = [entry.name for entry in FIGURES + PICTURES]
    assert len(names) == len(set(names)) and not set(names) & TABLES.keys(), "files would clash"
    for entry in FIGURES + PICTURES:
        assert caption(entry.name).endswith("."), entry.name
        assert entry.category in CATEGORIES and entry.category in OF_PAGE


def test_every_table_has_a_maker_a_place_and_a_caption() -> None:
    assert MAKERS.keys() == TABLES.keys() == CATEGORY_OF_TABLE.keys()
    assert set(PRINTED) <= TABLES.keys()
    for name in TABLES:
        assert caption(name).endswith("."), name
        assert CATEGORY_OF_TABLE[name] in OF_PAGE


def test_no_caption_is_of_nothing() -> None:
    used = {entry.name for entry in FIGURES + PICTURES} | TABLES.keys() | {"workflow"}
    assert {path.stem for path in CAPTIONS.glob("*.rst")} == used


def test_captions_are_plain_text() -> None:
    """They go as they are into LaTeX and HTML, and through reStructuredText into Snakemake's."""
    for path in CAPTIONS.glob("*.rst"):
        if path.stem != "workflow":
            assert not re.search(r"``|\*\*|^\.\.|`_|\|", caption(path.stem)), path


def test_stems_differ_and_name_the_budget(data: Path) -> None:
    found = look(data, strategies="all", budget="2x3,4x3,2x6", cycles=3)
    both = figures_of(found) + pictures_of(found)
    stems = [stem for _, stem, _ in both]
    assert len(stems) == len(set(stems))
    for entry, stem, budget in both:
        assert stem == (f"{entry.name}-{budget}" if entry.per_budget else entry.name)
        assert (budget in found["budgets"]) == entry.per_budget
    per_budget = sum(entry.per_budget for entry in FIGURES + PICTURES)
    # A run of all strategies with several budgets has every figure that there is.
    assert len(stems) == 3 * per_budget + len(FIGURES + PICTURES) - per_budget


@pytest.mark.parametrize(
    ("changes", "has", "has_not"),
    [
        ({"strategies": "decomp"}, {"curves", "confidence"}, {"comparisons", "budgets"}),
        ({"strategies": "random,uncertainty_pool"}, {"comparisons", "confidence"}, {"ablations"}),
        ({"strategies": "random"}, {"curves", "growth"}, {"confidence", "agreement"}),
        ({"strategies": "decomp", "cycles": 1}, {"curves"}, {"confidence", "agreement"}),
        ({"strategies": "decomp,decomp_tau_03"}, {"thresholds"}, {"dense_sparse"}),
        ({"strategies": "decomp,decomp_sparse"}, {"dense_sparse"}, {"thresholds"}),
        ({"strategies": "decomp", "budget": "2x4,4x2"}, {"dense_sparse", "budgets"}, set()),
        ({"strategies": "decomp,decomp_uncertainty,uncertainty"}, {"ablations"}, {"thresholds"}),
    ],
)
def test_figures_of_a_run(data: Path, changes: dict[str, Any], has: set, has_not: set) -> None:
    found = look(data, **changes)
    names = names_of(figures_of(found))
    assert has <= names and not has_not & names
    assert names_of(pictures_of(found)) == {entry.name for entry in PICTURES}


def test_references_alone_have_their_use_and_nothing_to_draw(data: Path) -> None:
    found = look(data, strategies="none", budget="2x3,4x3")
    assert figures_of(found) == [] == pictures_of(found)
    assert [name for name, _ in tables_of(found)] == ["usage"]


@pytest.mark.parametrize(
    ("changes", "left_out"),
    [
        ({"strategies": "random,decomp", "budget": "2x3,4x3"}, set()),
        ({"strategies": "random,decomp", "budget": "2x3"}, {"ranks"}),
        ({"strategies": "decomp", "budget": "2x3"}, {"ranks", "pairs", "cycles"}),
        ({"strategies": "random", "budget": "2x3"}, {"ranks", "pairs", "cycles", "correlations"}),
    ],
)
def test_tables_of_a_run(data: Path, changes: dict[str, Any], left_out: set[str]) -> None:
    names = [name for name, _ in tables_of(look(data, **changes))]
    assert names == [name for name in TABLES if name not in left_out]


def test_look_is_plain_and_says_what_was_configured(data: Path) -> None:
    folds = {"folds": 5, "train": None, "val": None, "test": None}
    settings = resolved("kits23_mini", data, split=folds, strategies="random_fg33,decomp", seeds=2)
    settings["report"]["colours"] = {"full": "#000000", "random_fg33": "#010203"}
    found = look_of(settings, KNOWN)
    assert (found["folds"], found["seeds"], found["splits"]) == (5, [0, 1], ["train"])
    assert found["x"] == "area_percent" and found["budgets"] == settings["budget"]
    assert list(found["colours"]) == ["random_fg33", "full"], "in the order of strategies"
    assert "ground truth" in found["notes"]["random_fg33"] and "decomp" not in found["notes"]
    started = look_of(resolved("kits23_mini", data, initial="nnactive"), KNOWN)
    assert all("reads ground truth" in note for note in started["notes"].values())
    assert started["notes"].keys() == set(started["strategies"])
