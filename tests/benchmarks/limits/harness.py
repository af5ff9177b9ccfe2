"""What every benchmark module shares: options, rows, clocks, and running alone.

A module ``NAME.py`` defines ``rows(options) -> Iterator[Row]`` and ends with

    if __name__ == "__main__":
        stand_alone(rows)
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Options:
    """How to measure.

    Args:
        repeats: counted calls, whose median is taken; at least 1.
        quick: tiny sizes, for a test of the benchmark itself; figures mean nothing.
    """

    repeats: int = 9
    quick: bool = False


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        work: what was done, with its sizes.
        ours: figure of this project, in ``unit``.
        alternative: figure of the alternative in the same unit; ``None`` where there is none.
        alternative_name: what the alternative is; empty where there is none.
        unit: of both figures, as "ms", "s", "MB" or "bytes per pixel".
        aim: in words; empty where there is none.
        reached: whether the aim is; ``None`` without an aim.
        note: what a reader must know, as an assumption or why an aim is missed.
        peak_mb: memory beyond what was there before, in MB of 2^20 bytes, where measured.
    """

    work: str
    ours: float
    alternative: float | None
    alternative_name: str
    unit: str
    aim: str
    reached: bool | None
    note: str = ""
    peak_mb: float | None = None

    @property
    def factor(self) -> float | None:
        """How many times faster, or smaller, than the alternative."""
        return self.alternative / self.ours if self.alternative is not None and self.ours else None


def median_seconds(
    call: Callable[[], object], repeats: int, clock: Callable[[], float] = time.process_time
) -> float:
    """Return the median seconds of ``repeats`` calls after one that does not count."""
    call()
    found = []
    for _ in range(repeats):
        start = clock()
        call()
        found.append(clock() - start)
    return statistics.median(found)


def compared(
    work: str,
    ours: Callable[[], object],
    alternative: Callable[[], object],
    alternative_name: str,
    times: float | None,
    options: Options,
    **more: Any,
) -> Row:
    """Time two calls and return their row in ms, with the aim of being ``times`` times faster.

    The caller has asserted that both give the same result.
    """
    found, other = (median_seconds(c, options.repeats) for c in (ours, alternative))
    row = Row(work, 1e3 * found, 1e3 * other, alternative_name, "ms", "", None)
    if times is not None:
        row = replace(row, aim=f"{times:g} times faster", reached=other >= times * found)
    return replace(row, **more)


def traced_bytes(call: Callable[[], object]) -> int:
    """Return the bytes a call allocates at most through Python; its inputs are not among them."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def shown(value: float | None) -> str:
    """Return a figure with three digits, or a dash."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")


def markdown(rows: Iterable[Row]) -> Iterator[str]:
    """Yield the lines of a table."""
    yield "| work | ours | alternative | times | aim | reached | note |"
    yield "|---|---:|---:|---:|---|---|---|"
    for row in rows:
        other = "–"
        if row.alternative is not None:
            other = f"{shown(row.alternative)} {row.unit}, {row.alternative_name}"
        reached = {True: "yes", False: "no", None: ""}[row.reached]
        note = row.note + (f" (peak {shown(row.peak_mb)} MB)" if row.peak_mb is not None else "")
        figures = f"{shown(row.ours)} {row.unit} | {other} | {shown(row.factor)}"
        yield f"| {row.work} | {figures} | {row.aim} | {reached} | {note.strip()} |"


def as_json(rows: Iterable[Row]) -> str:
    """Return rows as JSON; numpy's numbers become Python's."""
    held = [asdict(row) for row in rows]
    return json.dumps(held, allow_nan=False, default=lambda value: value.item())


def stand_alone(rows: Callable[[Options], Iterator[Row]]) -> None:
    """Measure one module from the command line: print its table, or write its rows as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it works")
    parser.add_argument("--repeats", type=int, help="counted calls")
    parser.add_argument("--json", type=Path, help="write the rows here")
    given = parser.parse_args()
    options = Options(given.repeats or (1 if given.quick else Options.repeats), given.quick)
    found: list[Row] = []
    for line in markdown(()):
        print(line)
    for row in rows(options):
        found.append(row)
        print(list(markdown([row]))[-1], flush=True)
    if given.json:
        given.json.write_text(as_json(found))
