"""The figures of a report: what each is called, where it stands and when there is one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from al.paths import ROOT

from . import pairs

CAPTIONS = ROOT / "rules/captions"
RESULTS, STATISTICS, CLASSES = "Results", "Statistics", "Classes"
REGIONS, COSTS = "Regions", "Costs"
CATEGORIES = (RESULTS, STATISTICS, CLASSES, REGIONS, COSTS)
Look = Mapping[str, Any]


def _always(look: Look) -> bool:
    return True


def _predicted(look: Look) -> bool:
    """Whether the models of some cycle say what they think of the pool."""
    return look["cycles"] > 1 and bool(look["predicted"])


@dataclass(frozen=True)
class Entry:
    """One kind of figure.

    Attributes:
        name: of its files, followed by ``-{budget}`` where ``per_budget``.
        title, category: as a reader sees them.
        per_budget: whether each budget has its own.
        wanted: whether a run can have it, by what ``gather.look_of`` returns.
    """

    name: str
    title: str
    category: str
    per_budget: bool
    wanted: Callable[[Look], bool] = _always

    def stems(self, budgets: Sequence[str]) -> list[tuple[str, str]]:
        """Names of its files without ending, each with its budget (or none)."""
        if not self.per_budget:
            return [(self.name, "")]
        return [(f"{self.name}-{budget}", budget) for budget in budgets]


FIGURES = (
    Entry("curves", "Learning curves", RESULTS, True),
    Entry("budgets", "Budgets", RESULTS, False, lambda k: len(k["budgets"]) > 1),
    Entry(
        "dense_sparse",
        "Dense and sparse",
        RESULTS,
        False,
        lambda k: bool(pairs.spread_pairs(k["definitions"]) or pairs.budget_pairs(k["budgets"])),
    ),
    Entry(
        "ablations",
        "Image and region selection",
        RESULTS,
        True,
        lambda k: bool(pairs.ablation_pairs(k["definitions"])),
    ),
    Entry(
        "thresholds",
        "Confidence threshold",
        RESULTS,
        True,
        lambda k: bool(pairs.threshold_series(k["definitions"])),
    ),
    Entry("classes", "Learning curves by class", RESULTS, True),
    Entry(
        "comparisons", "Strategies in pairs", STATISTICS, True, lambda k: len(k["strategies"]) > 1
    ),
    Entry("seeds", "Seed by seed", STATISTICS, True),
    Entry("imbalance", "Class imbalance", CLASSES, False),
    Entry("shares", "Share of each class annotated", CLASSES, True),
    Entry("growth", "How the shares grow", CLASSES, True),
    Entry("confidence", "Class confidence and test score", CLASSES, True, _predicted),
    Entry("agreement", "Agreement of confidence and score", CLASSES, True, _predicted),
    Entry("costs", "Scores against every cost", COSTS, True),
)
# Drawn from images, by a job of their own.
PICTURES = (
    Entry("regions", "Chosen regions", REGIONS, True),
    Entry("filling", "Filling up", REGIONS, True),
)

TABLES = {
    "reach": "Annotated to reach full annotation",
    "summaries": "One number per seed",
    "pairs": "Pairs in numbers",
    "ranks": "Mean ranks over budgets",
    "efficiency": "Foreground efficiency",
    "cycles": "Differences by cycle",
    "cases": "Intervals over test images",
    "correlations": "Rank correlations",
    "selection": "What selection takes",
    "usage": "What the run has used",
}
# Those that are printed on a terminal as well.
PRINTED = ("reach", "selection", "usage")


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
    left_out = set() if len(look["budgets"]) > 1 else {"ranks"}
    left_out |= set() if _predicted(look) else {"correlations"}
    left_out |= set() if len(look["strategies"]) > 1 else {"pairs", "cycles"}
    left_out |= set() if look["background"] is not None else {"efficiency"}
    return [(name, title) for name, title in TABLES.items() if name not in left_out]


def caption(name: str) -> str:
    """Caption of a figure or table, one paragraph."""
    return " ".join((CAPTIONS / f"{name}.rst").read_text(encoding="utf-8").split())
