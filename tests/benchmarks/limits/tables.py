"""The page of the limits: tables of the rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from .harness import Row, markdown, shown

INTRODUCTION = """\
# The limits of selection

Made by `make bench`; the figures are in `limits.json`. One core and one thread, medians of
processor time after one call that does not count, unless a note says otherwise. The times of ours
and of the alternative are measured one after the other in the same process, peaks of memory in a
new process each; where it is otherwise, the note of the row says so. Each work first asserts that
both give the same result where both are exact, on the data that is then measured unless a note
names another. The plot shows the works that have an aim, but for aims that are a ratio, as "under 2
times"."""


def page(
    rows: Mapping[str, Sequence[Row]],
    skipped: Mapping[str, str],
    failed: Sequence[str],
    machine: Mapping[str, str],
) -> str:
    """Return the Markdown page.

    Args:
        rows: of each module that ran.
        skipped: why a module stopped early.
        failed: modules that broke.
        machine: what the figures depend on.
    """
    everything = [row for held in rows.values() for row in held]
    lines = [INTRODUCTION, "", "; ".join(f"{k}: {v}" for k, v in machine.items()) + ".", ""]
    lines += ["![times faster than the alternative](limits.png)", ""]
    lines += markdown(row for row in everything if not row.panel)
    lines += [f"\n`{name}` was cut short: {reason}." for name, reason in skipped.items()]
    lines += [f"\n`{name}` failed; its rows are missing." for name in failed]
    lines += ["", "## Cost against work", "", "![cost against work](limits-growth.png)"]
    for panel in dict.fromkeys(row.panel for row in everything if row.panel):
        lines += ["", f"### By {panel}", ""]
        lines += _curves([row for row in everything if row.panel == panel])
    return "\n".join(lines) + "\n"


def _curves(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a table of one panel, a line per place and a column per curve."""
    series = list(dict.fromkeys(row.series for row in rows))
    other = next((row.alternative_name for row in rows if row.alternative is not None), "")
    unit = rows[0].unit
    heads = [rows[0].panel, *(f"{name}, {unit}" for name in series)]
    heads += [f"{other}, {unit}"] if other else []
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---:|" * len(heads)
    for x in sorted({row.x for row in rows if row.x is not None}):
        held = {row.series: row for row in rows if row.x == x}
        cells = [shown(held[name].ours) if name in held else "–" for name in series]
        if other:
            named = [r.alternative for r in held.values() if r.alternative is not None]
            cells.append(shown(named[0] if named else None))
        yield f"| {x:,.0f} | " + " | ".join(cells) + " |"
