"""The report of a run from its own files, whether it is finished or not."""

from __future__ import annotations

from pathlib import Path

from al.io.errors import DataError

from .assembly import write_page
from .catalogue import Look, pictures_of
from .drawing import save_figures
from .gather import histories_of, metrics_of, missing_of, read_run
from .imaging import Images, save_pictures
from .pictures import Picture
from .tabulation import Source, read_last_metrics, save_tables


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
    files = metrics_of(folder, look)
    if not files:
        raise DataError(f"{folder}: nothing was evaluated yet")
    view = read_run(folder, look)
    out = folder / "report"
    empty = save_figures(view, look, out)
    benchmarks = folder.parent.parent / "benchmarks" / folder.name
    source = Source(view, look, benchmarks, read_last_metrics(files, view))
    tables = save_tables(source, out)
    pictures, trouble = cut_pictures(folder, look)
    missing, *_ = missing_of(look, view.points)
    notes = {stem: trouble for _, stem, _ in pictures_of(look)} if trouble else {}
    page = write_page(look, view, tables, pictures, out, notes)
    lines = [*missing, *(f"{stem}: nothing to draw yet" for stem in empty)]
    return page, [*lines, trouble] if trouble else lines


def cut_pictures(folder: Path, look: Look) -> tuple[dict[str, list[Picture]], str]:
    """Draw the figures that show images, and cut the pictures of the page.

    The images of a run may lie where they cannot be read from here, and its first seed, which they
    show, may not be there: then there is no picture, and the second value says why.
    """
    begun = [budget for budget in look["budgets"] if histories_of(folder, look, budget)]
    if not pictures_of(look):
        return {}, ""
    if not begun:
        return {}, f"pictures show seed {look['seeds'][0]}, which has no finished cycle yet"
    try:
        images = Images(folder, look)
        save_pictures(images, folder / "report")
        return {budget: images.pictures(budget) for budget in begun}, ""
    except (OSError, DataError) as error:
        return {}, f"images could not be read: {error}"
