"""Print the tables of a run and where its figures lie: ``python -m al.cli.results RUN``."""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path

from al.report.show import print_summary


def show_results(run: str, results: Path) -> int:
    """Print what ``RESULTS/RUN/report`` holds; 1 if the run has no report, with what there is."""
    report = results / run / "report"
    table = report / "reach.md"
    if not table.is_file():
        runs = sorted(p.parent.parent.name for p in results.glob("*/report/reach.md"))
        near = difflib.get_close_matches(run, runs, n=1)
        hint = f"; did you mean {near[0]!r}" if near else ""
        known = ", ".join(runs) or "none"
        print(f"{table} is not there{hint}; runs with a report: {known}", file=sys.stderr)
        return 1
    figures = sorted(report.rglob("*.png"))  # each lies beside its PDF
    others = (report / name for name in ("selection.md", "usage.md"))
    print_summary(table, figures, *(other if other.is_file() else None for other in others))
    if (report / "report.html").is_file():
        print(f"All of it on one page, which opens from disk:\n  {report / 'report.html'}")
    return 0


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Print the tables of a run and its figures.")
    parser.add_argument("run", help="name of the run, a folder of the results")
    parser.add_argument("--results", type=Path, default=Path("results"))
    arguments = parser.parse_args()
    return show_results(arguments.run, arguments.results)


if __name__ == "__main__":
    sys.exit(main())
