"""Print the answer, the tables and the figures of a run: ``python -m al.cli.results RUN``."""

from __future__ import annotations

import argparse
import difflib
import sys
from pathlib import Path

from al.cluster.words import checked_run
from al.io.errors import ConfigError


def show_results(run: str, results: Path) -> int:
    """Print what ``RESULTS/RUN/report`` holds; 1 if the run has no report, with what there is."""
    try:
        report = results / checked_run(run) / "report"
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    answer = report / "answer.md"
    if not answer.is_file():
        runs = sorted(p.parent.parent.name for p in results.glob("*/report/answer.md"))
        near = difflib.get_close_matches(run, runs, n=1)
        hint = f"; did you mean {near[0]!r}" if near else ""
        known = ", ".join(runs) or "none"
        print(f"{answer} is not there{hint}; runs with a report: {known}", file=sys.stderr)
        return 1
    print(answer.read_text(encoding="utf-8"))
    for table in (report / name for name in ("reach.md", "usage.md")):
        if table.is_file():
            lines = table.read_text(encoding="utf-8").splitlines()
            shown = [
                f"\n{s}" if s.startswith("#") else s for s in lines if s.startswith(("#", "|"))
            ]
            print("\n".join([*shown, "", f"What these numbers hold: {table}"]))
    # Those of a report of an earlier version have no SVG beside them.
    figures = [file.with_suffix(".png") for file in sorted(report.glob("*.svg"))]
    print("\nFigures:" if figures else "\nNo figures yet.")
    for figure in figures:
        print(f"  {figure}")
    if (report / "report.html").is_file():
        print(f"All of it on one page, which opens from disk:\n  {report / 'report.html'}")
    return 0


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Print the answer, tables and figures of a run.")
    parser.add_argument("run", help="name of the run, a folder of the results")
    parser.add_argument("--results", type=Path, default=Path("results"))
    arguments = parser.parse_args()
    return show_results(arguments.run, arguments.results)


if __name__ == "__main__":
    sys.exit(main())
