"""Colours, markers, axis labels and the way figures are saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from glue.files import atomic_path

# Okabe and Ito's palette without black and yellow, which serve as ink and cannot be seen on white.
PALETTE = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
SPARE = ("#8C564B", "#5B5B9F", "#7F7F7F", "#556B2F", "#C71585", "#008B8B", "#A0522D", "#4B0082")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
INK = "#222222"
_COSTS = {
    "area_percent": "annotated area (%)",
    "rois_percent": "annotated RoIs (%)",
    "images_percent": "images opened (%)",
    "foreground_percent": "annotated foreground (%)",
}
_CLASS_SCORES = {"mIoU": "IoU", "mean Dice": "Dice", "weighted F1": "F1"}


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


def strategy_styles(names: Iterable[str], colours: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Colour and marker of each strategy, in ``strategy_order``.

    A strategy named in ``colours`` looks the same in every figure, whatever else is drawn; the
    others take the colours that are left.
    """
    used = {c.lower() for c in colours.values()}
    free = [c for c in (*PALETTE, *SPARE) if c.lower() not in used] or list(SPARE)
    known = list(colours)
    styles = {}
    others = 0
    for name in strategy_order(names, colours):
        if name in colours:
            styles[name] = (colours[name], MARKERS[known.index(name) % len(MARKERS)])
        else:
            marker = MARKERS[(len(known) + others) % len(MARKERS)]
            styles[name] = (free[others % len(free)], marker)
            others += 1
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
