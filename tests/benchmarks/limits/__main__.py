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
from dataclasses import fields
from pathlib import Path
from typing import Any

from tests.benchmarks.machine import describe

from . import ROOT
from .harness import Row
from .tables import page

MODULES = (
    "windows_decomp",
    "windows_uncertain",
    "pool_of_shards",
    "clasp_patches",
    "records_from_probabilities",
    "k_centre",
    "volumes",
    "stored_predictions",
    "pool_size",
    "growth",
)
THREADS = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMBA")}
Found = dict[str, dict[str, Any]]


def run_module(name: str, quick: bool, repeats: int | None) -> dict[str, Any] | None:
    """Return a module's rows and why it stopped early, if it did; ``None`` where it failed."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        words = [sys.executable, "-m", f"{__package__}.{name}", "--json", str(file)]
        words += ["--quick"] if quick else []
        words += ["--repeats", str(repeats)] if repeats else []
        done = subprocess.run(words, cwd=ROOT, env={**os.environ, **THREADS})
        return None if done.returncode else json.loads(file.read_text())


def measure(given: argparse.Namespace, machine: dict[str, str]) -> tuple[Found, list[str]]:
    """Run what was asked for; return what is known in the end and the modules that failed."""
    found = _earlier(given.out / "limits.json", machine) if given.only else {}
    failed = []
    for name in given.only or MODULES:
        print(f"\n## {name}\n", flush=True)
        made = run_module(name, given.quick, given.repeats)
        if made is None:
            failed.append(name)
            found.pop(name, None)
        else:
            found[name] = made
    return {name: found[name] for name in MODULES if name in found}, failed


def _earlier(path: Path, machine: dict[str, str]) -> Found:
    """Return what an earlier run found on the same machine with the same libraries."""
    if not path.exists():
        return {}
    held = json.loads(path.read_text(encoding="utf-8"))
    if held["machine"] != machine:
        sys.exit(f"{path} is of another machine or other libraries: run everything, or name --out")
    return held["modules"]


def rounded(made: dict[str, Any]) -> dict[str, Any]:
    """Keep four digits, which is more than repeats agree on, and leave out what is not given."""
    given = {f.name: f.default for f in fields(Row)}
    rows = [
        {
            k: float(f"{v:.4g}") if isinstance(v, float) else v
            for k, v in row.items()
            if v != given[k]
        }
        for row in made["rows"]
    ]
    return {**made, "rows": rows}


def write(found: Found, failed: list[str], machine: dict[str, str], out: Path) -> None:
    """Write the figures, the table and the plots."""
    out.mkdir(parents=True, exist_ok=True)
    modules = {name: rounded(made) for name, made in found.items()}
    held = {"machine": machine, "modules": modules}
    text = json.dumps(held, indent=1, allow_nan=False, ensure_ascii=False)
    (out / "limits.json").write_text(text + "\n", encoding="utf-8")
    rows = {name: [Row(**row) for row in made["rows"]] for name, made in modules.items()}
    skipped = {name: made["skipped"] for name, made in modules.items() if made["skipped"]}
    (out / "limits.md").write_text(page(rows, skipped, failed, machine), encoding="utf-8")
    from .plots import plot_growth, plot_limits  # late: matplotlib is slow to start

    everything = [row for held in rows.values() for row in held]
    plot_limits(everything, out / "limits.png")
    plot_growth(everything, out / "limits-growth.png")


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.limits", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--quick", action="store_true", help="tiny sizes; figures mean nothing")
    parser.add_argument("--repeats", type=int, help="counted calls")
    parser.add_argument("--only", nargs="+", choices=MODULES, metavar="NAME")
    parser.add_argument("--out", type=Path, help="folder (docs/benchmarks; quick: build/limits)")
    given = parser.parse_args(words)
    given.out = given.out or ROOT / ("build/limits" if given.quick else "docs/benchmarks")
    return given


def main(words: list[str] | None = None) -> int:
    """Measure and write; return the exit status."""
    given, machine = parse(words), describe()
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    if allowed:
        os.sched_setaffinity(0, {max(allowed)})  # what it starts stays there as well
    try:
        found, failed = measure(given, machine)
    finally:
        if allowed:
            os.sched_setaffinity(0, allowed)
    write(found, failed, machine, given.out)
    print(f"\nwritten: {given.out}/limits.json, limits.md, limits.png, limits-growth.png")
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
