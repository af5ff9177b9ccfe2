"""The report as one HTML page that opens from disk: no file beside it and no network is needed."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, urlsplit

import jinja2
from markupsafe import Markup
from PIL import Image, UnidentifiedImageError

from al.io.errors import DataError, nearest
from al.io.files import write_text

CATEGORIES = ("Results", "Statistics", "Classes", "Regions", "Costs", "About")
TEMPLATES = Path(__file__).parent / "templates"
# Figures are drawn for paper; on a screen their small print needs more room.
SCREEN = 1.25
DPI = 150
_ID = re.compile(r"[A-Za-z][\w.-]*")
_NUMBER = re.compile(
    r"[<>≤≥~]?\s*[-+−]?\d[\d.,]*(e[-+]?\d+)?(\s*±\s*[\d.]+)?\s*%?"  # 0.71 ± 0.02, < 0.001, 95 %
    r"(\s*(of|to|-|–)\s*\d[\d.,]*)?(\s*\(.*\))?"  # 3 of 5, 2-3, 0.71 (0.65 to 0.78)
)
_NOTHING = ("", "-", "–", "nan")


@dataclass(frozen=True)
class Section:
    """One part of the page: what it shows, in words, and as figure, table or interactive part.

    Attributes:
        id: name of its anchor: a letter, then letters, digits, ``_``, ``.`` and ``-``.
        title: heading.
        category: one of ``CATEGORIES``, under which it stands.
        caption: a few sentences, plain text.
        figure: PNG that goes into the page.
        table: rows of cells, the first row is the head; all rows have its length.
        html: interactive part, from ``interactive``.
        files: (label, path relative to the page) of files to link to.
        notes: sentences below, such as what is missing in the figure.
        alt: what the figure shows, for those who cannot see it; by default its title and the
            first sentence of its caption.
    """

    id: str
    title: str
    category: str
    caption: str = ""
    figure: Path | None = None
    table: Sequence[Sequence[str]] | None = None
    html: Markup | None = None
    files: Sequence[tuple[str, str]] = ()
    notes: Sequence[str] = ()
    alt: str = ""


def environment() -> jinja2.Environment:
    """Templates of this folder; whatever is put in is escaped."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def render_page(
    title: str,
    summary: Sequence[tuple[str, str]],
    missing: Sequence[str],
    sections: Sequence[Section],
    out: Path,
    lacking: tuple[int, int] | None = None,
) -> None:
    """Write the page, by rename.

    Equal arguments give equal files; there is no date in it. plotly.js is put in once, and only
    where a section has an interactive part.

    Args:
        title: heading of the page.
        summary: facts of the run, name and value: dataset, learner, strategies, ...
        missing: what a run in progress lacks, one line each; empty for a complete run.
        sections: in the order to show within their categories.
        out: the HTML file.
        lacking: how many results are missing, and of how many; by default as many as ``missing``
            has lines.

    Raises:
        DataError: an id that is twice there or cannot be one, an unknown category, a figure that
            is no image, a table with uneven rows, a link that leaves the page's folder or leads
            to no file.
    """
    seen = {"content", *(f"category-{name.lower()}" for name in CATEGORIES)}
    for section in sections:
        _check(section, seen)
    groups = [
        (name, [_shown(s, out.parent) for s in sections if s.category == name])
        for name in CATEGORIES
    ]
    text = (
        environment()
        .get_template("report.html.j2")
        .render(
            title=title,
            summary=summary,
            missing=missing,
            lacking=lacking or (len(missing), None),
            groups=[(name, held) for name, held in groups if held],
            css=_asset("report.css"),
            scripts=_scripts() if any(s.html for s in sections) else [],
        )
    )
    write_text(out, text)


def _asset(name: str) -> Markup:
    return Markup((TEMPLATES / name).read_text(encoding="utf-8"))


def _scripts() -> list[Markup]:
    from plotly.offline import get_plotlyjs

    own = [_asset(name) for name in ("common.js", "curve.js", "regions.js")]
    return [Markup(get_plotlyjs()), *own]


def _check(section: Section, seen: set[str]) -> None:
    if not _ID.fullmatch(section.id):
        raise DataError(
            f"section {section.id!r}: an id is a letter, then letters, digits, '_', '.' and '-'"
        )
    for anchor in (section.id, *re.findall(r'\bid="([^"]*)"', section.html or "")):
        if anchor in seen:
            raise DataError(f"section {section.id!r}: the id {anchor!r} is there twice")
        seen.add(anchor)
    if section.category not in CATEGORIES:
        allowed = nearest(section.category, CATEGORIES)
        raise DataError(f"section {section.id!r}: category {section.category!r}; {allowed}")
    widths = sorted({len(row) for row in section.table or ()})
    if len(widths) > 1 or widths == [0]:
        raise DataError(f"section {section.id!r}: a table with rows of {widths} cells")


def _shown(section: Section, folder: Path) -> dict[str, Any]:
    """What the template needs of a section."""
    figure = None
    if section.figure is not None:
        uri, width, height = _picture(section.figure)
        figure = {"uri": uri, "width": width, "height": height, "alt": _alt(section)}
    return {
        "section": section,
        "figure": figure,
        "numeric": _numeric(section.table or ()),
        "files": [(label, _link(section.id, path, folder)) for label, path in section.files],
    }


def _alt(section: Section) -> str:
    first = re.split(r"(?<=[.!?])\s", section.caption, maxsplit=1)[0]
    return section.alt or f"{section.title}. {first}".strip()


def _picture(path: Path) -> tuple[str, int, int]:
    """Data URI of a PNG, and its width and height on the screen in CSS pixels."""
    path = Path(path)
    try:
        with Image.open(path) as image:
            kind, size, dpi = image.format, image.size, image.info.get("dpi", (DPI,))[0]
    except UnidentifiedImageError as error:
        raise DataError(f"{path}: not an image") from error
    if kind != "PNG":
        raise DataError(f"{path}: a figure of format {kind}, allowed is PNG")
    scale = SCREEN * 96 / float(dpi)
    uri = "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
    return uri, round(size[0] * scale), round(size[1] * scale)


def _link(section: str, path: str, folder: Path) -> str:
    """A path relative to the page as the value of ``href``."""
    parts = urlsplit(path)
    pure = PurePosixPath(path)
    if parts.scheme or parts.netloc or pure.is_absolute() or ".." in pure.parts or not pure.parts:
        raise DataError(f"section {section!r}: link {path!r}, allowed is a path below the page")
    if not (folder / path).exists():
        raise DataError(f"section {section!r}: no file {folder / path} to link to")
    return quote(str(pure))


def _numeric(table: Sequence[Sequence[str]]) -> list[bool]:
    """Which columns hold numbers, (columns,): at least half of the cells that say something."""
    if not table:
        return []
    columns = list(zip(*table[1:], strict=True)) or [()] * len(table[0])
    return [i > 0 and _numbers(column) for i, column in enumerate(columns)]


def _numbers(cells: Sequence[str]) -> bool:
    said = [c.strip() for c in cells if c.strip() not in _NOTHING]
    return 2 * sum(bool(_NUMBER.fullmatch(c)) for c in said) >= len(said) > 0
