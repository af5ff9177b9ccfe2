"""The tables of a report: rows, headings, and how they are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from al.io.files import read_json, write_text
from al.paths import REFERENCES, places_in

from .bootstrap import Interval, case_rows
from .catalogue import Look, caption, tables_of
from .comparisons import by_cycle, compare, corrected_interval
from .confidence import rank_correlations
from .efficiency import efficiency_rows
from .ranks import blocks_of, rank
from .reach import NO_STRATEGY, brief_rows, reach_markdown, reach_rows, table_row
from .selection import Selection, selection_markdown, selection_rows
from .style import cost_label
from .summaries import summaries
from .tables import shown, write_table
from .usage import SHARED, Usage, per_strategy, summed, usage_markdown, usage_rows
from .view import View

Row = Mapping[str, Any]
# A percentile interval over fewer patients or slides says more than there is to know.
FEWEST_GROUPS = 6
SUMMARY_COLUMNS = {
    "budget": "budget",
    "strategy": "strategy",
    "seed": "seed",
    "measure": "measure",
    "value": "value",
    "censored": "not reached",
    "note": "note",
}
UNRANKED = "Fewer than two strategies have values in all of them: none is ranked."
RANK_COLUMNS = {
    "measure": "measure",
    "strategy": "strategy",
    "mean_rank": "mean rank",
    "blocks": "budgets",
    "p": "Friedman p",
    "note": "note",
}


@dataclass(frozen=True)
class Table:
    """Rows of a table and headings of the columns to show.

    ``markdown`` is its form for a terminal, where it has one; ``empty`` is why there may be no row;
    ``brief`` are the rows that a page shows, where these are others than all, and ``printed`` the
    columns that fit on paper.
    """

    rows: Sequence[Row]
    columns: Mapping[str, str]
    markdown: str = ""
    empty: str = "Nothing to show yet."
    brief: Sequence[Row] | None = None
    printed: Sequence[str] | None = None

    def cells(self) -> list[list[str]]:
        """Head and rows as text for a page."""
        rows = self.rows if self.brief is None else self.brief
        return [list(self.columns.values()), *shown(rows, self.columns)]


@dataclass(frozen=True)
class Source:
    """What tables are made from.

    Attributes:
        view: of the whole run.
        look: as ``look.look_of``.
        benchmarks: ``benchmarks/{run}``.
        metrics: contents of ``metrics.json`` of the last cycle of each strategy and seed.
        seed: of the bootstrap.
    """

    view: View
    look: Look
    benchmarks: Path
    metrics: Sequence[Mapping[str, Any]] = ()
    seed: int = 0

    def budgets(self) -> list[View]:
        """The views of the budgets that have results."""
        return [self.view.at(budget) for budget in self.view.budgets]


def make_table(name: str, source: Source) -> Table:
    """Return a table by its name in the catalogue."""
    return MAKERS[name](source)


def save_tables(source: Source, folder: Path) -> dict[str, Table]:
    """Write the tables of a run as CSV and LaTeX, some as Markdown too, by rename.

    Args:
        source: what they are made from.
        folder: ``results/{run}/report``.
    """
    made = {}
    for name, title in tables_of(source.look):
        made[name] = table = make_table(name, source)
        text = f"{title}. {caption(name)}"
        write_table(table.rows, folder / name, table.columns, text, f"tab:{name}", table.printed)
        if table.markdown:
            write_text(folder / f"{name}.md", table.markdown)
    return made


def _reach(source: Source) -> Table:
    view = source.view
    rows = reach_rows(view)
    markdown = reach_markdown(rows, view, source.look["remark"]) if rows else ""
    score = view.score_name
    columns = {
        "budget": "budget",
        "strategy": "strategy",
        "seeds": "seeds",
        "reached": "seeds reaching",
        "median": f"median {cost_label(view.x, view.task)}",
        "lowest": "lowest",
        "highest": "highest",
        "final_mean": f"final {score}",
        "final_sd": "sd of final",
        "area_mean": "mean height",
        "area_sd": "sd of height",
        "threshold": f"{score} to reach",
        "final_cycle": "cycle of final",
        "note": "note",
    }
    return Table(
        list(map(table_row, rows)), columns, markdown, empty=NO_STRATEGY, brief=brief_rows(rows)
    )


def _selection(source: Source) -> Table:
    predicted = {name: name in source.look["predicted"] for name in source.look["strategies"]}
    # Of a run that was copied or has only just begun there may be none.
    timed = any(not place.is_reference for place, _ in places_in(source.benchmarks, "*.tsv"))
    rows = selection_rows(source.benchmarks, predicted) if timed else []
    names = {k: k.replace("_", " ") for k in Selection.__dataclass_fields__ if k != "run"}
    return Table(list(map(asdict, rows)), names, selection_markdown(rows))


def _usage(source: Source) -> Table:
    rows = usage_rows(source.benchmarks)
    names = {k: k.replace("_", " ").replace("gpu", "GPU") for k in Usage.__dataclass_fields__}
    markdown = usage_markdown(rows, source.benchmarks.name)
    brief = [asdict(r) for r in (*per_strategy(rows), *([summed(rows)] if rows else []))]
    for row in brief:  # shared by all strategies, or all rules together
        row["strategy"] = row["strategy"] or row["rule"] or SHARED
        row["rule"] = "all"
    return Table(list(map(asdict, rows)), names, markdown, brief=brief)


def _summaries(source: Source) -> Table:
    found = [s for view in source.budgets() for s in summaries(view)]
    return Table(list(map(asdict, found)), SUMMARY_COLUMNS)


def _pairs(source: Source) -> Table:
    found = [
        c
        for view in source.budgets()
        for c in compare(summaries(view), bool(view.folds), view.test_share, source.seed)
    ]
    columns = {
        "budget": "budget",
        "measure": "measure",
        "first": "first",
        "second": "second",
        "seeds": "pairs",
        "difference": "first - second",
        "low": "from",
        "high": "to",
        "first_better": "first better",
        "second_better": "second better",
        "ties": "ties",
        "p": "p",
        "p_holm": "p (Holm)",
        "test": "test",
        "family": "corrected over",
        "note": "note",
    }
    left_out = ("ties", "p", "test", "family", "note")
    printed = [key for key in columns if key not in left_out]
    return Table([asdict(c) for c in found], columns, printed=printed)


def _cycles(source: Source) -> Table:
    rows = [asdict(d) for view in source.budgets() for d in by_cycle(view, view.test_share)]
    columns = {
        "budget": "budget",
        "cycle": "cycle",
        "first": "first",
        "second": "second",
        "seeds": "pairs",
        "difference": "first - second",
        "low": "from",
        "high": "to",
    }
    return Table(rows, columns)


def _cases(source: Source) -> Table:
    """Each strategy, then what it is ahead of the others; over test images and over seeds."""
    scores: dict[tuple[str, str], dict[int, float]] = {}
    for held in source.metrics:
        scores.setdefault((held["budget"], held["strategy"]), {})[held["seed"]] = held["score"]
    rows: list[dict[str, Any]] = []
    done: set[tuple[str, str]] = set()
    for row in case_rows(source.metrics, np.random.default_rng(source.seed)):
        own = scores[row.budget, row.strategy]
        head = {"budget": row.budget, "strategy": row.strategy, "cycle": row.cycle or None}
        done.add((row.budget, row.strategy))  # a - b is enough, b - a says the same
        others = [(n, held) for n, held in row.against.items() if (row.budget, n) not in done]
        for other, interval in [("", row.over_cases), *others]:
            theirs = scores.get((row.budget, other)) or scores.get(("", other)) or {}
            both = sorted(set(own) & set(theirs)) if other else sorted(own)
            values = np.array([own[s] - (theirs[s] if other else 0.0) for s in both])
            _, low, high = corrected_interval(values, source.view.fold_ratio)
            spread = {"seeds": len(both), "seeds_low": low, "seeds_high": high}
            rows.append({**head, "minus": other, **_enough(interval), **spread})
    columns = {
        "budget": "budget",
        "cycle": "cycle",
        "strategy": "strategy",
        "minus": "minus",
        "mean": "score",
        "low": "over images: from",
        "high": "to",
        "seeds_low": "over seeds: from",
        "seeds_high": "to (seeds)",
        "seeds": "seeds",
        "groups": "groups",
        "cases": "test cases",
        "note": "note",
    }
    empty = "There is no cycle after the first one yet that all seeds and strategies have."
    return Table(rows, columns, empty=empty)


def _enough(interval: Interval) -> dict[str, Any]:
    """An interval as columns; of too few patients or slides there is none, and it says so."""
    held = asdict(interval)
    if interval.groups < FEWEST_GROUPS:
        note = f"fewer than {FEWEST_GROUPS} patients, slides or images: no interval"
        held |= {"low": None, "high": None, "note": note}
    return held


def _correlations(source: Source) -> Table:
    found = [c for view in source.budgets() for c in rank_correlations(view)]
    columns = {
        "budget": "budget",
        "strategy": "strategy",
        "seed": "seed",
        "cycle": "cycle",
        "rho": "rho",
        "classes": "classes",
        "reason": "why none",
    }
    return Table([asdict(c) for c in found], columns)


def _efficiency(source: Source) -> Table:
    rows = [row for view in source.budgets() for row in efficiency_rows(view)]
    columns = {
        "budget": "budget",
        "strategy": "strategy",
        "b": "efficiency b",
        "a": "a",
        "c": "full annotation c",
        "x0": "first share x0",
        "points": "points",
        "note": "note",
    }
    return Table(rows, columns, empty="Neither foreground nor full annotation is known.")


def _ranks(source: Source) -> Table:
    found = [s for view in source.budgets() for s in summaries(view)]
    rows = rank_rows(found)
    return Table(rows, RANK_COLUMNS, empty=UNRANKED)


def rank_rows(found: Sequence[Any]) -> list[dict[str, Any]]:
    """Mean ranks of each measure over runs and budgets; what was left out has a note."""
    rows: list[dict[str, Any]] = []
    for measure in dict.fromkeys(s.measure for s in found):
        ranks = rank(found, measure)
        if ranks is None:
            left = {b: k.why for b, k in blocks_of(found, measure).items() if k.why}
            none = {"measure": measure, "blocks": 0, "p": None, "mean_rank": None}
            rows += [{**none, "strategy": ", ".join(b), "note": why} for b, why in left.items()]
            continue
        head = {"measure": measure, "blocks": len(ranks.blocks), "p": ranks.p}
        note = "; ".join(text for text in (ranks.reason, *ranks.notes) if text)
        for name, mean in zip(ranks.strategies, ranks.mean, strict=True):
            rows.append({**head, "strategy": name, "mean_rank": float(mean), "note": note})
        for name, reason in ranks.left_out.items():
            rows.append({**head, "strategy": name, "mean_rank": None, "note": reason})
    return rows


MAKERS: dict[str, Callable[[Source], Table]] = {
    "reach": _reach,
    "summaries": _summaries,
    "pairs": _pairs,
    "ranks": _ranks,
    "efficiency": _efficiency,
    "cycles": _cycles,
    "cases": _cases,
    "correlations": _correlations,
    "selection": _selection,
    "usage": _usage,
}


def read_last_metrics(files: Sequence[Path], view: View) -> list[dict[str, Any]]:
    """Metrics of the last cycle that all strategies and seeds of a budget have, and of references.

    In the order of figures, references last, whatever the order of the files.

    Args:
        files: ``metrics.json`` of any cycles.
        view: of the run; tells which cycle that is. The shared first one does not count.
    """
    wanted = {}
    for budget in view.budgets:
        curves = [c for own in view.at(budget).curves().values() for c in own]
        common = set.intersection(*(set(c.cycle.tolist()) for c in curves)) - {1}
        wanted[budget] = max(common, default=None)
    budgets, names = view.budgets, [*view.order(view.strategies), *REFERENCES]

    def place(held: dict[str, Any]) -> tuple[bool, int, int, int]:
        name, budget = held["strategy"], held["budget"]
        after = name in REFERENCES
        return after, 0 if after else budgets.index(budget), names.index(name), held["seed"]

    found = [
        held
        for held in map(read_json, files)
        if held["strategy"] in REFERENCES or held["cycle"] == wanted.get(held["budget"], -1)
    ]
    return sorted(found, key=place)
