"""Checks of the resolved configuration that its schema cannot make."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from al.cluster.submissions import group_minutes, longest_chain
from al.io.errors import ConfigError, nearest
from al.learners.steps import GROWING
from al.paths import REFERENCES
from al.scoring.scores import groups_of


def layout_of(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what ``get_layout`` is called with; where people annotate, images need no label."""
    about = {"name": settings["layout"], "options": settings["layout_options"]}
    about["classes"] = settings["classes"]
    return {**about, "unlabelled": True} if settings.get("annotator") == "human" else about


# Keys whose values are text, whatever they look like
TEXT = ("run", "dataset", "data_root", "learner", "layout", "group")


def check_words(config: dict[str, Any], words: Sequence[str]) -> None:
    """Refuse text of the command line that Snakemake has read as something else.

    It takes 007 for 7, 1.10 for 1.1, 2024_05 for 202405, and ends a text before `` #``.

    Args:
        config: what Snakemake made of it.
        words: the command line.

    Raises:
        ConfigError: naming the key, what was written and what was read.
    """
    words = [word.removeprefix("--config=") for word in words]
    for key in TEXT:
        written = [word.partition("=")[2] for word in words if word.startswith(f"{key}=")]
        if not written or not written[-1]:
            continue
        text = written[-1]
        # Snakemake takes quotes off before it looks for numbers.
        quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
        if str(config.get(key)) != (text[1:-1] if quoted else text):
            raise ConfigError(
                f"{key}={text} is read as {config.get(key)!r} by Snakemake; allowed: text that is "
                "neither a number nor YAML, or in quotes in a file named by --configfile"
            )


def check_split(split: Any) -> None:
    """Refuse shares beside folds, as where a dataset gives folds and the command line shares."""
    if isinstance(split, dict) and "folds" in split and len(split) > 1:
        raise ConfigError(
            f"split: {split}; allowed: shares or folds, such as "
            "{train: 0.6, val: 0, test: 0.4, folds: null}"
        )


def check_data_root(settings: dict[str, Any]) -> None:
    """Refuse wrong sizes to generate and a folder that is not there; fills in ``data_root``.

    Raises:
        ConfigError: naming the key, what was found and what is allowed.
    """
    from al.generators import check_section, folder_of, sizes_in

    if settings["generate"] is not None:
        check_section(settings["generate"])
    if settings["data_root"] is None:
        if settings["generate"] is None:
            raise ConfigError(
                f"dataset {settings['dataset']!r} needs data_root=FOLDER, the folder it lies in"
            )
        settings["data_root"] = f"data/{folder_of(settings['dataset'], settings['generate'])}"
        return
    if sizes := sizes_in(settings["generate"] or {}):
        raise ConfigError(
            f"generate: sizes ({', '.join(sizes)}) of data to generate, and data_root "
            f"{settings['data_root']!r} that exists; allowed: one of the two"
        )
    settings["generate"] = None
    if not os.path.isdir(settings["data_root"]):  # false for names that cannot be, too
        raise ConfigError(f"data_root {settings['data_root']!r} is not a folder")


