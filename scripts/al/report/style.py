"""Colours, shapes and dashes of strategies, colours of classes, and labels of axes."""

from __future__ import annotations

import colorsys
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from al.paths import REFERENCES

Rgb = tuple[float, float, float]

# Okabe and Ito's palette without black and yellow, which serve as ink and cannot be seen on white,
# and three dark colours. The first six stay apart from each other and from the grey of `random`
# in normal sight, protanopia and deuteranopia (CIELAB distance of 20 or more); of the last three,
# orange nears vermilion, and green and pink near grey.
PALETTE = (
    *("#D55E00", "#0072B2", "#56B4E9", "#8A2BE2", "#920000", "#004949"),
    *("#E69F00", "#009E73", "#CC79A7"),
)
# Shapes and dashes (pixels drawn and left out) as Vega names them.
# Vega has no upright cross turned, and no star: as paths within -1 and 1.
_TURNED = "M-1,-.6L-.6,-1L0,-.4L.6,-1L1,-.6L.4,0L1,.6L.6,1L0,.4L-.6,1L-1,.6L-.4,0Z"
_STAR = "M0,-1L.25,-.34L.95,-.31L.4,.13L.59,.81L0,.42L-.59,.81L-.4,.13L-.95,-.31L-.25,-.34Z"
SHAPES = (
    *("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", _TURNED),
    *("triangle-left", "triangle-right", _STAR),
)
RULE = "M-2,0L2,0"  # of a line all across a panel
SOLID = (1.0, 0.0)
DASHES: tuple[tuple[float, ...], ...] = (SOLID, (5, 2), (1.5, 1.5), (7, 1.5, 1.5, 1.5))
INK, GREY = "#222222", "#808080"
BACKGROUND: Rgb = (0.25, 0.25, 0.25)
# The map plasma from 0.2 to 0.82: its dark end looks all the same, its light end is lost on white.
_PLASMA = (
    *("#6a00a8", "#8b0aa5", "#aa2395", "#c33d80"),
    *("#d7566c", "#e97158", "#f68f44", "#fdae32"),
)
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
    """How a strategy is drawn: colour as ``#RRGGBB``, shape and dashes as Vega names them."""

    colour: str
    shape: str
    dash: tuple[float, ...] = SOLID


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


def strategy_styles(
    names: Sequence[str], colours: Mapping[str, str], others: Iterable[str] = ()
) -> dict[str, Style]:
    """Colour, shape and dashes of each strategy: those of ``colours`` first, then as given.

    A strategy of ``names`` that ``colours`` has looks the same whatever else is drawn. The rest
    take the colours of ``PALETTE`` that are in ``colours`` for nothing, in the order in which they
    are named; then those that are there for what is not in ``names``, references aside; then all
    again with the next of ``DASHES``. So nine strategies differ in colour, which points show
    best, where references and strategies with colours leave the palette to them.

    Args:
        names: strategies that figures show.
        colours: strategy or reference -> colour.
        others: strategies that may turn up as well; they take looks that ``names`` leave.
    """
    first = set(names)
    kept = {c.lower() for n, c in colours.items() if n in first or n in REFERENCES}
    given = {c.lower() for c in colours.values()}
    free = sorted((c for c in PALETTE if c.lower() not in kept), key=lambda c: c.lower() in given)
    looks = [(c, dash) for dash in DASHES for c in free]
    looks += [(c, dash) for dash in DASHES[1:] for c in PALETTE]
    every = list(dict.fromkeys([*names, *others]))
    place = {name: i for i, name in enumerate(colours)}
    styles: dict[str, Style] = {}
    for name in sorted(every, key=lambda n: (n not in first, place.get(n, len(place)))):
        own = [(colours[name], dash) for dash in DASHES] if name in colours else looks
        drawn = {(s.colour.lower(), s.dash) for s in styles.values()}
        colour, dash = next((o for o in own if (o[0].lower(), o[1]) not in drawn), own[0])
        # The shape that few have; of strategies with colours it is fixed.
        fixed = SHAPES[place[name] % len(SHAPES)] if name in colours else ""
        alike = {s.shape for s in styles.values() if s.colour.lower() == colour.lower()}
        shapes = [s.shape for s in styles.values()]
        shape = min(SHAPES, key=lambda m: (m in alike, m != fixed, shapes.count(m)))
        styles[name] = Style(colour, shape, dash)
    return styles


def class_colours(n: int, background: int | None = None) -> list[Rgb]:
    """A bright colour per class, neighbours apart in hue and lightness; the background is quiet.

    Returns:
        (n, 3) in 0..1.
    """
    golden = 0.61803398875
    found = [
        colorsys.hls_to_rgb((0.02 + i * golden) % 1, (0.5, 0.65, 0.4)[i % 3], 0.95)
        for i in range(n)
    ]
    if background is not None:
        found[background] = BACKGROUND
    return found


def named_colours(
    classes: Sequence[str], given: Sequence[Sequence[int]], background: int | None
) -> dict[str, str]:
    """Colour of each class as ``#rrggbb``: the dataset's RGB of 0..255, else ``class_colours``."""
    found = [(r / 255, g / 255, b / 255) for r, g, b in given]
    found = found or class_colours(len(classes), background)
    return {name: hex_of(rgb) for name, rgb in zip(classes, found, strict=True)}


def sequential_colours(n: int) -> list[str]:
    """Colours of ``n`` values in order, from dark to light."""
    return [_PLASMA[round(i * (len(_PLASMA) - 1) / max(1, n - 1))] for i in range(n)]


def hex_of(rgb: Rgb) -> str:
    """``#rrggbb`` of a colour in 0..1."""
    return "#" + "".join(f"{round(255 * v):02x}" for v in rgb)
