"""The figures of a run that are drawn from its images, and the pictures of its page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from al.io.tables import PoolRow, RegionRow, read_pool, read_regions
from al.layouts import get_layout
from al.paths import pool_of

from .catalogue import Look, pictures_of
from .filling import plot_filling
from .gather import histories_of
from .overlays import choose_images, plot_overlays
from .pictures import Picture
from .pictures import pictures_of as cut_pictures
from .style import class_colours

# Of the pictures in a page: how many slices of a volume, and their longer side in pixels.
MOST_SLICES, SIDE = 6, 900


class Images:
    """Images of the pool of a run's first seed, and what was annotated on them.

    Args:
        folder: ``results/{run}``.
        look: as ``look.look_of``.

    Raises:
        OSError, DataError: the data of the run cannot be read.
    """

    def __init__(self, folder: Path, look: Look) -> None:
        self.folder, self.look = folder, look
        layout = look["layout"]
        self.layout = get_layout(layout["name"], layout["options"], layout["classes"])
        pool = read_pool(pool_of(folder, look["seeds"][0]))
        self.rows: dict[str, PoolRow] = {row.key: row for row in pool}
        given = look["class_colours"]
        self.colours = (
            [tuple(v / 255 for v in rgb) for rgb in given]
            if given
            else class_colours(len(look["classes"]))
        )

    def regions(self, budget: str) -> dict[str, list[RegionRow]]:
        """What each strategy annotated so far, with the first seed."""
        found: Mapping[str, Path] = histories_of(self.folder, self.look, budget)
        return {name: read_regions(path) for name, path in found.items()}

    def plot(self, name: str, budget: str, png: Path, pdf: Path) -> None:
        """Write the figure ``regions`` or ``filling`` of a budget, by rename."""
        regions, shape = self.regions(budget), self.look["footprint"]
        if name == "filling":
            plot_filling(self.layout, self.rows, regions, png, pdf, shape=shape)
            return
        plot_overlays(
            self.layout,
            self.rows,
            regions,
            self.look["classes"],
            png,
            pdf,
            self.look["overlay_images"],
            self.colours,
            shape,
        )

    def pictures(self, budget: str) -> list[Picture]:
        """Return the pictures of the page's browser."""
        regions = self.regions(budget)
        chosen = choose_images(regions, self.look["overlay_images"])
        return cut_pictures(self.layout, self.rows, regions, chosen, MOST_SLICES, SIDE)


def save_pictures(images: Images, folder: Path) -> None:
    """Write the figures as PNG and PDF to ``results/{run}/report``; budgets without regions wait.

    Raises:
        OSError, DataError: an image cannot be read.
    """
    for entry, stem, budget in pictures_of(images.look):
        if any(images.regions(budget).values()):
            images.plot(entry.name, budget, folder / f"{stem}.png", folder / f"{stem}.pdf")
