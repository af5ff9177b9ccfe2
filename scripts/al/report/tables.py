"""Tables as CSV with all digits, as text with few, and as LaTeX for print."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from math import floor, isfinite, log10
from pathlib import Path
from statistics import median
from typing import Any

from al.io.files import read_lines, reading, write_lines

Cells = Sequence[Sequence[str]]
# Characters of our tables outside LaTeX's default fonts.
SYMBOLS = {"±": r"$\pm$", "≤": r"$\leq$", "≥": r"$\geq$"}
MOST_DIGITS = 4
PAGE = 45  # rows that a page of paper holds
MISSING = "-"
# How text begins that a spreadsheet takes for a formula, and what marks it as text
FORMULA = ("=", "+", "-", "@", "\t", "\r", "'")
# So that what is printed fits the width of a page.
NARROW = r"\footnotesize\setlength{\tabcolsep}{3pt}"
_NUMBER = re.compile(r"[-≤≥ ]*(\d[\d.e+-]*)?|inf")


def write_csv(rows: Sequence[Mapping[str, Any]], path: Path, columns: Sequence[str]) -> None:
    """Write a table with all digits, by rename; ``None`` and NaN are empty, infinities ``inf``.

    Args:
        rows: one mapping per row; keys that are not in ``columns`` are left out.
        path: of the file.
        columns: keys, in order; they are the head. What a row lacks is empty.

    Text that a spreadsheet would run as a formula gets an apostrophe, which ``plain`` takes off.
    """
    lines = [columns, *([row.get(key) for key in columns] for row in rows)]
    write_lines(path, (map(_cell, line) for line in lines))


def _cell(value: Any) -> Any:
    if value is None or value != value:
        return ""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def plain(text: str) -> str:
    """Return what ``write_csv`` was given for a cell of text."""
    return text[1:] if text.startswith("'") and text[1:].startswith(FORMULA) else text


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read what ``write_csv`` wrote, a mapping for each row.

    Raises:
        DataError: the file is not there or damaged.
    """
    with reading(path):
        head, *lines = csv.reader(read_lines(path), strict=True)
        names = [plain(name) for name in head]
        if len(set(names)) < len(names):
            raise ValueError(f"columns twice: {names}")
        return [dict(zip(names, map(plain, line), strict=True)) for line in lines]


def shown(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[list[str]]:
    """Rows as plain text; missing is a dash, infinity ``inf``.

    A column of numbers has the decimals that leave three significant digits of its median, at most
    four.
    """
    columned = [_texts([row[key] for row in rows]) for key in columns]
    return [list(line) for line in zip(*columned, strict=True)]


def _texts(values: Sequence[Any]) -> list[str]:
    sizes = [abs(v) for v in values if isinstance(v, float) and isfinite(v) and v]
    digits = min(MOST_DIGITS, max(0, 2 - floor(log10(median(sizes))))) if sizes else 1
    return [_text(v, digits) for v in values]


def _text(value: Any, digits: int) -> str:
    if value is None or value != value:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, float):
        return str(value)
    text = f"{value:.{digits}f}"
    # Too small for the column: two digits of its own.
    return f"{value:.1e}" if value and isfinite(value) and not float(text) else text


def escaped(text: str) -> str:
    """Plain text as LaTeX shows it."""
    signs = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    signs |= {c: f"\\{c}" for c in "_%&$#{}"} | SYMBOLS
    signs |= {"<": r"\textless{}", ">": r"\textgreater{}"}
    return "".join(signs.get(c, c) for c in " ".join(text.split()))


def latex(cells: Cells, caption: str, label: str, empty: str = "") -> str:
    """A table for print, with booktabs rules (``\\usepackage{booktabs}``).

    Of more than ``PAGE`` rows it is a longtable (``\\usepackage{longtable}``), which breaks over
    pages. Columns of numbers are set to the right.

    Args:
        cells: rows of plain text, the first one is the head.
        caption: plain text, above the table.
        label: for ``\\ref``, such as ``tab:reach``.
        empty: a sentence in place of rows, where there are none.
    """
    head, *rows = cells
    columns = list(zip(*rows, strict=True)) if rows else [()] * len(head)
    sides = ["r" if rows and all(map(_NUMBER.fullmatch, c)) else "l" for c in columns]
    shape = f"{{@{{}}{''.join(sides)}@{{}}}}"
    top = [f"\\caption{{{escaped(caption)}}}", f"\\label{{{label}}}"]
    lines = [" & ".join(map(escaped, row)) + r" \\" for row in rows]
    lines = lines or [f"\\multicolumn{{{len(head)}}}{{l}}{{{escaped(empty)}}} \\\\"]
    above = [r"\toprule", " & ".join(map(escaped, head)) + r" \\", r"\midrule"]
    if len(rows) > PAGE:
        first, last = r"\begin{longtable}" + shape, r"\end{longtable}"
        parts = [first, *top[:1], top[1] + r" \\", *above, r"\endhead", *lines]
        return "\n".join(["{" + NARROW, *parts, r"\bottomrule", last, "}"]) + "\n"
    parts = [r"\begin{table}[htbp]", NARROW, *top, r"\begin{tabular}" + shape, *above, *lines]
    return "\n".join([*parts, r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"
