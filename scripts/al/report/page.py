"""The report as one HTML page that opens from disk: no file beside it and no network is needed."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from markupsafe import Markup

from al.io.errors import DataError
from al.io.files import write_text

TEMPLATES = Path(__file__).parent / "templates"
# Figures are as large as on paper; a screen is read from further away.
SCREEN = 1.6
_NUMBER = re.compile(
    r"[<>≤≥~]?\s*[-+−]?\d[\d.,]*(e[-+]?\d+)?(\s*±\s*[\d.]+)?\s*%?"  # 0.71 ± 0.02, < 0.001, 95 %
    r"(\s*(of|to|-|–)\s*\d[\d.,]*)?(\s*\(.*\))?"  # 3 of 5, 2-3, 0.71 (0.65 to 0.78)
)
_NOTHING = ("", "-", "–", "nan")


@dataclass(frozen=True)
class Section:
    """One part of the page.

    Attributes:
        id: of its anchor, once per page.
        title, caption: heading, and a few sentences of plain text.
        figure: stem of a figure, as ``charts.save_chart`` writes it; its SVG goes into the page.
        chart: a Vega-Lite chart to explore; on paper the figure stands for it.
        table: rows of cells, the first row is the head; all rows have its length.
        files: paths relative to the page of what may be linked to; those not there are left out.
        notes: sentences below, such as what is missing in the figure.
    """

    id: str
    title: str
    caption: str = ""
    figure: Path | None = None
    chart: Mapping[str, Any] | None = None
    table: Sequence[Sequence[str]] | None = None
    files: Sequence[str] = ()
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Group:
    """Sections under a heading; ``folded``: closed until a reader opens it."""

    title: str
    sections: Sequence[Section]
    folded: bool = False


@dataclass(frozen=True)
class Opening:
    """What stands on top of a page.

    Attributes:
        title: heading of the page.
        answers: what the run has shown, a list of sentences under each title.
        warnings: what a reader has to know before believing them.
        facts: of the run, name and value: dataset, learner, strategies, ...
        missing: what a run in progress lacks, a line each; ``lacking`` of ``planned`` results.
    """

    title: str
    answers: Sequence[tuple[str, Sequence[str]]] = ()
    warnings: Sequence[str] = ()
    facts: Sequence[tuple[str, str]] = ()
    missing: Sequence[str] = ()
    lacking: int = 0
    planned: int = 0


def render_page(opening: Opening, groups: Sequence[Group], out: Path) -> None:
    """Write the page, by rename; equal arguments and files give equal pages.

    Raises:
        DataError: an id that is there twice, or a table with uneven rows.
    """
    seen: set[str] = set()
    for section in (s for g in groups for s in g.sections):
        widths = {len(row) for row in section.table or ()}
        if section.id in seen or len(widths) > 1:
            raise DataError(f"section {section.id!r}: there twice, or rows of {widths} cells")
        seen.add(section.id)
    charts = any(s.chart for g in groups for s in g.sections)
    text = (
        _environment()
        .get_template("report.html.j2")
        .render(
            opening=opening,
            groups=[
                (f"group-{i}", g, [_shown(s, out.parent) for s in g.sections])
                for i, g in enumerate(groups)
                if g.sections
            ],
            css=_asset("report.css"),
            scripts=[Markup(vega()), _asset("report.js")] if charts else [],
        )
    )
    write_text(out, text)


def _environment() -> jinja2.Environment:
    """Templates of this folder; whatever is put in is escaped."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _asset(name: str) -> Markup:
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))


def vega() -> str:
    """Vega-Embed with all it needs, as one script.

    Putting it together takes seconds, so it is kept in the user's cache folder where that can be
    written.
    """
    import vl_convert

    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    kept = home / "decomp" / f"vega-{vl_convert.__version__}.js"
    try:
        return kept.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        made: str = vl_convert.javascript_bundle()
    with contextlib.suppress(OSError):
        write_text(kept, made)
    return made


def _shown(section: Section, folder: Path) -> dict[str, Any]:
    """What the template needs of a section."""
    first, *rest = re.split(r"(?<=[.!?])\s", section.caption, maxsplit=1)
    return {
        "section": section,
        "caption": first,
        "details": " ".join(rest),
        "figure": _figure(section.figure) if section.figure else None,
        "alt": f"{section.title}. {first}".strip(),
        "chart": _inside(section.chart) if section.chart else None,
        "numeric": _numeric(section.table or ()),
        "files": [(Path(f).name, quote(f)) for f in section.files if (folder / f).is_file()],
    }


def _figure(stem: Path) -> dict[str, Any]:
    """A figure as an image of its own, so that nothing in it meets the rest of the page."""
    svg = stem.with_name(f"{stem.name}.svg").read_bytes()
    head = re.search(rb'<svg[^>]*\bwidth="([\d.]+)"[^>]*\bheight="([\d.]+)"', svg)
    if head is None:
        raise DataError(f"{stem}.svg: not a figure of this report")
    return {
        "uri": "data:image/svg+xml;base64," + base64.b64encode(svg).decode("ascii"),
        "width": round(SCREEN * float(head[1])),
        "height": round(SCREEN * float(head[2])),
    }


def _inside(chart: Mapping[str, Any]) -> Markup:
    """JSON that can stand in a script element."""
    text = json.dumps(chart, separators=(",", ":"), allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))


def _numeric(table: Sequence[Sequence[str]]) -> list[bool]:
    """Which columns hold numbers, (columns,): at least half of the cells that say something."""
    if not table:
        return []
    columns = list(zip(*table[1:], strict=True)) or [()] * len(table[0])
    return [i > 0 and _numbers(column) for i, column in enumerate(columns)]


def _numbers(cells: Sequence[str]) -> bool:
    said = [c.strip() for c in cells if c.strip() not in _NOTHING]
    return 2 * sum(bool(_NUMBER.fullmatch(c)) for c in said) >= len(said) > 0
