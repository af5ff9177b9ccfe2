"""The tables of a report: rows, headings, and how they are written."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from al.io.files import write_text
from al.io.markdown import grid

from .answer import answer_markdown
from .catalogue import LATEX, MARKDOWN, Look, caption, tables_of
from .comparisons import FEWEST_FOLDS, FEWEST_T, Comparison, Penalty, compared, penalties
from .confidence import Correlation, rank_correlations
from .efficiency import efficiency_rows
from .gather import beside
from .measures import short_label, summaries
from .reach import NO_STRATEGY, Reach, reach_cells, reach_head, reach_rows
from .tables import MISSING, Cells, latex, shown, write_csv
from .usage import USAGE_COLUMNS, USAGE_HEAD, attempts_in, usage_rows, usage_totals
from .view import View

Row = Mapping[str, Any]
WIDTH = 98


@dataclass(frozen=True)
class Table:
    """Rows of a table, by the keys of its ``columns``, which are the head of the CSV.

    ``text`` is what page, paper and terminal show of them, head and rows, where that is not all of
    them; ``empty`` a sentence that stands where there is no row.
    """

    rows: Sequence[Row]
    columns: Sequence[str]
    text: Cells | None = None
    empty: str = NO_STRATEGY

    def cells(self) -> list[list[str]]:
        """Head and rows as text."""
        if self.text is not None:
            return [list(line) for line in self.text]
        return [[n.replace("_", " ") for n in self.columns], *shown(self.rows, self.columns)]


def save_tables(view: View, look: Look, folder: Path) -> dict[str, Table]:
    """Write the tables of a run, by rename: all as CSV, some as LaTeX and Markdown too.

    Beside them the answer (``answer.md``). All files of ``tables_of`` are written, whatever the run
    has; where there is no row, a sentence says why.

    Args:
        view: of the whole run.
        look: as ``look.look_of``.
        folder: ``results/{run}``; tables are written to its folder ``report``.
    """
    out = folder / "report"
    write_text(out / "answer.md", answer_markdown(view, look, folder))
    views = [view.at(budget) for budget in view.budgets]
    made = {}
    for name, title in tables_of(look):
        usage = name == "usage"
        table = usage_table(beside(folder, "benchmarks")) if usage else MAKERS[name](views)
        write_csv(table.rows, out / f"{name}.csv", table.columns)
        if name in LATEX:
            text = latex(table.cells(), f"{title}. {caption(name)}", f"tab:{name}", table.empty)
            write_text(out / f"{name}.tex", text)
        if name in MARKDOWN:
            lines = grid(table.cells()) if table.rows else [table.empty]
            told = ["", *textwrap.wrap(caption(name), WIDTH), ""]
            write_text(out / f"{name}.md", "\n".join([f"### {title}", "", *lines, *told]))
        made[name] = table
    return made


def usage_table(benchmarks: Path) -> Table:
    """What a run has used; of ``benchmarks/{run}``."""
    attempts = attempts_in(benchmarks)
    text = [USAGE_HEAD, *shown(usage_totals(attempts), USAGE_COLUMNS)]
    return Table(usage_rows(attempts), USAGE_COLUMNS, text, "Nothing was journalled.")


def _reach(views: Sequence[View]) -> Table:
    columns = [name for name in _names(Reach) if name != "median"]
    rows = [
        {**vars(r), "median_low": r.median.low, "median_high": r.median.high}
        for view in views
        for r in reach_rows(view)
    ]
    text = [reach_head(view) for view in views[:1]] + [
        c for view in views for c in reach_cells(view)
    ]
    return Table(rows, [*columns, "median_low", "median_high"], text or None)


def _pairs(views: Sequence[View]) -> Table:
    found = [c for view in views for c in compared(view)]
    head = ["budget", "measure", "first", "second", "first - second (95 %)", "better"]
    text = [[*head, "p", "Holm", "t-test"], *map(_pair_cells, found)]
    return Table([vars(c) for c in found], _names(Comparison), text)


def _pair_cells(c: Comparison) -> list[str]:
    """What a page and paper show of two strategies."""
    difference = MISSING if c.difference != c.difference else f"{c.difference:.3g}"
    if c.low == c.low:
        difference += f" ({c.low:.3g} to {c.high:.3g})"
    if c.seeds and c.neither == c.seeds:
        difference = "neither reached"
    p = [MISSING if v != v else f"{v:.2g}" for v in (c.p, c.p_holm, c.p_t)]
    better = f"{c.first_better} : {c.second_better}" + (
        f", {c.ties} equal or open" if c.ties else ""
    )
    return [c.budget, short_label(c.measure), c.first, c.second, difference, better, *p]


def _efficiency(views: Sequence[View]) -> Table:
    rows = [row for view in views for row in efficiency_rows(view)]
    columns = ("budget", "strategy", "b", "a", "c", "x0", "points", "note")
    return Table(rows, columns, empty="Neither foreground nor full annotation is known.")


def _names(kind: Any) -> list[str]:
    return [field.name for field in fields(kind)]


def _plain(
    make: Callable[[View], Iterable[Any]], columns: Sequence[str], empty: str = NO_STRATEGY
) -> Callable[[Sequence[View]], Table]:
    """A table of what is made of each budget, all of it shown."""
    return lambda views: Table([vars(m) for v in views for m in make(v)], columns, empty=empty)


MAKERS: dict[str, Callable[[Sequence[View]], Table]] = {
    "reach": _reach,
    "pairs": _pairs,
    "summaries": _plain(
        summaries,
        ("budget", "strategy", "seed", "measure", "value", "censored", "at_most", "ended"),
    ),
    "penalty": _plain(
        penalties,
        _names(Penalty),
        f"A paired t-test takes {FEWEST_T} seeds ({FEWEST_FOLDS} folds) of two strategies in a "
        "cycle after the first.",
    ),
    "correlations": _plain(
        rank_correlations,
        _names(Correlation),
        "No model has predicted the pool yet.",
    ),
    "efficiency": _efficiency,
}