def check_consistency(settings: dict[str, Any]) -> None:
    """Refuse values that do not fit each other, the layout or the learner.

    Raises:
        ConfigError: naming the key, what was found and what is allowed.
    """
    if not settings["strategies"] and not settings["references"]:
        raise ConfigError("strategies: none, and references: none; nothing is left to run")
    _check_annotator(settings)
    classes, task = settings["classes"], settings["task"]
    for name in settings["decomp"]["emphasis"]:
        if name not in classes:
            raise ConfigError(
                f"decomp.emphasis: class {name!r} is unknown; {nearest(name, classes)}"
            )
    groups = settings["groups"] or {}
    for name, members in groups.items():
        if max(members) >= len(classes):
            raise ConfigError(f"groups.{name}: {members} has an index above {len(classes) - 1}")
    if settings["background"] is not None and settings["background"] >= len(classes):
        raise ConfigError(f"background {settings['background']} is not a class index")
    patch, axes = settings["patch"], {"2d": 2, "3d": 3, "roi": 0}[task]
    if patch is not None and len(patch) != axes:
        raise ConfigError(f"patch {patch} has {len(patch)} sides; task {task!r} takes {axes}")
    if settings["footprint"] != "square" and task != "roi":
        from decomp_core import footprint

        try:
            footprint(settings["footprint"], settings["region"])
        except ValueError as error:
            raise ConfigError(f"region {settings['region']}: {error}") from None
    if settings["footprint"] != "square" and (task == "roi" or settings["initial"] == "nnactive"):
        raise ConfigError(
            f"footprint {settings['footprint']!r} is for windows: not for RoIs or nnActive's start"
        )
    if settings["initial"] == "nnactive" and task == "roi":
        raise ConfigError("initial 'nnactive' does not do task 'roi'; allowed: random, diverse")
    centres = settings["random_centres"]
    if centres and centres["low"] > centres["high"]:
        raise ConfigError(f"random_centres: low {centres['low']} above high {centres['high']}")
    split = settings["split"]
    if split and "folds" not in split and not math.isclose(sum(split.values()), 1):
        raise ConfigError(f"split: shares {split} sum to {sum(split.values()):g}, not 1")
    if split and "folds" in split and max(settings["seeds"]) >= split["folds"]:
        raise ConfigError(
            f"seeds {settings['seeds']}: seed k holds out fold k, and there are {split['folds']}"
        )
    _check_group(settings)
    _check_learner(settings)


def _check_annotator(settings: dict[str, Any]) -> None:
    """Refuse what people cannot do: several strategies at a time, or to start from truth."""
    if settings["annotator"] != "human":
        if settings["initial"] == "labelled":
            raise ConfigError(
                "initial 'labelled' takes annotator=human; allowed: random, diverse, nnactive"
            )
        return
    for key in ("strategies", "budget"):
        if len(settings[key]) != 1 or settings[key] == ["all"]:
            raise ConfigError(
                f"{key}: {', '.join(settings[key]) or 'none'}; allowed with annotator=human: one"
            )
    if settings["initial"] == "labelled" and settings["footprint"] != "square":
        raise ConfigError("initial 'labelled' takes whole images; allowed: footprint square")
    if settings["initial"] == "nnactive":
        raise ConfigError(
            "initial 'nnactive' reads ground truth; allowed with annotator=human: random, diverse, "
            "labelled"
        )


def _check_group(settings: dict[str, Any]) -> None:
    """Refuse a pattern that is none, or beside a column of the dataset's table."""
    pattern = settings["group"]
    if pattern is None:
        return
    try:
        re.compile(pattern)
    except (re.error, OverflowError) as error:
        raise ConfigError(f"group: {pattern!r}: {error}; allowed: a regular expression") from None
    if column := settings["layout_options"].get("group_column"):
        raise ConfigError(f"group: {pattern!r} beside group_column {column!r}; allowed: one")


def _check_learner(settings: dict[str, Any]) -> None:
    """Check what depends on the learner, and fill in its own uncertainty where none is asked."""
    from al.layouts import get_layout
    from al.learners import describe_learner

    classes, task = settings["classes"], settings["task"]
    layout = get_layout(**layout_of(settings))
    if layout.task != task:
        raise ConfigError(f"layout {layout.name!r} holds task {layout.task!r}, not {task!r}")
    learner = describe_learner(settings["learner"])
    if task not in learner.tasks:
        raise ConfigError(
            f"learner {settings['learner']!r} does not do task {task!r}, "
            f"only {sorted(learner.tasks)}"
        )
    section = learner.completed(settings.get(settings["learner"]) or {}, settings)
    settings[settings["learner"]] = section
    chosen = learner.of(section, task, len(classes))
    if (key := chosen.reads_labels()) and settings["strategies"]:
        raise ConfigError(
            f"{key} reads the ground truth of the whole dataset, also what is not revealed; "
            "allowed with strategies=none, for references"
        )
    if settings["validation_images"] and not chosen.uses_validation():
        raise ConfigError(
            f"validation_images {settings['validation_images']!r}: no training of learner "
            f"{settings['learner']!r} with this section is steered by them; allowed: 0"
        )
    measures = chosen.uncertainties()
    if settings["uncertainty"] is None:
        settings["uncertainty"] = measures[0]
    if settings["uncertainty"] not in measures:
        hint = ""
        if settings["uncertainty"] == "mutual_information":
            hint = f" ({settings['learner']}.members is {chosen.networks()})"
        raise ConfigError(
            f"uncertainty {settings['uncertainty']!r} is not what learner "
            f"{settings['learner']!r} gives{hint}; allowed: {', '.join(measures)}"
        )


