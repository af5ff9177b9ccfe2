"""The figures and tables of a report: what each is called, where it stands, when there is one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from al.paths import ROOT

from . import groups

CAPTIONS = ROOT / "rules/captions"
SCORES, SEEN, REGIONS = "Scores and costs", "What the model sees", "Chosen regions"
STATISTICS, CURVES, CLASSES, USAGE = "Statistics", "More curves", "Classes", "What it took"
# The first three are what the page shows at once; the others are folded.
CATEGORIES = (SCORES, SEEN, REGIONS, STATISTICS, CURVES, CLASSES, USAGE)
UNFOLDED = CATEGORIES[:3]
# Seeds from which on the paired t-test of the field is made.
FEWEST_T = 4
Look = Mapping[str, Any]


def _always(look: Look) -> bool:
    return True


def _several(look: Look) -> bool:
    return len(look["strategies"]) > 1


def _predicted(look: Look) -> bool:
    """Whether the models of some cycle say what they think of the pool."""
    return look["cycles"] > 1 and bool(look["predicted"])


def _grouped(kind: str) -> Callable[[Look], bool]:
    """Whether strategies or budgets of a run differ in one thing only."""

    def wanted(look: Look) -> bool:
        held = dict.fromkeys(look["budgets"], look["strategies"])
        return bool(groups.groups_of(kind, look["definitions"], held))

    return wanted


@dataclass(frozen=True)
class Entry:
    """One kind of figure.

    Attributes:
        name: of its files, followed by ``-{budget}`` where ``per_budget``.
        title, category: as a reader sees them.
        per_budget: whether each budget has its own.
        wanted: whether a run can have it, by what ``look.look_of`` returns.
        data: the table that its numbers are in, a path from the folder of the report.
    """

    name: str
    title: str
    category: str
    per_budget: bool = True
    wanted: Callable[[Look], bool] = _always
    data: str = "../curves.csv"

    def stems(self, budgets: Sequence[str]) -> list[tuple[str, str]]:
        """Names of its files without ending, each with its budget (or none)."""
        if not self.per_budget:
            return [(self.name, "")]
        return [(f"{self.name}-{budget}", budget) for budget in budgets]


FIGURES = (
    Entry("curves", "Learning curves", SCORES),
    Entry("comparisons", "Strategies in pairs", STATISTICS, True, _several, "pairs.csv"),
    Entry("seeds", "Seed by seed", STATISTICS, data="summaries.csv"),
    Entry(
        "penalty",
        "Pairwise penalty matrix",
        STATISTICS,
        True,
        lambda k: _several(k) and k["cycles"] > 1 and len(k["seeds"]) >= FEWEST_T,
        "penalty.csv",
    ),
    Entry("costs", "Scores against every cost", CURVES),
    Entry("classes", "Learning curves by class", CURVES),
    Entry("budgets", "Budgets", CURVES, False, _grouped("budgets")),
    Entry("dense_sparse", "Dense and sparse", CURVES, False, _grouped("dense_sparse")),
    Entry("ablations", "Image and region selection", CURVES, True, _grouped("ablations")),
    Entry("thresholds", "Confidence threshold", CURVES, True, _grouped("thresholds")),
    Entry("imbalance", "Classes in the pool, and what was annotated of them", CLASSES),
    Entry(
        "agreement",
        "Class confidence and test score",
        CLASSES,
        True,
        _predicted,
        "../confidence.csv",
    ),
)
# Drawn from images, by a job of their own.
PICTURES = (
    Entry("predictions", "Predictions beside the truth", SEEN, data=""),
    Entry("cases", "Worst, median and best test case", SEEN, data=""),
    Entry("regions", "Regions through the cycles", REGIONS, data=""),
)

TABLES = {
    "reach": "Annotated to reach full annotation",
    "pairs": "Strategies in pairs, in numbers",
    "penalty": "Pairwise penalties, in numbers",
    "summaries": "One number per seed",
    "efficiency": "Foreground efficiency",
    "correlations": "Class confidence and test score, in numbers",
    "usage": "What the run has used",
}
CATEGORY_OF_TABLE = {
    "reach": SCORES,
    **dict.fromkeys(("pairs", "penalty", "summaries", "efficiency"), STATISTICS),
    "correlations": CLASSES,
    "usage": USAGE,
}
# Tables that papers print, and those that a terminal shows.
LATEX, MARKDOWN = ("reach", "pairs"), ("reach", "usage")


def in_order(names: Iterable[str], known: Sequence[str]) -> list[str]:
    """Names in the order that all figures have: that of the known strategies, then by name."""
    places = {name: place for place, name in enumerate(known)}
    return sorted(names, key=lambda n: (places.get(n, len(places)), n))


def figures_of(look: Look) -> list[tuple[Entry, str, str]]:
    """Figures that a run has from its numbers: entry, stem of the files, budget."""
    return _of(FIGURES, look)


def pictures_of(look: Look) -> list[tuple[Entry, str, str]]:
    """Figures that a run has from its images."""
    return _of(PICTURES, look)


def _of(entries: Sequence[Entry], look: Look) -> list[tuple[Entry, str, str]]:
    if not look["strategies"]:
        return []
    wanted = [entry for entry in entries if entry.wanted(look)]
    return [(entry, *stem) for entry in wanted for stem in entry.stems(look["budgets"])]


def tables_of(look: Look) -> list[tuple[str, str]]:
    """Names and titles of the tables that a run has."""
    if not look["strategies"]:
        return [("usage", TABLES["usage"])]
    wanted = {
        "pairs": _several(look),
        "penalty": any(entry.name == "penalty" for entry, *_ in figures_of(look)),
        "efficiency": look["background"] is not None,
        "correlations": _predicted(look),
    }
    return [(name, title) for name, title in TABLES.items() if wanted.get(name, True)]


def caption(name: str) -> str:
    """Caption of a figure or table, one paragraph."""
    return " ".join((CAPTIONS / f"{name}.rst").read_text(encoding="utf-8").split())
