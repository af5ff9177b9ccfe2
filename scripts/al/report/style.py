"""Colours, markers, axis labels and the way figures are saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from al.io.files import atomic_path
from al.paths import REFERENCES

# Okabe and Ito's palette without black and yellow, which serve as ink and cannot be seen on white,
# and three dark colours. The first six stay apart from each other and from the grey of `random`
# in normal sight, protanopia and deuteranopia (CIELAB distance of 20 or more); of the last three,
# orange nears vermilion, and green and pink near grey.
PALETTE = (
    *("#D55E00", "#0072B2", "#56B4E9", "#8A2BE2", "#920000", "#004949"),
    *("#E69F00", "#009E73", "#CC79A7"),
)
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "*")
_Dashes = str | tuple[int, tuple[float, ...]]
LINES: tuple[_Dashes, ...] = (
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
    line: _Dashes


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
    names: Iterable[str], colours: Mapping[str, str], others: Iterable[str] = ()
) -> dict[str, Style]:
    """Colour, marker and line of each strategy: those of ``colours`` first, then as given.

    A strategy of ``names`` that ``colours`` has looks the same whatever else is drawn. The rest
    take the colours of ``PALETTE`` that are in ``colours`` for nothing, in the order in which they
    are named; then those that are there for what is not in ``names``, references aside; then all
    again with the next of ``LINES``. So nine strategies differ in colour, which is what points show
    best, where references and strategies with colours leave the palette to them.

    Args:
        names: strategies that figures show.
        colours: strategy or reference -> colour.
        others: strategies that may turn up as well; they take looks that ``names`` leave.
    """
    first = list(dict.fromkeys(names))
    later = [n for n in dict.fromkeys(others) if n not in first]
    kept = {c.lower() for n, c in colours.items() if n in first or n in REFERENCES}
    given = {c.lower() for c in colours.values()}
    free = sorted((c for c in PALETTE if c.lower() not in kept), key=lambda c: c.lower() in given)
    looks = [(c, line) for line in LINES for c in free]
    looks += [(c, line) for line in LINES[1:] for c in PALETTE]
    styles: dict[str, Style] = {}
    for group in (first, later):
        for name in [*(n for n in colours if n in group), *(n for n in group if n not in colours)]:
            styles[name] = _style(name, colours, looks, list(styles.values()))
    return styles


def _style(
    name: str,
    colours: Mapping[str, str],
    looks: Sequence[tuple[str, _Dashes]],
    taken: Sequence[Style],
) -> Style:
    """The first colour and line that is not taken, and a marker that few have."""
    own = ""
    if name in colours:
        place = list(colours).index(name)
        before = [c.lower() for c in colours.values()][: place + 1]
        start = before.count(before[-1]) - 1
        looks = [(colours[name], LINES[(start + i) % len(LINES)]) for i in range(len(LINES))]
        own = MARKERS[place % len(MARKERS)]
    drawn = {(s.colour.lower(), s.line) for s in taken}
    left = [(c, line) for c, line in looks if (c.lower(), line) not in drawn]
    colour, line = left[0] if left else looks[len(taken) % len(looks)]
    alike = [s.marker for s in taken if s.colour.lower() == colour.lower()]
    markers = [s.marker for s in taken]
    marker = min(MARKERS, key=lambda m: (m in alike, m != own, markers.count(m)))
    return Style(colour, marker, line)


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
    """An empty figure (inches) outside pyplot, so that nothing stays open or needs a display.

    From here on Matplotlib takes no ``$`` for the start of a formula, in this process: names of
    classes, strategies and images are shown letter by letter. Texts made earlier stay as they are.
    """
    from matplotlib import rcParams
    from matplotlib.figure import Figure

    # Artists read this when they are made, which is wherever a figure is drawn on.
    rcParams["text.parse_math"] = False
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
        # Some texts, such as those of ticks, are made when the figure is saved.
        settings = {"pdf.fonttype": 42, "text.parse_math": False}
        with atomic_path(path) as temporary, rc_context(settings):
            figure.savefig(temporary, dpi=dpi, metadata=metadata)