def check_tolerances(settings: dict[str, Any]) -> None:
    """Refuse tolerances of no group, or of another task. Raises ConfigError."""
    tolerances = settings["surface_tolerances"]
    if not tolerances:
        return
    if settings["task"] != "3d":
        raise ConfigError(f"surface_tolerances: task {settings['task']!r} has none; allowed: null")
    groups = groups_of(settings["groups"], settings["classes"], settings["background"])
    for name, value in tolerances.items():
        if name not in groups:
            raise ConfigError(
                f"surface_tolerances: group {name!r} is unknown; {nearest(name, groups)}"
            )
        if not math.isfinite(value):
            raise ConfigError(f"surface_tolerances.{name}: {value}; allowed: above 0, in mm")


def check_submissions(settings: dict[str, Any]) -> None:
    """Refuse submissions that take longer than the cluster grants. Raises ConfigError."""
    most = settings["max_minutes"]
    for kind, needed in group_minutes(settings).items():
        if needed > most:
            chain = longest_chain(settings)
            advice = f"chain: {chain} fits" if kind == "cycles" and chain else "lower `minutes`"
            raise ConfigError(
                f"minutes: a submission of kind {kind!r} takes up to {needed} minutes (chain "
                f"{settings['chain']}), more than max_minutes {most} grants; {advice}"
            )


def check_steps(settings: dict[str, Any]) -> None:
    """Refuse steps that end below those of one region, or epochs of none. Raises ConfigError."""
    from al.learners import describe_learner

    steps = settings["steps"]
    if not isinstance(steps, dict):
        return
    learner = describe_learner(settings["learner"])
    if "epochs" in steps and learner.of(settings[settings["learner"]]).regions_per_step() is None:
        raise ConfigError(
            f"steps.epochs: learner {settings['learner']!r} counts no epochs; "
            f"allowed: a whole number from 1, or {GROWING}"
        )
    if steps["most"] < steps.get("per_region", 0):
        raise ConfigError(
            f"steps.most: {steps['most']}; allowed: from per_region, {steps['per_region']}"
        )


def check_report(settings: dict[str, Any], strategies: Iterable[str]) -> None:
    """Refuse a cost that the run will not have, and colours of what is not there.

    Args:
        settings: with all checks before passed.
        strategies: names in ``config/strategies.yaml``.

    Raises:
        ConfigError: now, and not after the last training.
    """
    report = settings["report"]
    costs = ["images", "images_percent", "regions"]
    costs.append("rois_percent" if settings["task"] == "roi" else "area_percent")
    costs += ["foreground_percent"] if settings["background"] is not None else []
    costs += ["validation_images", "validation_regions"] if settings["validation_images"] else []
    if report["cost"] not in (None, *costs):
        raise ConfigError(
            f"report.cost: this run has no {report['cost']!r}; allowed: {', '.join(costs)}"
        )
    known = [*strategies, *REFERENCES]
    for name in report["colours"]:
        if name not in known:
            raise ConfigError(f"report.colours: {name!r} is unknown; {nearest(name, known)}")
