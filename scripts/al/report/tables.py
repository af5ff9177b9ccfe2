"""Tables as CSV with all digits and as LaTeX for print."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from math import floor, isfinite, log10
from numbers import Integral, Real
from pathlib import Path
from statistics import median
from typing import Any

from al.io.errors import DataError, nearest
from al.io.files import atomic_path, write_text

# Characters outside LaTeX's default fonts, put in after its own were escaped.
SYMBOLS = {
    "±": r"$\pm$",
    "−": "$-$",
    "∞": r"$\infty$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "×": r"$\times$",
    "τ": r"$\tau$",
}
MOST_DIGITS = 4
PAGE = 45  # rows that a page of paper holds


def write_table(
    rows: Sequence[Mapping[str, Any]],
    stem: Path,
    columns: Mapping[str, str],
    caption: str,
    label: str,
    printed: Sequence[str] | None = None,
) -> None:
    """Write ``STEM.csv`` and ``STEM.tex``, by rename.

    The CSV has the keys as its head and all digits; ``None`` and NaN are empty, infinities ``inf``
    and ``-inf``. The LaTeX has the headings, booktabs rules (``\\usepackage{booktabs}``), text
    escaped, and each column of numbers with the decimals that leave three significant digits of
    its median, at most four; missing is a dash. Of more than ``PAGE`` rows it is a longtable
    (``\\usepackage{longtable}``), which breaks over pages.

    Args:
        rows: one mapping per row; keys that are not in ``columns`` are left out.
        stem: path without suffix.
        columns: key -> heading, in order.
        caption: plain text, above the LaTeX table.
        label: for ``\\ref``, such as ``tab:reach``.
        printed: keys of the columns that the LaTeX has; default: all.

    Raises:
        DataError: a row lacks a key of ``columns``, or there is no column.
    """
    stem = Path(stem)
    if not columns:
        raise DataError(f"{stem}: a table without columns")
    for place, row in enumerate(rows, 1):
        for key in columns:
            if key not in row:
                raise DataError(f"{stem}: row {place} lacks {key!r}, {nearest(key, row)}")
    paper = {key: columns[key] for key in (columns if printed is None else printed)}
    with atomic_path(stem.with_name(f"{stem.name}.csv")) as temporary:
        _write_csv(rows, temporary, columns)
    write_text(stem.with_name(f"{stem.name}.tex"), _latex(rows, paper, caption, label))


def shown(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> list[list[str]]:
    """Rows as plain text, with the digits of the LaTeX; missing is a dash, infinity ``inf``."""
    columned = [_texts([row[key] for row in rows]) for key in columns]
    return [list(line) for line in zip(*columned, strict=True)]


def _texts(values: Sequence[Any]) -> list[str]:
    digits = _digits(values)
    return ["-" if _missing(v) else _text(v, digits) for v in values]


def _text(value: Any, digits: int) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not _is_number(value) or isinstance(value, Integral):
        return str(value)
    text = f"{float(value):.{digits}f}"
    # Too small for the column: two digits of its own.
    return f"{float(value):.1e}" if value and isfinite(value) and not float(text) else text


def escaped(text: str) -> str:
    """Plain text as LaTeX shows it."""
    signs = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    signs |= {c: f"\\{c}" for c in "_%&$#{}"} | SYMBOLS
    signs |= {"<": r"\textless{}", ">": r"\textgreater{}"}
    return "".join(signs.get(c, c) for c in " ".join(text.split()))


def _write_csv(rows: Sequence[Mapping[str, Any]], path: Path, columns: Mapping[str, str]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        for row in rows:
            writer.writerow(["" if _missing(row[key]) else _plain(row[key]) for key in columns])


def _missing(value: Any) -> bool:
    return value is None or (_is_number(value) and value != value)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _plain(value: Any) -> Any:
    """Numbers of NumPy as those of Python, so that the text is the shortest that reads back."""
    if not _is_number(value):
        return value
    return int(value) if isinstance(value, Integral) else float(value)


def _latex(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], caption: str, label: str
) -> str:
    import pandas as pd

    cells = {key: _cells([row[key] for row in rows]) for key in columns}
    table = pd.DataFrame(
        [[cells[key][i] for key in columns] for i in range(len(rows))],
        columns=[escaped(heading) for heading in columns.values()],
        dtype=object,
    )
    sides = ["r" if _numeric([row[key] for row in rows]) else "l" for key in columns]
    # Escaped above, since pandas leaves the caption as it is.
    return table.to_latex(
        index=False,
        escape=False,
        caption=escaped(caption),
        label=label,
        column_format="".join(sides),
        position="htbp",
        longtable=len(rows) > PAGE,
    )


def _numeric(values: Sequence[Any]) -> bool:
    present = [v for v in values if not _missing(v)]
    return bool(present) and all(map(_is_number, present))


def _cells(values: Sequence[Any]) -> list[str]:
    digits = _digits(values)
    return [_cell(v, digits) for v in values]


def _digits(values: Sequence[Any]) -> int:
    """Decimals that leave three significant digits of the median of a column."""
    real = [abs(float(v)) for v in values if _is_number(v) and not isinstance(v, Integral)]
    sizes = [v for v in real if v > 0 and isfinite(v)]
    return min(MOST_DIGITS, max(0, 2 - floor(log10(median(sizes))))) if sizes else 1


def _cell(value: Any, digits: int) -> str:
    if _missing(value):
        return "--"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not _is_number(value):
        return escaped(str(value))
    if isinstance(value, Integral):
        return f"${int(value)}$"
    if not isfinite(value):
        return r"$\infty$" if value > 0 else r"$-\infty$"
    text = f"{float(value):.{digits}f}"
    if value and not float(text):  # too small for the column: two digits of its own
        mantissa, exponent = f"{float(value):.1e}".split("e")
        text = rf"{mantissa}\cdot 10^{{{int(exponent)}}}"
    return f"${text}$"
