"""What all charts share: fonts and sizes, looks and legends, and the files they become."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import altair as alt

from al.io.files import atomic_path

from .style import GREY, INK, Style

Rows = list[dict[str, Any]]
# A chart as Vega-Lite reads it.
Chart = dict[str, Any]
# A pixel of Vega is a point of print, 1/72 inch. Figures are drawn as large as they are printed:
# one column of a page (3.4 inches) or both (7.2 inches).
COLUMN, PAGE = 245, 518
TEXT, SMALL = 8, 7.5
FONT = "Liberation Sans, Arial, Helvetica, sans-serif"
PPI = 120  # of the PNG
# Pixels: mean width of a character of small text, a line of it, and the symbol before a name.
CHARACTER, LINE, HANDLE = 3.85, 10, 34
FAINT = "#DDDDDD"


def data_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Rows as data of a chart: as text, which Altair does not copy again and again."""
    return {"values": json.dumps(list(rows)), "format": {"type": "json"}}


def values(rows: Iterable[Mapping[str, Any]]) -> alt.Chart:
    """A chart of rows, to be given a mark."""
    return alt.Chart(alt.InlineData(**data_of(rows)))


def looks_by(
    field: str, looks: Mapping[str, Style], legend: alt.Legend | None = None
) -> tuple[alt.Color, alt.StrokeDash, dict[str, Any]]:
    """Channels that give each name in a field of the rows its look, and tell it in a legend.

    Returns:
        colour and dashes of lines, and channels of markers: those of rows that are ``open`` are
        filled with white.
    """
    styles = looks.values()
    ends = [s.colour for s in styles], [s.shape for s in styles], [list(s.dash) for s in styles]
    colours, shapes, dashes = (alt.Scale(domain=list(looks), range=end) for end in ends)
    name, told = f"{field}:N", {"legend": legend}
    fill = alt.Fill(name, scale=colours, **told)
    marker = {
        "stroke": alt.Stroke(name, scale=colours, **told),
        "fill": alt.when("datum.open").then(alt.value("white")).otherwise(fill),
        "shape": alt.Shape(name, scale=shapes, **told),
    }
    return alt.Color(name, scale=colours), alt.StrokeDash(name, scale=dashes, **told), marker


def legend_below(names: Iterable[str], width: float) -> alt.Legend:
    """A legend of as many columns as such names leave room for in so many pixels."""
    longest = max(map(len, names), default=1)
    columns = max(1, int(width / (HANDLE + CHARACTER * longest)))
    return alt.Legend(title=None, orient="bottom", columns=columns, columnPadding=18)


def wrapped(text: str, width: float, size: float = SMALL) -> list[str]:
    """Lines of a text that are at most so many pixels wide."""
    characters = max(12, int(width / (CHARACTER * size / SMALL)))
    return [part for line in text.split("\n") for part in textwrap.wrap(line, characters)]


def titled(chart: Any, title: str, notes: Iterable[str] = (), width: float = COLUMN) -> Chart:
    """A chart with a title above it, and notes in smaller print below the title."""
    lines = wrapped(title, width, TEXT + 0.5)
    small = [line for note in notes for line in wrapped(note, width)]
    return {**part(chart), "title": {"text": lines or [""], "subtitle": small}}


def pixel(channel: Any, field: str) -> Any:
    """A position in pixels, without an axis."""
    return channel(f"{field}:Q", scale=None, axis=None)


def layered(*charts: Any, **more: Any) -> Chart:
    """Charts above each other; ``alt.layer`` copies each over and over, which takes seconds."""
    return {"layer": [part(chart) for chart in charts], **more}


def part(chart: Any) -> Chart:
    """A chart of Altair as Vega-Lite reads it, to be put together with others."""
    if isinstance(chart, dict):
        return chart
    with alt.data_transformers.enable(consolidate_datasets=False):
        # Checked by the tests: it would take most of the time.
        found: Chart = chart.to_dict(validate=False, context={"top_level": False})
    if found.get("data") == {"values": [{}]}:  # what Altair gives a chart that has none
        del found["data"]
    return found


def panel_title(text: str | Sequence[str]) -> dict[str, Any]:
    """Title of one panel of several."""
    return {"text": text, "fontSize": TEXT, "offset": 4, "frame": "group"}


def names_axis(
    channel: Any,
    field: str,
    names: Sequence[str],
    title: str = "",
    labels: bool = True,
    **axis: Any,
) -> Any:
    """A place for each name; without ``labels`` those of the panel before it hold.

    A vertical axis needs no title beside its names.
    """
    plain = alt.Axis(**{"ticks": False, "domain": False, "grid": True, "labels": labels} | axis)
    scale = alt.Scale(type="band", domain=list(names), padding=0)
    shown = (title or field) if channel is alt.X else None
    return channel(f"{field}:N", title=shown, axis=plain, scale=scale)


