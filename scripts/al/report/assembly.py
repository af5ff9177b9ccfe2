"""Puts the page of a run together: its figures, tables and interactive parts, in order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from .catalogue import REGIONS as REGIONS_CATEGORY
from .catalogue import RESULTS, STATISTICS, TABLES, Entry, Look, caption, figures_of, pictures_of
from .comparisons import fewest_of, smallest_possible
from .gather import missing_of, ranges
from .interactive import main_curve, region_browser
from .matrix import LEVEL
from .page import Section, render_page
from .pictures import Picture
from .tabulation import Table
from .view import View

COSTS = (
    "area_percent",
    "rois_percent",
    "images_percent",
    "foreground_percent",
    "images",
    "regions",
    "validation_images",
    "validation_regions",
)
CATEGORY_OF_TABLE = {
    "reach": RESULTS,
    "summaries": STATISTICS,
    "pairs": STATISTICS,
    "ranks": STATISTICS,
    "efficiency": STATISTICS,
    "cycles": STATISTICS,
    "cases": STATISTICS,
    "correlations": "Classes",
    "selection": "Costs",
    "usage": "Costs",
}


def write_page(
    look: Look,
    view: View | None,
    tables: Mapping[str, Table],
    pictures: Mapping[str, Sequence[Picture]],
    folder: Path,
    notes: Mapping[str, str] | None = None,
) -> Path:
    """Write ``report.html``, by rename.

    Args:
        look: as ``look.look_of``.
        view: of the whole run; ``None`` where nothing was evaluated yet.
        tables: by name, as ``tabulation.save_tables`` returns.
        pictures: of the region browser, by budget.
        folder: ``results/{run}/report``, where figures and tables lie.
        notes: figure -> why it is not there, for those that could not be drawn.
    """
    points = view.points if view else ()
    missing, lacking, planned = missing_of(look, points)
    sections: list[Section] = []
    if view and view.budgets:
        views = [view.at(budget) for budget in view.budgets]
        sections.append(
            Section(
                "explore",
                "Explore the curves",
                RESULTS,
                "Choose the cost on the horizontal axis and the budget; a click on a name takes a "
                "strategy out, a double click shows it alone.",
                html=main_curve(views, [look["x"], *(c for c in COSTS if c != look["x"])]),
            )
        )
    told = {
        stem: _few_seeds(budget, tables, look["folds"])
        for entry, stem, budget in figures_of(look)
        if entry.name == "comparisons"
    }
    told |= {stem: [note] for stem, note in (notes or {}).items()}
    sections += [_figure(*f, look, folder, told) for f in figures_of(look)]
    if view and any(pictures.values()):
        browser = region_browser(
            pictures, _chosen_styles(look, view), view.classes, view.class_colours, view.cycles
        )
        text = "Regions as they were chosen, cycle by cycle, with the first seed."
        sections.append(
            Section("browse", "Browse the regions", REGIONS_CATEGORY, text, html=browser)
        )
    sections += [_figure(*f, look, folder, told) for f in pictures_of(look)]
    sections += [_table(name, table, folder) for name, table in tables.items()]
    out = folder / "report.html"
    render_page(
        f"{look['run']}: {look['dataset']}",
        _summary(look),
        missing,
        [*sections, _about(look)],
        out,
        (lacking, planned),
    )
    return out


def _chosen_styles(look: Look, view: View) -> dict[str, object]:
    return {name: view.styles[name] for name in view.order(look["strategies"])}


def _figure(
    entry: Entry,
    stem: str,
    budget: str,
    look: Look,
    folder: Path,
    notes: Mapping[str, Sequence[str]],
) -> Section:
    png = folder / f"{stem}.png"
    lacking = [] if png.is_file() else ["Nothing to draw yet."]
    several = budget and len(look["budgets"]) > 1
    files = [(end.upper(), f"{stem}.{end}") for end in ("pdf", "png")]
    return Section(
        stem,
        f"{entry.title}, {budget}" if several else entry.title,
        entry.category,
        caption(entry.name),
        figure=png if png.is_file() else None,
        files=[(label, name) for label, name in files if (folder / name).is_file()],
        notes=notes.get(stem, lacking),
    )


def _few_seeds(budget: str, tables: Mapping[str, Table], folds: int) -> list[str]:
    """Say of the comparisons of a budget what the number of seeds allows."""
    rows = tables["pairs"].rows if "pairs" in tables else []
    mine = [row for row in rows if row["budget"] == budget]
    pairs = len({(row["first"], row["second"]) for row in mine})
    n, what = max((row["seeds"] for row in mine), default=0), "fold" if folds else "seed"
    if n < (fewest := fewest_of(bool(folds))):
        why = "" if folds else ", since none could be significant"
        return [
            f"{n} {what}{'s' * (n != 1)} to compare: below {fewest} there is no test{why}; look at "
            f"the points, {what} by {what}."
        ]
    least = smallest_possible(n, pairs)
    if least > LEVEL and not folds:
        return [
            f"With {n} seeds and {pairs} pairs the smallest corrected p possible is "
            f"{least:.2g}: nothing can be significant. Compare fewer strategies, or run more seeds."
        ]
    return []


def _table(name: str, table: Table, folder: Path) -> Section:
    files = [(end.upper(), f"{name}.{end}") for end in ("csv", "tex", "md")]
    cells = table.cells()
    return Section(
        f"table-{name}",
        TABLES[name],
        CATEGORY_OF_TABLE[name],
        caption(name),
        table=cells if len(cells) > 1 else None,
        files=[(label, path) for label, path in files if (folder / path).is_file()],
        notes=[] if len(cells) > 1 else [table.empty],
    )


def _summary(look: Look) -> list[tuple[str, str]]:
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
    return [(name, str(value)) for name, value in held.items()]


def _about(look: Look) -> Section:
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
        *(f"{name}: {note}." for name, note in look["notes"].items()),
        *([f"{look['remark'].capitalize()}."] if look["remark"] else []),
    ]
    return Section("about", "How to read this page", "About", notes=lines)
