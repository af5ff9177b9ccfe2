"""Several runs beside each other: mean ranks over datasets and budgets, and their curves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from al.io.errors import DataError

from .catalogue import RESULTS, STATISTICS, Look, caption
from .figures import draw_curves
from .gather import missing_of, read_run
from .page import Section, render_page
from .ranks import draw_ranks, rank
from .style import Style, save
from .summaries import Summary, measure_of, reach_name, summaries
from .tables import write_table
from .tabulation import RANK_COLUMNS, SUMMARY_COLUMNS, UNRANKED, Table, rank_rows
from .view import View

Run = tuple[Path, Look]


def report_runs(runs: Sequence[Run], out: Path) -> tuple[Path, list[str]]:
    """Write tables, figures and a page that compare runs; a block of the ranks is a run's budget.

    Args:
        runs: ``results/{run}`` and what ``look.look_of`` says of it; names of runs differ.
        out: folder to write to.

    Returns:
        the page, and a line for whatever is missing.

    Raises:
        DataError: nothing of a run was evaluated yet, or two folders hold the same run.
    """
    folders: dict[str, Path] = {}
    for folder, look in runs:
        first = folders.setdefault(look["run"], folder)
        if first != folder:
            raise DataError(f"{folder}: holds run {look['run']!r}, as {first} does; name it once")
    whole = _alike(read_run(*run) for run in runs)
    views = [view.at(budget) for view in whole for budget in view.budgets]
    missing = [
        f"{look['run']}: {line}"
        for (_, look), view in zip(runs, whole, strict=True)
        for line in missing_of(look, view.points)[0]
    ]
    found = [s for view in views for s in summaries(view)]
    sections = [*_ranks(found, whole[0].styles, out), *_curves(views, out), *_tables(found, out)]
    page = out / "report.html"
    render_page(f"{len(runs)} runs compared", _facts(runs), missing, sections, page)
    return page, missing


def _alike(views: Iterable[View]) -> list[View]:
    """Views in which a strategy of any of them has one look; the first that names a colour wins."""
    views = list(views)
    colours: dict[str, str] = {}
    known: dict[str, None] = {}
    names: dict[str, None] = {}
    for view in views:
        colours = {**view.colours, **colours}
        known |= dict.fromkeys(view.known)
        names |= dict.fromkeys(view.strategies)
    alike = {"colours": colours, "known": list(known), "compared": list(names)}
    return [replace(view, **alike) for view in views]


def _ranks(found: Sequence[Summary], styles: Mapping[str, Style], out: Path) -> list[Section]:
    sections = []
    reached = [m for m in dict.fromkeys(s.measure for s in found) if m == reach_name(0.95)]
    for measure in ("area", "final", *reached):
        kind = measure_of(measure)
        ranks = rank(found, measure)
        if ranks is None:
            continue
        stem = f"ranks-{measure}"
        save(draw_ranks(ranks, styles, measure), out / f"{stem}.png", out / f"{stem}.pdf")
        sections.append(
            Section(
                stem,
                f"Mean ranks: {kind.label}",
                STATISTICS,
                "Mean rank over runs and budgets, 1 for the best; small points are the ranks in "
                "each of them. Only strategies that every run and budget has are ranked.",
                figure=out / f"{stem}.png",
                files=[("PDF", f"{stem}.pdf")],
                notes=[
                    *([ranks.reason] if ranks.reason else []),
                    *ranks.notes,
                    *(f"{name}: {why}" for name, why in ranks.left_out.items()),
                ],
            )
        )
    return sections


def _curves(views: Sequence[View], out: Path) -> list[Section]:
    sections = []
    for view in views:
        run = view.points[0].run
        stem = f"curves-{run}-{view.budget}"
        figure = draw_curves(view)
        if figure is None:
            continue
        save(figure, out / f"{stem}.png", out / f"{stem}.pdf")
        sections.append(
            Section(
                stem,
                f"{run}, {view.budget}",
                RESULTS,
                "" if sections else caption("curves"),
                figure=out / f"{stem}.png",
                files=[("PDF", f"{stem}.pdf")],
            )
        )
    return sections


def _tables(found: Sequence[Summary], out: Path) -> list[Section]:
    tables = {
        "ranks": Table(
            rank_rows(found), {**RANK_COLUMNS, "blocks": "runs and budgets"}, empty=UNRANKED
        ),
        "summaries": Table(list(map(asdict, found)), {"run": "run", **SUMMARY_COLUMNS}),
    }
    titles = {"ranks": "Mean ranks", "summaries": "One number per seed"}
    sections = []
    for name, table in tables.items():
        write_table(table.rows, out / name, table.columns, caption(name), f"tab:{name}")
        files = [("CSV", f"{name}.csv"), ("TEX", f"{name}.tex")]
        cells = table.cells() if table.rows else None
        notes = [] if cells else [table.empty]
        sections.append(
            Section(
                f"table-{name}",
                titles[name],
                STATISTICS,
                caption(name),
                table=cells,
                files=files,
                notes=notes,
            )
        )
    return sections


def _facts(runs: Sequence[Run]) -> list[tuple[str, str]]:
    return [
        (look["run"], f"{look['dataset']}, {look['learner']}, {', '.join(look['budgets'])}")
        for _, look in runs
    ]
