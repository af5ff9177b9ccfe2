"""Run the benchmarks of the limits of selection, one after the other, and write what they found.

    python -m tests.benchmarks.limits [--quick] [--only NAME ...] [--out docs/benchmarks]

Each module runs in a process of its own, on one core, with one thread. A module that fails is
reported and left out, and the exit status is 1; the others run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.machine import describe

from . import ROOT
from .harness import Row, markdown

MODULES = ("windows", "clasp_patches", "k_centre", "records_from_probabilities")
THREADS = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
INTRODUCTION = """\
# The limits of selection

Made by `make bench`. One core and one thread, medians of processor time after one call that does
not count. Each work first asserts that both give the same result where both are exact."""


def run_module(name: str, quick: bool, repeats: int | None) -> list[dict[str, Any]] | None:
    """Return a module's rows; ``None`` where it failed."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        words = [sys.executable, "-m", f"{__package__}.{name}", "--json", str(file)]
        words += ["--quick"] if quick else []
        words += ["--repeats", str(repeats)] if repeats else []
        done = subprocess.run(words, cwd=ROOT, env={**os.environ, **THREADS})
        return None if done.returncode else json.loads(file.read_text())


def page(found: dict[str, list[dict[str, Any]] | None]) -> str:
    """Return the Markdown page of what the modules found."""
    machine = "; ".join(f"{k}: {v}" for k, v in describe().items())
    rows = [Row(**row) for made in found.values() if made for row in made]
    lines = [INTRODUCTION, "", machine + ".", "", *markdown(rows)]
    for name, made in found.items():
        if made is None:
            lines.append(f"\n`{name}` failed; its rows are missing.")
    return "\n".join(lines) + "\n"


def main(words: list[str] | None = None) -> int:
    """Measure and write; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.limits", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes; figures mean nothing")
    parser.add_argument("--repeats", type=int, help="counted calls")
    parser.add_argument("--only", nargs="+", choices=MODULES, metavar="NAME")
    parser.add_argument("--out", type=Path, help="folder (docs/benchmarks; otherwise build/limits)")
    given = parser.parse_args(words)
    whole = not given.quick and not given.only
    out = given.out or ROOT / ("docs/benchmarks" if whole else "build/limits")
    found = {}
    for name in given.only or MODULES:
        print(f"\n## {name}\n", flush=True)
        found[name] = run_module(name, given.quick, given.repeats)
    out.mkdir(parents=True, exist_ok=True)
    (out / "limits.md").write_text(page(found), encoding="utf-8")
    failed = [name for name, made in found.items() if made is None]
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