def joined(charts: Sequence[Any], columns: int, spacing: float = 10, shared: bool = False) -> Chart:
    """Charts beside and below each other; ``shared``: with one legend for all."""
    looks = ("color", "stroke", "fill", "shape", "strokeDash")
    made = {"concat": [part(chart) for chart in charts], "columns": columns, "spacing": spacing}
    resolve = {} if shared else {"scale": dict.fromkeys(looks, "independent")}
    return {**made, "resolve": resolve}


_SMALL = {"labelFontSize": SMALL, "titleFontSize": TEXT, "titleFontWeight": "normal"}
_INK = {"labelColor": INK, "titleColor": INK, "labelLimit": 0, "titleLimit": 0}
CONFIG: dict[str, Any] = {
    "font": FONT,
    "padding": 4,
    "background": "white",
    "aria": False,
    "view": {"stroke": None},
    "axis": _SMALL
    | _INK
    | {"gridColor": FAINT, "gridWidth": 0.5, "domainColor": GREY, "domainWidth": 0.7}
    | {"tickColor": GREY, "tickWidth": 0.7, "tickSize": 3, "labelPadding": 2, "titlePadding": 4},
    "axisX": {"labelFlush": False},
    "title": {"anchor": "start", "frame": "bounds", "fontSize": TEXT + 0.5, "offset": 6}
    | {"fontWeight": "normal", "color": INK, "limit": 0}
    | {"subtitleFontSize": SMALL, "subtitleColor": INK, "subtitleLineHeight": LINE},
    "header": _SMALL | _INK,
    "legend": _SMALL
    | _INK
    | {"symbolLimit": 0, "symbolSize": 22, "symbolStrokeWidth": 0.9, "symbolOpacity": 1}
    | {"rowPadding": 1, "columnPadding": 8, "symbolOffset": 4, "labelOffset": 8, "offset": 6},
}


def configured(chart: Any) -> dict[str, Any]:
    """The specification of a chart, with the fonts, sizes and quiet axes that all figures have."""
    spec = chart if isinstance(chart, dict) else chart.to_dict(validate=False)
    return {"$schema": alt.SCHEMA_URL, **spec, "config": CONFIG}


def nothing(title: str) -> Chart:
    """A small chart that says that there is nothing to draw yet."""
    said = values([{"text": f"{title}: nothing to draw yet"}]).mark_text(align="left", color=INK)
    return part(said.encode(text="text:N", x=alt.value(0)).properties(width=COLUMN, height=20))


def save_chart(chart: Any, folder: Path, stem: str) -> None:
    """Write ``STEM.svg``, ``STEM.pdf`` and ``STEM.png`` by rename, all from one SVG."""
    import vl_convert

    svg = _short(vl_convert.vegalite_to_svg(configured(chart)))
    made = {
        "svg": svg.encode(),
        "pdf": _in_order(vl_convert.svg_to_pdf(svg)),
        "png": vl_convert.svg_to_png(svg, ppi=PPI),
    }
    for end, content in made.items():
        with atomic_path(folder / f"{stem}.{end}") as temporary:
            temporary.write_bytes(content)


# In an SVG: paths of nothing, and what says nothing or holds anyhow.
_IDLE = re.compile(
    r'<path class="\w+"[^>]* d="(?:M0,0h0v0h0Z)?"[^>]*/>'
    r'| opacity="1"| stroke-dasharray="1,0"| pointer-events="none"| (?:role|aria-\w+)="[^"]*"'
)


def _short(svg: str) -> str:
    """Half as long: without what is idle, and with places to a hundredth of a pixel."""
    svg = _IDLE.sub("", svg)
    return re.sub(r'="[^"]*"', lambda found: re.sub(r"(\.\d\d)\d+", r"\1", found[0]), svg)


def _in_order(pdf: bytes) -> bytes:
    """The same with the entries of its dictionaries sorted, which come as a hash has them."""
    entries = re.compile(rb"(?:^ +/[a-z]+\d+ \d+ 0 R\n){2,}", re.MULTILINE)
    return entries.sub(lambda found: b"".join(sorted(found[0].splitlines(True))), pdf)


def text_in(rows: Sequence[Mapping[str, Any]], **mark: Any) -> alt.Chart:
    """Small texts of rows with ``text``, to be encoded."""
    return values(rows).mark_text(**{"fontSize": SMALL, "color": INK} | mark)
