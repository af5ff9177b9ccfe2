"""Parts of the report that answer to the reader: the main curve and the region browser.

Both are HTML with their numbers as JSON; ``page.render_page`` adds plotly.js and the scripts of
``templates/`` once.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from al.io.errors import DataError

from .page import environment
from .pictures import Box, Picture
from .style import Style, cost_label
from .traces import budget_data, learned, text
from .view import View

JPEG_QUALITY = 85
MAX_SIDE = 1600  # pixels of an embedded picture; its axes keep the pixels of the original


def main_curve(views: Sequence[View], costs: Sequence[str], name: str = "main-curve") -> Markup:
    """Score against cost with a choice of cost, budget and strategies.

    Means over seeds as lines, each seed's scores as points, from ``ENOUGH`` seeds on the 95 %
    t-interval, for folds with the corrected variance; a line ends where a cycle is missing, and a
    mean of fewer seeds than planned is hollow. The chart's element has the id ``{name}-plot``.

    Args:
        views: one per budget, in the order to offer.
        costs: names of costs, in the order to offer; those no point has are left out. The cost of
            the first view is shown first.
        name: of the element, once per page.

    Raises:
        DataError: none of the costs is known of any point, or one falls from cycle to cycle.
    """
    views = [v for v in views if any(learned(v))]
    if not views:
        return Markup("<p>{}</p>").format("No model of a cycle has been evaluated yet.")
    held = [c for c in costs if any(c in p.costs for v in views for p in learned(v))]
    if not held:
        known = sorted({c for v in views for p in learned(v) for c in p.costs})
        raise DataError(f"no point has a cost of {list(costs)}, there are {', '.join(known)}")
    task = views[0].task
    data = {
        "costs": [{"key": c, "label": text(cost_label(c, task))} for c in held],
        "budgets": [budget_data(v, held) for v in views],
    }
    return _widget(
        "curve.html.j2",
        name=name,
        data=data,
        costs=[(c, cost_label(c, task)) for c in held],
        first=views[0].x if views[0].x in held else held[0],
    )


def _widget(template: str, **values: Any) -> Markup:
    return Markup(environment().get_template(template).render(**values))


def region_browser(
    pictures: Mapping[str, Sequence[Picture]],
    styles: Mapping[str, Style],
    classes: Sequence[str],
    class_colours: Sequence[tuple[float, float, float]],
    cycles: int,
    name: str = "region-browser",
) -> Markup:
    """Chosen regions on pictures, with a choice of budget, picture, strategy and cycle.

    Boxes have the colour of the class behind the choice, white where there is none; those of the
    shared first cycle are dashed. The picture's element has the id ``{name}-plot``.

    Args:
        pictures: by budget, in the order to offer. Their pixels are (H, W, 3) uint8, boxes
            (top, left, height, width) in pixels. A picture of several budgets is embedded once.
        styles: look of each strategy; its order is that of the strategies.
        classes, class_colours: names and RGB in 0..1, by class index.
        cycles: how far the slider goes, or as far as there are boxes.
        name: of the element, once per page.

    Raises:
        DataError: a box of a strategy without a look or of a class without a name, or pixels of
            another shape or type.
    """
    pictures = {budget: held for budget, held in pictures.items() if held}
    if not pictures:
        return Markup("<p>{}</p>").format("No region has been chosen yet.")
    images: list[str] = []
    data = {
        "classes": [
            {"name": c, "html": text(c), "colour": _rgb(rgb)}
            for c, rgb in zip(classes, class_colours, strict=True)
        ],
        "budgets": [
            _browsed(budget, held, styles, len(classes), images)
            for budget, held in pictures.items()
        ],
        "cycles": max(
            [cycles, *(b.cycle for held in pictures.values() for p in held for b in p.boxes)]
        ),
    }
    return _widget("regions.html.j2", name=name, data=data | {"images": images})


def _browsed(
    budget: str,
    pictures: Sequence[Picture],
    styles: Mapping[str, Style],
    n_classes: int,
    images: list[str],
) -> dict[str, Any]:
    """One budget of the browser; adds pictures to ``images`` that are not there yet."""
    named = {box.strategy for picture in pictures for box in picture.boxes}
    if unknown := sorted(named - set(styles)):
        raise DataError(f"budget {budget}: boxes of {unknown}, strategies are {list(styles)}")
    order = [n for n in styles if n in named]
    shown = []
    for picture in pictures:
        uri = _jpeg(picture)
        if uri not in images:
            images.append(uri)
        shown.append(
            {
                "title": picture.title,
                "image": images.index(uri),
                "height": picture.pixels.shape[0],
                "width": picture.pixels.shape[1],
                "boxes": [_box(b, picture, order, n_classes) for b in picture.boxes],
            }
        )
    return {
        "name": budget,
        "strategies": [
            {"name": n, "html": text(n), "colour": styles[n].colour} for n in order
        ],
        "pictures": shown,
    }  # fmt: skip


def _box(box: Box, picture: Picture, order: Sequence[str], n_classes: int) -> list[Any]:
    """Strategy, cycle, order, class (-1: none), top, left, height, width, kind."""
    if box.cls is not None and not 0 <= box.cls < n_classes:
        raise DataError(f"{picture.image}: box of class {box.cls}, there are {n_classes} classes")
    rectangle = [round(float(v), 2) for v in box.rectangle]
    cls = -1 if box.cls is None else int(box.cls)
    return [order.index(box.strategy), int(box.cycle), int(box.order), cls, *rectangle, box.kind]


def _jpeg(picture: Picture) -> str:
    """Data URI of the picture, no side longer than ``MAX_SIDE``."""
    from PIL import Image

    pixels = np.asarray(picture.pixels)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8:
        found = f"{pixels.shape} {pixels.dtype}"
        raise DataError(f"{picture.image}: pixels are {found}, allowed is (H, W, 3) uint8")
    image = Image.fromarray(pixels)
    image.thumbnail((MAX_SIDE, MAX_SIDE))
    held = io.BytesIO()
    image.save(held, "JPEG", quality=JPEG_QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(held.getvalue()).decode("ascii")


def _rgb(colour: Sequence[float]) -> str:
    return f"rgb({','.join(str(round(255 * c)) for c in colour)})"
