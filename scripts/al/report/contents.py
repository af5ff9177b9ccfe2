"""What stands on the page of a run, and in which order: the answer first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from al.io.errors import DataError
from al.io.files import read_json
from al.paths import START

from .answer import answers_of, warnings
from .catalogue import (
    CATEGORIES,
    CATEGORY_OF_TABLE,
    TABLES,
    UNFOLDED,
    Look,
    caption,
    figures_of,
    pictures_of,
)
from .explorer import explorer
from .gather import beside, missing_of, ranges
from .page import Group, Opening, Section, render_page
from .tabulation import Table
from .view import View

ENDS = ("pdf", "png", "svg")


def write_page(
    look: Look,
    view: View,
    tables: Mapping[str, Table],
    folder: Path,
    regions: Mapping[str, Any] | None = None,
    trouble: str = "",
) -> Path:
    """Write ``report.html``, by rename.

    Args:
        look: as ``look.look_of``.
        view: of the whole run.
        tables: by name, as ``tabulation.save_tables`` returns.
        folder: ``results/{run}``; figures and tables lie in its folder ``report``.
        regions: the chart to explore the chosen regions, as ``regions_explorer`` returns.
        trouble: why figures of images are missing; empty where they are there.
    """
    out = folder / "report"
    missing, lacking, planned = missing_of(look, view.points)
    views = [view.at(budget) for budget in look["budgets"] if budget in view.budgets]
    opening = Opening(
        f"{look['run']}: {look['dataset']}",
        answers_of(view),
        [*warnings(view, look, folder), *([trouble] if trouble else [])],
        facts_of(look, folder),
        missing,
        lacking,
        planned,
    )
    held: dict[str, list[Section]] = {category: [] for category in CATEGORIES}
    charts = {"curves": explorer(views) if views else None, "regions": regions}
    for entry, stem, budget in figures_of(look) + pictures_of(look):
        chart = charts.pop(entry.name, None)
        # A chart to explore is of all budgets.
        named = budget and len(look["budgets"]) > 1 and not chart
        title = f"{entry.title}, {budget}" if named else entry.title
        there = (out / f"{stem}.svg").is_file()
        files = [*(f"{stem}.{end}" for end in ENDS), *([entry.data] if entry.data else [])]
        notes = [] if there else ["Nothing to draw yet."]
        figure = out / stem if there else None
        section = Section(stem, title, caption(entry.name), figure, chart, None, files, notes)
        held[entry.category].append(section)
    for name, table in tables.items():
        held[CATEGORY_OF_TABLE[name]].append(_table(name, table))
    groups = [Group(name, held[name], name not in UNFOLDED) for name in CATEGORIES]
    render_page(opening, [*groups, _about(look)], out / "report.html")
    return out / "report.html"


def _table(name: str, table: Table) -> Section:
    cells = table.cells()
    shown = cells if len(cells) > 1 else None
    files = [f"{name}.{end}" for end in ("csv", "tex", "md")]
    notes = [] if shown else [table.empty]
    title = TABLES[name]
    return Section(f"table-{name}", title, caption(name), table=shown, files=files, notes=notes)


def facts_of(look: Look, folder: Path) -> list[tuple[str, str]]:
    """What was run, name and value; with when and how, where its start was written down."""
    held = {
        "Dataset": look["dataset"],
        "Learner": look["learner"],
        "Strategies": ", ".join(look["strategies"]) or "none",
        "References": ", ".join(look["references"]) or "none",
        "Folds" if look["folds"] else "Seeds": ranges(sorted(look["seeds"])),
        "Cycles": str(look["cycles"]),
        "Budget per cycle": ", ".join(
            "{} images x {} regions".format(*budget.split("x")) for budget in look["budgets"]
        ),
    }
    file = beside(folder, "logs") / START
    try:
        start = read_json(file) if file.is_file() else {}
    except DataError:
        start = {}
    held |= {name.capitalize(): str(value) for name, value in start.items()}
    return list(held.items())


def _about(look: Look) -> Group:
    chosen = "No model, threshold or region was chosen by them."
    if look["validation"] == "paper":
        chosen = (
            "As in the paper, the same images also say when a training stops, so the scores are "
            "optimistic; no threshold and no region was chosen by them."
        )
    lines = [
        f"Scores are those of the test split. {chosen}",
        f"The cost on the horizontal axes is {look['x'].replace('_', ' ')}; set report.cost for "
        "another one.",
        *([f"{look['remark'].capitalize()}."] if look["remark"] else []),
    ]
    return Group("How to read this page", [Section("about", "Scores and costs", notes=lines)], True)
