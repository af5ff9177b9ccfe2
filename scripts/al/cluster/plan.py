"""What a run asks of a cluster: its kinds of submissions, from the profile and configuration."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, field
from pathlib import Path
from typing import Any

from .submissions import group_minutes, retry_factor

# Submissions of several rules, as levels of rules that may run at the same time. What Snakemake
# asks for: per level the sum, of the levels the largest; run times are summed over the levels.
_CYCLE = [
    ["reveal_labels"], ["train", "evaluate"], ["evaluate", "predict"], ["score_images"],
]  # fmt: skip
_PROPOSED = [["propose_regions"], ["embed_regions"], ["propose_patches"], ["select_regions"]]
LEVELS: dict[str, list[list[str]]] = {
    "prepare": [["generate_data"], ["index_pool"], ["split_pool", "count_truth"]],
    "initial": [
        ["select_initial"],
        *([name.replace("predict", "predict_initial") for name in level] for level in _CYCLE),
    ],
    "cycles": [*_PROPOSED, *_CYCLE],
    "reference": [["train_reference"], ["evaluate_reference"]],
    "report": [
        ["collect_curves"],
        ["plot_figures", "plot_pictures"],
        ["write_page"],
    ],
}
SPREAD = ("predict", "predict_initial", "propose_patches")  # alone where there are shards
LOCAL = ("all", "report")
# Rules that a submission runs once for each entry of a list in the configuration.
REPEATED = {"split_pool": "seeds"}


@dataclass(frozen=True)
class Submission:
    """One kind of submission at one attempt.

    Attributes:
        kind: e.g. ``cycles``, or the rule's name for a rule of its own.
        attempt: 1 at first, ``retries`` + 1 at last.
        resources: names and values as Snakemake's; whole numbers summed over parallel rules.
        largest: for each number, the rule that asks for most of it.
        conflicts: words for what its rules disagree about, such as the partition.
    """

    kind: str
    attempt: int
    resources: dict[str, Any]
    largest: dict[str, str] = field(default_factory=dict)
    conflicts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A run's settings and what it submits; ``options`` are Snakemake's, parsed by itself."""

    options: Any
    settings: Mapping[str, Any]
    submissions: list[Submission]

    def option(self, name: str, default: Any = None) -> Any:
        """One of Snakemake's options; ``default`` where it was not given.

        Options of plugins that were not given hold a class that counts as true.
        """
        value = getattr(self.options, name, MISSING)
        return default if value is MISSING or value is None else value


@contextmanager
def _parsed(options: Any, snakefile: Path) -> Iterator[Any]:
    from snakemake.api import SnakemakeApi
    from snakemake.cli import parse_config
    from snakemake.settings.enums import Quietness
    from snakemake.settings.types import ConfigSettings, OutputSettings, ResourceSettings

    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        made = api.workflow(
            resource_settings=ResourceSettings(
                default_resources=options.default_resources,
                overwrite_resources=options.set_resources,
                overwrite_threads=options.set_threads,
            ),
            config_settings=ConfigSettings(
                config=parse_config(options.config), configfiles=options.configfile or []
            ),
            snakefile=snakefile,
        )
        yield made._workflow  # the only way to the rules as the profile changes them


def make_plan(words: list[str], snakefile: Path) -> Plan:
    """Read a profile and the workflow with Snakemake itself.

    Args:
        words: Snakemake's arguments, with the profile.
        snakefile: the workflow.

    Raises:
        SystemExit: Snakemake refuses the words, and has said why.
        WorkflowError: the configuration or the profile cannot be used.
    """
    from snakemake.cli import parse_args

    options = parse_args(words)[1]
    with _parsed(options, snakefile) as workflow:
        settings = workflow.globals["S"]
        rules = {rule.name: rule for rule in workflow.rules}
        last = int(options.retries) + 1
        submissions = [
            submission
            for attempt in sorted({1, last})
            for submission in _submissions(settings, rules, attempt)
        ]
    return Plan(options, settings, submissions)


def levels_of(settings: Mapping[str, Any], names: list[str]) -> dict[str, list[list[str]]]:
    """Rules of each kind of submission, by level."""
    alone = SPREAD if settings["shards"] > 1 else ()
    present = set(names) - set(alone)
    found = {
        kind: [left for rules in levels if (left := [r for r in rules if r in present])]
        for kind, levels in LEVELS.items()
    }
    grouped = {rule for levels in found.values() for level in levels for rule in level}
    found |= {name: [[name]] for name in names if name not in grouped and name not in LOCAL}
    return found


def _submissions(
    settings: Mapping[str, Any], rules: Mapping[str, Any], attempt: int
) -> Iterator[Submission]:
    asked = {name: _evaluated(rule, attempt) for name, rule in rules.items()}
    minutes = group_minutes(settings)
    for kind, levels in levels_of(settings, list(rules)).items():
        merged, largest, conflicts = _merge(settings, levels, asked)
        if kind in minutes:
            merged["runtime"] = int(minutes[kind] * retry_factor(settings, minutes[kind], attempt))
        yield Submission(kind, attempt, merged, largest, conflicts)


def _evaluated(rule: Any, attempt: int) -> dict[str, Any]:
    """A rule's resources at an attempt; those that depend on wildcards or inputs are left out."""
    found: dict[str, Any] = {}
    for name, resource in rule.resources.items():
        value = resource
        if resource.is_evaluable():
            try:
                value = resource.evaluate(
                    wildcards=None, input=[], attempt=attempt, threads=1, rulename=rule.name,
                    async_run=None,
                )  # fmt: skip
            except (AttributeError, TypeError, KeyError):
                continue
        if isinstance(value.value, (int, str)):
            found[name] = value.value
    return found


def _merge(
    settings: Mapping[str, Any], levels: list[list[str]], asked: Mapping[str, dict[str, Any]]
) -> tuple[dict[str, Any], dict[str, str], tuple[str, ...]]:
    merged: dict[str, Any] = {}
    largest: dict[str, str] = {}
    most: dict[str, int] = {}
    texts: dict[str, dict[str, str]] = {}
    for level in levels:
        sums: dict[str, int] = {}
        for rule in level:
            times = len(settings[REPEATED[rule]]) if rule in REPEATED else 1
            for name, value in asked[rule].items():
                if isinstance(value, str):
                    texts.setdefault(name, {}).setdefault(value, rule)
                    merged[name] = value
                    continue
                total = max if name == "runtime" else lambda old, new: old + new
                sums[name] = total(sums.get(name, 0), value * (1 if name == "runtime" else times))
                if value > most.get(name, -1):
                    most[name], largest[name] = value, rule
        for name, value in sums.items():
            if name == "runtime":
                merged[name] = merged.get(name, 0) + value
            else:
                merged[name] = max(merged.get(name, 0), value)
    conflicts = tuple(
        f"{name} is " + ", ".join(f"{value} for {rule}" for value, rule in values.items())
        for name, values in texts.items()
        if len(values) > 1
    )
    return merged, largest, conflicts
