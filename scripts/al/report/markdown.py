"""Markdown tables that also read well in a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def grid(table: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table with aligned columns; the first row is the head."""
    widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
    lines = [
        "| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |"
        for line in table
    ]
    return [lines[0], "|" + "|".join("-" * (w + 2) for w in widths) + "|", *lines[1:]]


def marks(names: Sequence[str], notes: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Names with the mark of their note, ``(1)`` and so on, and one line per note.

    The same note has the same mark, and its line names all that have it. Names without a note
    stay as they are; notes on other names are left out.
    """
    noted = {name: notes[name] for name in names if notes.get(name)}
    texts = list(dict.fromkeys(noted.values()))
    mark = {text: f"({place})" for place, text in enumerate(texts, 1)}
    marked = {n: f"{n} {mark[noted[n]]}" if n in noted else n for n in names}
    holders = [", ".join(n for n in noted if noted[n] == text) for text in texts]
    return marked, [f"{mark[t]} {t}: {h}." for t, h in zip(texts, holders, strict=True)]
