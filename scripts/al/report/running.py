"""The report of a run from its own files, whether it is finished or not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from al.io.errors import DataError

from .catalogue import Look, pictures_of
from .contents import write_page
from .figures import save_figures
from .gather import histories_of, metrics_of, missing_of, read_run
from .pictures import save_pictures
from .regions import regions_explorer
from .tabulation import save_tables
from .view import View


def report_run(folder: Path, look: Look) -> tuple[Path, list[str]]:
    """Write figures, tables and page to ``results/{run}/report``.

    Nothing outside that folder is written, so that it can be done beside a run in progress.

    Args:
        folder: ``results/{run}``.
        look: as ``look.look_of``.

    Returns:
        the page, and a line for whatever is missing.

    Raises:
        DataError: nothing of the run was evaluated yet.
    """
    if not metrics_of(folder, look):
        raise DataError(f"{folder}: nothing was evaluated yet")
    view = read_run(folder, look)
    empty = save_figures(view, look, folder / "report")
    trouble = draw_pictures(folder, look)
    page = page_of(folder, look, view, trouble)
    missing, *_ = missing_of(look, view.points)
    lines = [*missing, *(f"{stem}: nothing to draw yet" for stem in empty)]
    return page, [*lines, trouble] if trouble else lines


def page_of(folder: Path, look: Look, view: View, trouble: str = "") -> Path:
    """Write the tables and the page of a run whose figures are there."""
    tables = save_tables(view, look, folder)
    return write_page(look, view, tables, folder, _explored(folder, look), trouble)


def draw_pictures(folder: Path, look: Look) -> str:
    """Draw the figures that show images; where they cannot be, say why.

    The images of a run may lie where they cannot be read from here, and its first seed, which they
    show, may not be there.
    """
    if not pictures_of(look):
        return ""
    if not any(histories_of(folder, look, budget) for budget in look["budgets"]):
        return f"Pictures show seed {look['seeds'][0]}, which has no finished cycle yet."
    try:
        save_pictures(folder, look, folder / "report")
    except (OSError, DataError) as error:
        return f"Images could not be read: {error}"
    return ""


def _explored(folder: Path, look: Look) -> dict[str, Any] | None:
    """The chart to explore the regions, where their images can be read."""
    try:
        return regions_explorer(folder, look, look["budgets"]) if pictures_of(look) else None
    except (OSError, DataError):
        return None
