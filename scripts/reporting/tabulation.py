"""The tables of a report: rows, headings, and how they are written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glue.files import read_json, write_text

from .bootstrap import case_rows
from .catalogue import Look, caption, tables_of
from .comparisons import by_cycle, compare
from .confidence import rank_correlations
from .curves import REFERENCES
from .ranks import block_values, mean_ranks
from .reach import reach_markdown, reach_rows
from .selection import Selection, selection_markdown, selection_rows
from .style import cost_label
from .summaries import measure_of, summaries
from .tables import shown, write_table
from .usage import SHARED, Usage, per_strategy, summed, usage_markdown, usage_rows
from .view import View

Row = Mapping[str, Any]
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
    ``brief`` are the rows that a page shows, where these are others than all.
    """

    rows: Sequence[Row]
    columns: Mapping[str, str]
    markdown: str = ""
    empty: str = "Nothing to show yet."
    brief: Sequence[Row] | None = None

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
        write_table(table.rows, folder / name, table.columns, text, f"tab:{name}")
        if table.markdown:
            write_text(folder / f"{name}.md", table.markdown)
    return made


def _reach(source: Source) -> Table:
    look, points = source.look, source.view.points
    rows = reach_rows(points, look["x"], look["share"])
    markdown = ""
    if rows:
        markdown = reach_markdown(rows, points, look["share"], look["notes"], look["remark"])
    score = source.view.score_name
    label = cost_label(look["x"], look["task"])
    columns = {
        "budget": "budget",
        "strategy": "strategy",
        "reached": "seeds reaching",
        "seeds": "seeds",
        "cost_mean": label,
        "cost_sd": "sd",
        "final_mean": f"final {score}",
        "final_sd": "sd of final",
        "area_mean": "mean height",
        "area_sd": "sd of height",
    }
    shown_rows = [asdict(row) for row in rows]
    for row in shown_rows:  # references have no curve
        row["reached"] = None if row["strategy"] in REFERENCES else row["reached"]
    return Table(shown_rows, columns, markdown)


def _selection(source: Source) -> Table:
    from strategies import needs_of

    read = {"statistics", "labels", "uncertainty"}
    predicted = {n: bool(needs_of(d) & read) for n, d in source.look["definitions"].items()}
    # Of a run that was copied or has only just begun there may be none.
    timed = any(source.benchmarks.glob("*/*/seed-*/cycle-*/*.tsv"))
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
    rows = [
        {**asdict(s), "measure": s.measure, "label": measure_of(s.measure).label} for s in found
    ]
    return Table(rows, SUMMARY_COLUMNS)


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
    }
    return Table([asdict(c) for c in found], columns)


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
    """Each strategy, then what it is ahead of the others."""
    found = case_rows(source.metrics, np.random.default_rng(source.seed))
    rows = []
    for row in found:
        head = {"budget": row.budget, "strategy": row.strategy, "seeds": row.seeds}
        for other, interval in [("", row.over_cases), *row.against.items()]:
            rows.append({**head, "minus": other, **asdict(interval)})
    columns = {
        "budget": "budget",
        "strategy": "strategy",
        "minus": "minus",
        "mean": "score",
        "low": "from",
        "high": "to",
        "seeds": "seeds",
        "groups": "groups",
        "cases": "cases",
        "note": "note",
    }
    empty = "No metrics of the last cycle hold results per image; runs of older versions do not."
    return Table(rows, columns, empty=empty)


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


def _ranks(source: Source) -> Table:
    found = [s for view in source.budgets() for s in summaries(view)]
    rows = rank_rows(found)
    return Table(rows, RANK_COLUMNS, empty=UNRANKED)


def rank_rows(found: Sequence[Any]) -> list[dict[str, Any]]:
    """Mean ranks of each measure over runs and budgets; what was left out has a note."""
    rows: list[dict[str, Any]] = []
    for measure in dict.fromkeys(s.measure for s in found):
        ranks = mean_ranks(block_values(found, measure), measure_of(measure).higher_better)
        if ranks is None:
            continue
        head = {"measure": measure, "blocks": len(ranks.blocks), "p": ranks.p}
        for name, mean in zip(ranks.strategies, ranks.mean, strict=True):
            rows.append({**head, "strategy": name, "mean_rank": float(mean), "note": ranks.reason})
        for name, reason in ranks.left_out.items():
            rows.append({**head, "strategy": name, "mean_rank": None, "note": reason})
    return rows


MAKERS: dict[str, Callable[[Source], Table]] = {
    "reach": _reach,
    "summaries": _summaries,
    "pairs": _pairs,
    "ranks": _ranks,
    "cycles": _cycles,
    "cases": _cases,
    "correlations": _correlations,
    "selection": _selection,
    "usage": _usage,
}


def read_last_metrics(files: Sequence[Path], view: View) -> list[dict[str, Any]]:
    """Metrics of the last cycle that all seeds of a strategy have, and of references.

    Args:
        files: ``metrics.json`` of any cycles.
        view: of the run; tells which cycle that is.
    """
    wanted = {}
    for budget in view.budgets:
        for name, curves in view.at(budget).curves().items():
            common = set.intersection(*(set(c.cycle.tolist()) for c in curves))
            if common:
                wanted[budget, name] = max(common)
    found = []
    for file in files:
        held = read_json(file)
        last = wanted.get((held["budget"], held["strategy"]))
        if held["strategy"] in REFERENCES or held["cycle"] == last:
            found.append(held)
    return found
