"""Write the report of a run, finished or not: ``python -m al.cli.report RUN [key=value ...]``.

Several runs are compared: ``python -m al.cli.report RUN RUN ...``.

Reads what lies in ``results/RUN`` and asks neither Snakemake nor SLURM: it works beside a run in
progress, and says what is missing. ``key=value`` replaces keys of the section ``report`` of the
run's configuration, such as ``cost=images`` or ``colours.decomp="#aa0000"``.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

from al.annotators.human import people_of
from al.cluster.words import checked_run
from al.config.checks import check_report
from al.config.settings import read_settings, read_yaml
from al.io.errors import ConfigError, DataError, nearest
from al.io.files import reading, short_name
from al.paths import ROOT, pool_of
from al.report.across import report_runs
from al.report.look import look_of
from al.report.running import report_run


def read_look(run: str, results: Path, changes: list[str]) -> dict[str, Any]:
    """Return what the report of a run shows, from the configuration it was last started with.

    Raises:
        DataError: there is no such run, or nothing is ever scored in it.
        ConfigError: a change that is no key of ``report``, or a value that is not allowed there.
    """
    file = results / run / "config.yaml"
    checked_run(run)
    if not file.is_file():
        runs = sorted(p.parent.name for p in results.glob("*/config.yaml"))
        raise DataError(f"{file} is not there; {nearest(run, runs) if runs else 'no run yet'}")
    settings = read_settings(file)
    people = people_of(file.parent, settings, False)
    if people and not people.tested and pool_of(file.parent, settings["seeds"][0]).exists():
        raise DataError(
            f"{run}: no image with labels is in the split test, so that no model is scored and "
            f"there is nothing to report. How far it is: make status RUN={run}"
        )
    known = list(read_yaml(ROOT / "config/strategies.yaml"))
    for change in changes:
        _set(settings["report"], change)
    if changes:
        _check(settings, known)
    with reading(file, "the configuration of a run"):
        return look_of(settings, known)


def _set(report: dict[str, Any], change: str) -> None:
    name, _, text = change.partition("=")
    first, _, rest = name.partition(".")
    if not text or first not in report or (rest and not isinstance(report[first], dict)):
        raise ConfigError(f"{change!r}: allowed are KEY=VALUE with {', '.join(sorted(report))}")
    # YAML takes a colour for a comment.
    value = text if text.startswith("#") else yaml.safe_load(text)
    if rest:
        report[first] = {**report[first], rest: value}
    else:
        report[first] = value


def _check(settings: dict[str, Any], known: list[str]) -> None:
    from jsonschema import Draft202012Validator

    schema = read_yaml(ROOT / "config/schemas/config.schema.yaml")
    allowed = {**schema["properties"]["report"], "$defs": schema["$defs"]}
    for error in Draft202012Validator(allowed).iter_errors(settings["report"]):
        raise ConfigError(f"{'.'.join(['report', *map(str, error.path)])}: {error.message}")
    check_report(settings, known)


def main() -> int:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Write the report of runs, finished or not.")
    parser.add_argument("words", nargs="+", metavar="RUN or key=value")
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--name", help="of the folder of several runs, in results/comparisons")
    arguments = parser.parse_args()
    runs = list(dict.fromkeys(word for word in arguments.words if "=" not in word))
    changes = [word for word in arguments.words if "=" in word]
    try:
        found = [(arguments.results / n, read_look(n, arguments.results, changes)) for n in runs]
        if len(found) == 1:
            page, missing = report_run(*found[0])
        elif found:
            name = "+".join(runs) if arguments.name is None else checked_run(arguments.name)
            page, missing = report_runs(found, arguments.results / "comparisons" / short_name(name))
        else:
            raise ConfigError("no run is named")
    except (ConfigError, DataError) as error:
        print(f"report: {error}", file=sys.stderr)
        return 1
    for line in missing:
        print(f"missing: {line}")
    print(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
