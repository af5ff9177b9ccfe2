"""Print how far a run is, also while it goes on: ``python -m al.cli.status RUN``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from al.annotators.human import people_of
from al.cluster.status import read_plan, read_status
from al.cluster.status_text import plan_text, status_text
from al.cluster.words import checked_run
from al.config.settings import read_settings
from al.io.errors import ConfigError, DataError, nearest
from al.paths import places_in


def runs_in(results: Path) -> list[str]:
    """Names of the runs there are."""
    return sorted(path.parent.name for path in results.glob("*/config.yaml"))


def list_runs(results: Path) -> int:
    """Print every run in a line."""
    runs = runs_in(results)
    width = max(map(len, runs), default=0)
    for run in runs:
        try:
            print(f"{run:{width}}  {plan_text(read_plan(results / run / 'config.yaml'))}")
        except DataError as error:
            print(f"{run:{width}}  {error}")
    print("How far one is: make status RUN=NAME" if runs else f"{results}: no runs yet")
    return 0


def show_status(run: str | None, results: Path) -> int:
    """Print the status of a run, or without one the runs there are; 1 if it is unknown."""
    if not run:
        return list_runs(results)
    try:
        if not (results / checked_run(run) / "config.yaml").is_file():
            raise DataError(f"{results}: no run {run!r}; {nearest(run, runs_in(results))}")
        status = read_status(run, results)
        print(status_text(status), end="")
        lines = shortfalls_of(run, results)
        if status.plan.people:
            folder = results / run
            lines += people_of(folder, read_settings(folder / "config.yaml"), True).told()
        print("".join(f"{line}\n" for line in lines), end="")
    except (ConfigError, DataError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def shortfalls_of(run: str, results: Path) -> list[str]:
    """Where less was annotated so far than asked for, as the report says it."""
    from al.report.answer import shortfalls
    from al.report.curves import read_points
    from al.report.gather import metrics_of
    from al.report.look import look_of

    folder = results / run
    if not any(places_in(folder, "metrics.json")):
        return []
    look = look_of(read_settings(folder / "config.yaml"))
    files = metrics_of(folder, look)
    try:
        lines = shortfalls(read_points(files), look, folder) if files else []
    except DataError as error:
        if not isinstance(error.__cause__, FileNotFoundError):
            raise
        return []  # a job is about to make it anew
    return ["", "To be known:", *(f"  {line}" for line in lines)] if lines else []


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Print how far a run is, from its files alone.")
    parser.add_argument("run", nargs="?", help="name of the run; without it all are listed")
    parser.add_argument("--results", type=Path, default=Path("results"))
    arguments = parser.parse_args()
    return show_status(arguments.run, arguments.results)


if __name__ == "__main__":
    sys.exit(main())
