"""Several runs beside each other: their curves in one figure, mean ranks in one table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from al.config.settings import read_settings
from al.io.errors import DataError

from .catalogue import Look, caption
from .charts import joined, save_chart
from .curve_charts import curves
from .gather import missing_of, read_run
from .measures import summaries
from .page import Group, Opening, Section, render_page
from .ranks import RANK_COLUMNS, rank_rows
from .tables import shown, write_csv
from .view import View

Run = tuple[Path, Look]
UNRANKED = "Fewer than two strategies have values in all of them: none is ranked."


def report_runs(runs: Sequence[Run], out: Path) -> tuple[Path, list[str]]:
    """Write a figure, a table and a page that compare runs.

    Args:
        runs: ``results/{run}`` and what ``look.look_of`` says of it; names of runs differ.
        out: folder to write to.

    Returns:
        the page, and a line for whatever is missing.

    Raises:
        DataError: nothing of a run was evaluated yet, two folders hold the same run, or versions
            that read or score data in different ways made them.
    """
    _refuse_mixed(runs)
    named = (
        replace(v, title=f"{v.points[0].run}: {v.title}") for v in (read_run(*r) for r in runs)
    )
    whole = _alike(named)
    views = [view.at(budget) for view in whole for budget in view.budgets]
    lacks = [missing_of(look, view.points) for (_, look), view in zip(runs, whole, strict=True)]
    missing = [
        f"{look['run']}: {line}"
        for (_, look), own in zip(runs, lacks, strict=True)
        for line in own[0]
    ]
    drawn = [chart for view in views if (chart := curves(view)) is not None]
    save_chart(joined(drawn, 2), out, "curves")
    ranks = rank_rows([s for view in views for s in summaries(view)])
    write_csv(ranks, out / "ranks.csv", RANK_COLUMNS)
    head = [name.replace("_", " ") for name in RANK_COLUMNS]
    files = [f"curves.{end}" for end in ("pdf", "png", "svg")]
    sections = [
        Section("curves", "Learning curves", caption("curves"), out / "curves", files=files),
        Section(
            "ranks",
            "Mean ranks",
            caption("ranks"),
            table=[head, *shown(ranks, RANK_COLUMNS)] if ranks else None,
            files=["ranks.csv"],
            notes=[] if ranks else [UNRANKED],
        ),
    ]
    facts = [
        (look["run"], f"{look['dataset']}, {look['learner']}, {', '.join(look['budgets'])}")
        for _, look in runs
    ]
    title = f"{len(runs)} runs compared"
    lacking, planned = (sum(own[i] for own in lacks) for i in (1, 2))
    opening = Opening(title, facts=facts, missing=missing, lacking=lacking, planned=planned)
    render_page(opening, [Group("Results", sections)], out / "report.html")
    return out / "report.html", missing


def _refuse_mixed(runs: Sequence[Run]) -> None:
    """Raise DataError where one run is there twice, or scores do not mean the same."""
    folders: dict[str, Path] = {}
    for folder, look in runs:
        first = folders.setdefault(look["run"], folder)
        if first != folder:
            raise DataError(f"{folder}: holds run {look['run']!r}, as {first} does; name it once")
    rules = {
        run: read_settings(folder / "config.yaml").get("rules") for run, folder in folders.items()
    }
    if len(set(map(str, rules.values()))) > 1:
        told = "; ".join(f"{run}: {held}" for run, held in rules.items())
        raise DataError(f"begun by versions that read or score data in different ways ({told})")


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
