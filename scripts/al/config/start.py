"""What is looked at before the first job of a run, in Snakemake's main process."""

from __future__ import annotations

import shlex
import sys
import tomllib
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from al.cluster.guard import guard_start
from al.cluster.kept import TRAININGS
from al.cluster.launches import LaunchRefused
from al.cluster.retrain import RetrainRefused, forget_forced, refuse_retraining
from al.config.settings import differences, read_settings, save_settings
from al.io.errors import ConfigError, DataError
from al.io.files import read_json, sweep, write_json
from al.io.storage import StorageError, check_storage, explain
from al.io.tables import PoolRow
from al.layouts import get_layout
from al.learners import Start, describe_learner, get_learner
from al.paths import ROOT, START, mirrored, places_in

from .data import keep_data, look_at_data
from .prepared import claim, preparation
from .room import room_warnings

# What the files that the configuration names held when the run was first started.
LEARNER = "learner.json"
PLANS = "plans.json"


class StartRefused(RuntimeError):
    """A run that must not start; the message says why and what to do."""


def begin_run(
    workflow: Any,
    settings: dict[str, Any],
    layout: dict[str, Any],
    places: Sequence[Path],
    warn: Callable[[str], None],
) -> None:
    """Refuse what must not start, then write the run's configuration.

    Refused are a second Snakemake, trainings that nobody asked for, and storage or data that cannot
    be used.

    Args:
        workflow: Snakemake's workflow, its jobs planned.
        settings: the resolved configuration.
        layout: name, options and classes of the layout.
        places: folders that the run writes; results, work and logs first.
        warn: takes a line about storage that is nearly full.

    Raises:
        StartRefused: for any of these.
    """
    try:
        guard_start(Path.cwd(), workflow.executor_plugin.name == "slurm")
        if not workflow.touch:
            refuse_retraining(workflow.dag)
            forget_forced(workflow.dag, workflow.dag_settings.forcerun)
        for folder in places[:2]:
            sweep(folder)
        for line in check_storage(places):
            warn(line)
        data = look_at_data(settings, layout, places[0], warn)
        for line in room_warnings(settings, data.rows):
            warn(line)
        identity = _check_learner(workflow, settings, layout, data.rows, places[0] / LEARNER)
        if made := preparation(settings):
            claim(made, data.rows, data.files, settings)
        keep_data(data, places[0])
        save_settings(settings, places[0] / "config.yaml")
        write_json(places[2] / START, _start())
        if identity:
            write_json(places[0] / LEARNER, identity)
    except (LaunchRefused, RetrainRefused, StorageError, DataError, ConfigError) as refusal:
        raise StartRefused(str(refusal)) from None
    except OSError as error:
        if (told := explain(error)) is None:
            raise
        raise StartRefused(told) from None


def note_cycles(settings: dict[str, Any], folder: Path, words: Sequence[str]) -> None:
    """Write down that another number of cycles is wanted of people.

    Where nothing is to be done yet, Snakemake does not come to ``begin_run``.

    Args:
        settings: the resolved configuration.
        folder: ``results/{run}``.
        words: the command line; where it asks to plan alone, nothing is written.
    """
    file = folder / "config.yaml"
    if {"-n", "--dry-run", "--dryrun"} & set(words) or not file.exists():
        return
    if read_settings(file)["cycles"] != settings["cycles"]:
        save_settings(settings, file)
        write_json(Path(mirrored(folder, "logs")) / START, _start())


def _start() -> dict[str, str]:
    """When and how this Snakemake was started, and by which version."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return {
        "date": date.today().isoformat(),
        "version": project["version"],
        "command": shlex.join(["snakemake", *sys.argv[1:]]),
    }


def _check_learner(
    workflow: Any,
    settings: dict[str, Any],
    layout: dict[str, Any],
    rows: Sequence[PoolRow],
    file: Path,
) -> dict[str, Any] | None:
    """Refuse what the learner could not train, or what has become another training.

    Nothing is looked at where no training runs, or where it runs in another environment. What was
    not known at an earlier start, such as of data that were still to be generated, is not compared.

    Returns:
        What to remember of the files that the configuration names.
    """
    planned = any(job.rule.name in TRAININGS for job in workflow.dag.needrun_jobs())
    if not planned or workflow.deployment_settings.deployment_method:
        return None
    section = settings[settings["learner"]]
    if not describe_learner(settings["learner"]).of(section).is_checked():
        return None
    learner = get_learner(settings["learner"])
    made = preparation(settings)
    prepared = None if made is None else Path(made.folder)
    known = Start(
        classes=settings["classes"],
        rows=rows,
        layout=get_layout(**layout),
        here=workflow.executor_plugin.name != "slurm",
        prepared=prepared,
    )
    learner.check_start(section, known)
    if prepared is not None:
        _refuse_other_plans(prepared / PLANS, file.parent)
    identity = learner.identity(section, known)
    before = read_json(file) if file.exists() else {}
    shared = before.keys() & identity.keys()
    lines = differences(*({key: side[key] for key in shared} for side in (before, identity)))
    if lines:
        raise ConfigError(
            f"{file}: files that the configuration names have changed since the run was started; "
            "results would mix:\n"
            + "\n".join(f"  {line}" for line in lines)
            + "\nChoose another name (run=...) or put the files back."
        )
    return {**before, **identity}


def _refuse_other_plans(plans: Path, run: Path) -> None:
    """Refuse to go on with what was prepared anew, from other data, since a run was trained."""
    if not plans.exists():
        return
    key = read_json(plans)["key"]
    for place, file in places_in(run, "training.json"):
        if place.cycle <= 1 and read_json(file).get("plans", key) != key:
            raise ConfigError(
                f"{plans.parent} was made anew, from other data, since {file} was trained; results "
                "would mix. Start a new run (run=...)"
            )
