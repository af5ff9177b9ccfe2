"""Configurations resolved, and runs begun, as Snakemake's main process does; without Snakemake."""

from __future__ import annotations

import os
from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from al.config import start
from al.config.settings import guard_science, load_settings, read_settings, read_yaml

ROOT = Path(__file__).parents[2]


def merge(base: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Merge as Snakemake does: mappings key by key, everything else replaced."""
    out = deepcopy(base)
    for key, value in over.items():
        held = out.get(key)
        both = isinstance(value, dict) and isinstance(held, dict)
        out[key] = merge(held, value) if both else deepcopy(value)
    return out


def config(dataset: str = "cityscapes_mini", **changes: Any) -> dict[str, Any]:
    """Return what Snakemake would hand over: defaults, the dataset, the command line."""
    defaults, own = (held(name) for name in ("config", f"datasets/{dataset}"))
    return merge(merge(defaults, own), {"dataset": dataset, **changes})


@cache
def held(name: str) -> dict[str, Any]:
    return read_yaml(ROOT / f"config/{name}.yaml")


def load(dataset: str = "cityscapes_mini", **changes: Any) -> dict[str, Any]:
    """Resolve such a configuration."""
    return load_settings(config(dataset, **changes), ROOT)


def guard(settings: dict[str, Any], file: Path) -> None:
    """Continue, with other settings, a run of which a file keeps the configuration."""
    guard_science(settings, file, read_settings(file))


def typed(words: dict[str, str]) -> dict[str, Any]:
    """Return settings of the command line as Snakemake reads them, each by itself as YAML."""
    return {key: yaml.safe_load(word) for key, word in words.items()}


class Planned:
    """What ``begin_run`` asks of Snakemake's workflow: jobs of these rules are planned, here."""

    touch = False

    def __init__(self, rules: Sequence[str]) -> None:
        kinds = [type("Rule", (), {"name": rule}) for rule in rules]
        jobs = [type("Job", (), {"rule": kind, "output": ["not/yet.json"]})() for kind in kinds]
        reason = type("Reason", (), {"forced": False})()
        graph = {"needrun_jobs": lambda _: jobs, "reason": lambda *_: reason}
        self.dag = type("Dag", (), graph)()
        self.dag_settings = type("D", (), {"forcerun": ()})()
        self.deployment_settings = type("D", (), {"deployment_method": ()})()
        self.executor_plugin = type("E", (), {"name": "local"})()


def begin(folder: Path, planned: Sequence[str] = ("train",), **changes: Any) -> dict[str, Any]:
    """Start a run in a folder up to its first job, as the command line does; return its settings.

    Raises:
        ConfigError, StartRefused: what is told to the user.
    """
    folder.mkdir(parents=True, exist_ok=True)
    before = Path.cwd()
    os.chdir(folder)
    guard, start.guard_start = start.guard_start, lambda *_: None  # has tests of its own
    try:
        settings = load_settings(config(**changes), ROOT, Path("results"))
        results = Path("results", settings["run"])
        keys = {"name": "layout", "options": "layout_options", "classes": "classes"}
        layout = {name: settings[key] for name, key in keys.items()}
        start.begin_run(
            Planned(planned),
            settings,
            layout,
            [results, Path("work/tiny"), Path("logs/tiny")],
            print,
        )
    finally:
        start.guard_start = guard
        os.chdir(before)
    return settings
