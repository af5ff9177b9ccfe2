"""Colours, markers, axis labels and the way figures are saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from glue.files import atomic_path

# Okabe and Ito's palette without black and yellow, which serve as ink and cannot be seen on white,
# then three dark colours that stay apart from these, from grey and from each other in normal
# sight, protanopia and deuteranopia (CIELAB distance of 20 or more).
PALETTE = (
    *("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"),
    *("#8A2BE2", "#920000", "#004949"),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
LINES: tuple[str | tuple[int, tuple[float, ...]], ...] = (
    "-",
    (0, (4, 1.2)),
    (0, (1.2, 1)),
    (0, (6, 1.2, 1.2, 1.2)),
)
INK = "#222222"
_COSTS = {
    "area_percent": "annotated area (%)",
    "rois_percent": "annotated RoIs (%)",
    "images_percent": "images opened (%)",
    "foreground_percent": "annotated foreground (%)",
}
_CLASS_SCORES = {"mIoU": "IoU", "mean Dice": "Dice", "weighted F1": "F1"}


class Style(NamedTuple):
    """How a strategy is drawn; ``line`` is a Matplotlib line style."""

    colour: str
    marker: str
    line: str | tuple[int, tuple[float, ...]]


def cost_label(x: str, task: str) -> str:
    """Axis label of a cost: ``area_percent`` is the annotated area, or volume in 3-D."""
    if x == "area_percent" and task == "3d":
        return "annotated volume (%)"
    return _COSTS.get(x, x.replace("_percent", " (%)").replace("_", " "))


def class_score_name(score_name: str) -> str:
    """Name of the per-class score behind a main score: ``IoU`` for ``mIoU``."""
    return _CLASS_SCORES.get(score_name, score_name)


def strategy_order(names: Iterable[str], colours: Mapping[str, str]) -> list[str]:
    """Names in the order of ``colours``; those it lacks follow, sorted."""
    names = set(names)
    return [n for n in colours if n in names] + sorted(names - set(colours))


def strategy_styles(names: Iterable[str], colours: Mapping[str, str]) -> dict[str, Style]:
    """Colour, marker and line of each strategy, in ``strategy_order``.

    A strategy named in ``colours`` looks the same in every figure, whatever else is drawn. The
    others take the colours of ``PALETTE`` that are left, then these again with the next of
    ``LINES``; where none is left, all of them with broken lines.
    """
    used = [c.lower() for c in colours.values()]
    left = [c for c in PALETTE if c.lower() not in used]
    looks = [(c, line) for line in LINES[0 if left else 1 :] for c in left or PALETTE]
    styles = {}
    others = 0
    for name in strategy_order(names, colours):
        if name in colours:
            place = list(colours).index(name)
            colour, line = colours[name], LINES[used[:place].count(used[place]) % len(LINES)]
        else:
            place = len(colours) + others
            colour, line = looks[others % len(looks)]
            others += 1
        styles[name] = Style(colour, MARKERS[place % len(MARKERS)], line)
    return styles


def class_colours(n_classes: int) -> list[tuple[float, float, float]]:
    """One bright colour per class; neighbours differ in hue and lightness."""
    import colorsys

    golden = 0.61803398875
    return [
        colorsys.hls_to_rgb((0.02 + i * golden) % 1, (0.5, 0.65, 0.4)[i % 3], 0.95)
        for i in range(n_classes)
    ]


def new_figure(width: float, height: float) -> Any:
    """An empty figure (inches) outside pyplot, so that nothing stays open or needs a display."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Any, *paths: Path | None, dpi: int = 150) -> None:
    """Save a figure under each path, by rename; no date in the file, so equal runs give equal."""
    for path in paths:
        if path is None:
            continue
        pdf = Path(path).suffix == ".pdf"
        metadata = {"CreationDate": None} if pdf else {"Software": None}
        with atomic_path(path) as temporary:
            figure.savefig(temporary, dpi=dpi, metadata=metadata)
