"""Colours, markers, axis labels and the way figures are saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from glue.files import atomic_path

# Okabe and Ito's palette without black and yellow, which serve as ink and cannot be seen on white,
# and three dark colours. The first six stay apart from each other and from the grey of `random`
# in normal sight, protanopia and deuteranopia (CIELAB distance of 20 or more); of the last three,
# orange nears vermilion, and green and pink near grey.
PALETTE = (
    *("#D55E00", "#0072B2", "#56B4E9", "#8A2BE2", "#920000", "#004949"),
    *("#E69F00", "#009E73", "#CC79A7"),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
LINES: tuple[str | tuple[int, tuple[float, ...]], ...] = (
    "-",
    (0, (4, 1.2)),
    (0, (1.2, 1)),
    (0, (6, 1.2, 1.2, 1.2)),
)
INK = "#222222"
# Costs in the order of figures that show them all.
_COSTS = {
    "area_percent": "annotated area (%)",
    "rois_percent": "annotated RoIs (%)",
    "foreground_percent": "annotated foreground (%)",
    "regions": "annotated regions",
    "images": "images opened",
    "images_percent": "images opened (%)",
    "validation_images": "validation images annotated",
    "validation_regions": "validation regions annotated",
    "steps": "training steps",
}
_NAMED = {
    ("area_percent", "3d"): "annotated volume (%)",
    ("regions", "roi"): "annotated RoIs",
    ("validation_regions", "roi"): "validation RoIs annotated",
}
_CLASS_SCORES = {"mIoU": "IoU", "mean Dice": "Dice", "weighted F1": "F1"}


class Style(NamedTuple):
    """How a strategy is drawn; ``line`` is a Matplotlib line style."""

    colour: str
    marker: str
    line: str | tuple[int, tuple[float, ...]]


def cost_label(x: str, task: str) -> str:
    """Axis label of a cost: ``area_percent`` is the annotated area, or volume in 3-D."""
    plain = x.replace("_percent", " (%)").replace("_", " ")
    return _NAMED.get((x, task)) or _COSTS.get(x, plain)


def cost_order(names: Iterable[str]) -> list[str]:
    """Costs as figures show them beside each other; unknown ones follow, sorted."""
    names = set(names)
    return [n for n in _COSTS if n in names] + sorted(names - _COSTS.keys())


def class_score_name(score_name: str) -> str:
    """Name of the per-class score behind a main score: ``IoU`` for ``mIoU``."""
    return _CLASS_SCORES.get(score_name, score_name)


def strategy_order(names: Iterable[str], colours: Mapping[str, str]) -> list[str]:
    """Names in the order of ``colours``; those it lacks follow, sorted."""
    names = set(names)
    return [n for n in colours if n in names] + sorted(names - set(colours))


def strategy_styles(names: Iterable[str], colours: Mapping[str, str]) -> dict[str, Style]:
    """Colour, marker and line of each strategy: those of ``colours`` first, then as given.

    A strategy named in ``colours`` looks the same in every figure, whatever else is drawn. The
    others take the colours of ``PALETTE`` that are left, in the order in which they are named, then
    these again with the next of ``LINES``; where none is left, all of them with broken lines.
    """
    names = list(dict.fromkeys(names))
    used = [c.lower() for c in colours.values()]
    left = [c for c in PALETTE if c.lower() not in used]
    looks = [(c, line) for line in LINES[0 if left else 1 :] for c in left or PALETTE]
    styles = {}
    others = 0
    for name in [*(n for n in colours if n in names), *(n for n in names if n not in colours)]:
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


def sequential_colours(n: int) -> list[str]:
    """Colours of ``n`` values in order, from dark to light."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    # The dark end of the map looks all the same to some, and the light end is lost on white.
    return [to_hex(colormaps["plasma"](0.2 + 0.62 * i / max(1, n - 1))) for i in range(n)]


def new_figure(width: float, height: float) -> Any:
    """An empty figure (inches) outside pyplot, so that nothing stays open or needs a display."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Any, *paths: Path | None, dpi: int = 300) -> None:
    """Save a figure under each path, by rename; no date in the file, so equal runs give equal.

    Fonts are embedded as TrueType: publishers refuse Matplotlib's default, Type 3.
    """
    from matplotlib import rc_context

    for path in paths:
        if path is None:
            continue
        pdf = Path(path).suffix == ".pdf"
        metadata = {"CreationDate": None} if pdf else {"Software": None}
        with atomic_path(path) as temporary, rc_context({"pdf.fonttype": 42}):
            figure.savefig(temporary, dpi=dpi, metadata=metadata)
