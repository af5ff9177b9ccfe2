"""Markdown tables that also read well in a terminal, and numbers in them."""

from __future__ import annotations

from collections.abc import Sequence


def grid(table: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table with aligned columns; the first row is the head."""
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |"
        for line in table
    ]
    return [lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]]


def hours_text(hours: float) -> str:
    """Hours with two significant digits below 10, whole ones from 100 on."""
    if hours == 0:
        return "0"
    if hours < 0.0095:
        return f"{hours:.2g}" if hours >= 0.0001 else "< 0.0001"
    return f"{hours:.{2 if hours < 10 else 1 if hours < 100 else 0}f}"
