"""The configuration: normalised, validated and guarded against mixing results."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import deepcopy
from math import isfinite
from pathlib import Path
from typing import Any

import yaml

from al.config.checks import (
    check_consistency,
    check_data_root,
    check_report,
    check_split,
    check_steps,
    check_submissions,
    check_tolerances,
)
from al.io.errors import ConfigError, nearest
from al.io.files import check_keys, reading, write_text
from al.layouts import READING
from al.learners.steps import normal_steps, whole
from al.paths import first_root
from al.scoring import SCORING
from al.strategies.registry import SECTIONS

MOST_SEEDS = 10_000
HUMAN = "human"  # the annotator that is people
# What the configuration that is kept of a run has, whichever version wrote it
KEPT: dict[str, Any] = dict.fromkeys(("run", "dataset", "learner", "layout", "task"), str)
KEPT |= dict.fromkeys(("strategies", "references", "seeds", "budget", "classes", "region"), list)
KEPT |= dict.fromkeys(("definitions", "report", "layout_options"), dict)
KEPT |= {"cycles": int, "full_steps": int, "steps": (int, dict), "initial": str}
KEPT |= {"split": (dict, type(None)), "background": (int, type(None))}
REPORTED = ("cost", "share", "colours", "overlay_images")
# Kept with a run: results of other rules do not go together.
RULES = {"reading": READING, "scoring": SCORING}
# Keys whose change leaves every finished result valid. The options of strategies are compared as
# part of the definitions that read them.
NOT_SCIENCE = (
    "strategies", "references", "seeds", "cycles", "budget", "report", "class_colours",
    "chain", "minutes", "max_minutes", "surface_tolerances", *SECTIONS,
    # Other data are told by their fingerprints.
    "data_root", "first_root", "changed_data", "rules",
)  # fmt: skip

# Sections whose values are typed, and the options of layouts that are no text.
TYPED = (
    *SECTIONS, "convnet", "pixels", "mmseg", "nnunet", "hact", "report", "split", "random_centres",
    "groups", "surface_tolerances", "generate", "region", "patch", "thresholds", "background",
    "minutes",
)  # fmt: skip
TYPED_OPTIONS = ("downsample", "void", "ids", "channel", "check_counts", "grid")
# Typed words that are no text. YAML 1.1 has more: 1:30 is 90 there, 0o17 15, on true, 1e-3 text.
CONSTANTS = {"true": True, "false": False, "null": None, "~": None}
WHOLE = re.compile(r"[+-]?\d+")
REAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def _listed(value: Any) -> Any:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value if isinstance(value, list) else [value]


def _typed(value: Any) -> Any:
    """Give numbers, truth values and null their types: nested ones come as text from Snakemake."""
    if isinstance(value, dict):
        return {key: _typed(held) for key, held in value.items()}
    if isinstance(value, list):
        return [_typed(held) for held in value]
    if not isinstance(value, str):
        return value
    word = value.strip()
    if WHOLE.fullmatch(word):
        return int(word)
    return float(word) if REAL.fullmatch(word) else CONSTANTS.get(word.lower(), value)


def normalise(config: dict[str, Any]) -> dict[str, Any]:
    """Bring the forms that the command line allows into one; applied twice it changes nothing."""
    out = deepcopy(config)
    if isinstance(given := out.get("strategies"), dict):
        out["strategies"] = given.get(str(out.get("annotator")), [])
    for key in ("strategies", "references", "budget", "thresholds", "classes"):
        if key in out:
            out[key] = _listed(out[key]) if out[key] not in (None, "", "none") else []
    if config.get("strategies") == "":  # forgotten; who wants none says so
        out["strategies"] = [""]
    out["budget"] = [str(b) for b in out.get("budget", [])]
    seeds = whole(out.get("seeds"))
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        if seeds > MOST_SEEDS:
            raise ConfigError(f"seeds: {seeds}; allowed: how many, up to {MOST_SEEDS}, or a list")
        out["seeds"] = list(range(seeds))
    else:
        out["seeds"] = [whole(s) for s in _listed(seeds)]
    if out.get("annotator") == HUMAN:
        out |= {"seeds": out["seeds"][:1], "references": []}
    for key in ("steps", "full_steps"):
        out[key] = normal_steps(key, out.get(key), out.get("learner"))
    held = out.get("validation_images", 0)
    out["validation_images"] = whole(
        held.get(out.get("learner"), 0) if isinstance(held, dict) else held
    )
    for key in ("cycles", "shards", "chain", "max_minutes"):
        out[key] = whole(out.get(key))
    for key in ("region", "patch"):
        if isinstance(out.get(key), str):
            out[key] = out[key].replace("x", ",").split(",")
    out |= {key: _typed(out[key]) for key in TYPED if key in out}
    if isinstance(out.get("split"), dict):  # null takes back what the dataset gives
        out["split"] = {key: held for key, held in out["split"].items() if held is not None}
    if isinstance(out.get("layout_options"), dict):
        options = out["layout_options"]
        options |= {key: _typed(options[key]) for key in TYPED_OPTIONS if key in options}
    if out.get("data_root") is not None:
        out["data_root"] = str(Path(str(out["data_root"])).expanduser())
    out["group"] = out.get("group") or None
    run = out.get("run")
    out["run"] = f"{out.get('dataset')}-{out.get('learner')}" if run is None else str(run)
    return out


def _infinite(value: Any, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the keys of numbers that no schema refuses: NaN and infinity are in no range."""
    if isinstance(value, float) and not isfinite(value):
        yield f"{'.'.join(path)}: {value}; allowed: finite numbers"
    inner = dict(enumerate(value)) if isinstance(value, list) else value
    for key, held in inner.items() if isinstance(inner, dict) else ():
        yield from _infinite(held, (*path, str(key)))


def _validate(value: Any, schema_file: Path, source: str) -> None:
    from jsonschema import Draft202012Validator
    from referencing import Registry, Resource

    if odd := list(_infinite(value)):
        raise ConfigError("\n".join(f"{source}: {text}" for text in odd))
    folder = schema_file.parent
    resources = [
        (p.name, Resource.from_contents(yaml.safe_load(p.read_text())))
        for p in folder.glob("*.schema.yaml")
    ]
    schema = {"$ref": schema_file.name}
    validator = Draft202012Validator(schema, registry=Registry().with_resources(resources))
    errors = sorted(validator.iter_errors(value), key=lambda e: [str(p) for p in e.path])
    if errors:
        raise ConfigError("\n".join(f"{source}: {_message(e)}" for e in errors))


def _message(error: Any) -> str:
    where = ".".join(str(p) for p in error.absolute_path)
    if error.validator == "additionalProperties" and isinstance(error.instance, dict):
        known = error.schema.get("properties", {})
        unknown = [k for k in error.instance if k not in known]
        prefix = f"{where}." if where else ""
        return "; ".join(f"unknown key {prefix + str(k)!r}, {nearest(k, known)}" for k in unknown)
    return f"{where or 'the whole'}: {error.message}"


def load_settings(
    config: dict[str, Any], root: Path, results: Path | None = None
) -> dict[str, Any]:
    """Return the resolved configuration of a run, with ``definitions`` of all its strategies.

    Args:
        config: what Snakemake merged (defaults, dataset, command line).
        root: the project's folder, in which ``config/`` lies.
        results: the folder of runs, where one that is there already is continued: ``first_root`` is
            where its data lay at first, and what its results depend on must not differ.

    Raises:
        ConfigError: naming the key, what was found and what is allowed.
        DataError: the configuration that was kept of the run is damaged.
    """
    from al.layouts import LAYOUTS
    from al.layouts.dataset_json import complete
    from al.learners import LEARNERS

    settings = normalise(config)
    check_split(settings.get("split"))
    settings = complete(settings)
    _validate(settings, root / "config/schemas/config.schema.yaml", "configuration")
    for key, known in (("layout", LAYOUTS), ("learner", LEARNERS)):
        if settings[key] not in known:
            raise ConfigError(
                f"{key} {settings[key]!r} is unknown; {nearest(settings[key], known)}"
            )
    check_data_root(settings)
    file = None if results is None else results / settings["run"] / "config.yaml"
    held = read_settings(file) if file and file.exists() else {}
    if file:
        settings["first_root"] = first_root({**settings, **held})
    check_consistency(settings)
    check_tolerances(settings)
    check_steps(settings)
    check_submissions(settings)
    strategies = root / "config/strategies.yaml"
    settings["definitions"] = _definitions(settings, strategies)
    check_report(settings, read_yaml(strategies))
    if file and held:
        guard_science(settings, file, held)
    return settings


def _definitions(settings: dict[str, Any], file: Path) -> dict[str, dict[str, Any]]:
    from al.strategies import check_definition, resolve

    entries = read_yaml(file)
    _validate(entries, file.parent / "schemas/strategies.schema.yaml", str(file.name))
    if "all" in settings["strategies"]:
        settings["strategies"] = _supported(entries, settings)
    resolved = {}
    for name in settings["strategies"]:
        if name not in entries:
            raise ConfigError(f"strategy {name!r} is unknown; {nearest(name, [*entries, 'all'])}")
        resolved[name] = resolve(name, entries[name], settings)
        check_definition(name, resolved[name], settings)
    return resolved


def _supported(entries: dict[str, Any], settings: dict[str, Any]) -> list[str]:
    """Return every entry that runs with this task, learner and configuration."""
    from al.strategies import Unsupported, check_definition, resolve

    found = []
    for name, entry in entries.items():
        definition = resolve(name, entry, settings)
        try:
            check_definition(name, definition, settings)
        except Unsupported:
            continue
        found.append(name)
    return found


class _UniqueLoader(yaml.SafeLoader):
    """A safe loader that refuses the same key twice, which YAML would silently overwrite."""


def _unique_mapping(loader: _UniqueLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    twice = {k for k in keys if keys.count(k) > 1}
    if twice:
        raise ConfigError(f"{node.start_mark.name}: {sorted(map(str, twice))} defined twice")
    return loader.construct_mapping(node, deep=True)


_UniqueLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def read_yaml(file: Path) -> dict[str, Any]:
    """Read a YAML mapping safely; keys that appear twice are an error."""
    with file.open(encoding="utf-8") as stream:
        return yaml.load(stream, Loader=_UniqueLoader) or {}  # noqa: S506 - a SafeLoader


def read_settings(file: Path) -> dict[str, Any]:
    """Read the configuration of a run, ``results/{run}/config.yaml``.

    Raises:
        DataError: the file is not there, is damaged, or lacks a key that every run has.
    """
    with reading(file, "the configuration of a run"):
        held = read_yaml(file)
        check_keys(held, KEPT)
        check_keys(held["report"], dict.fromkeys(REPORTED, object))
        if lacking := [n for n in held["strategies"] if n not in held["definitions"]]:
            raise ValueError(f"definitions: lacks {', '.join(lacking)}")
        check_keys(held.get(held["learner"]), {})
    return held


def science(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the part of the configuration that results depend on."""
    from al.learners import LEARNERS

    others = set(LEARNERS) - {settings["learner"]}
    found = {k: v for k, v in settings.items() if k not in NOT_SCIENCE and k not in others}
    if not found.get("validation_images"):  # as of runs from before there were any
        found.pop("validation_images", None)
    if found.get("annotator") != HUMAN:
        found.pop("annotator", None)
    return {**found, settings["learner"]: learner_science(settings)}


def learner_science(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the learner's section without what only says where and how fast something runs."""
    from al.learners import describe_learner

    name = settings["learner"]
    return describe_learner(name).science_of(settings.get(name) or {})


def job_settings(settings: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """Return the learner's settings in a job.

    Args:
        settings: of ``learner_science``, as the job's parameters hold it.
        config: what Snakemake merged; where and how fast something runs is read from it.
    """
    section = normalise(config)
    return {**(section.get(section["learner"]) or {}), **settings}


def guard_science(settings: dict[str, Any], file: Path, held: dict[str, Any]) -> None:
    """Refuse to continue a run whose configuration differs in what results depend on.

    ``held``: what ``file`` holds, the configuration it was begun with.
    """
    if held.get("rules") != RULES:
        raise ConfigError(
            f"{file}: the run was begun by a version of this project that reads or scores data in "
            "another way; results would mix. Choose another name (run=...), or go on with that "
            "version"
        )
    old, new = science(held), science(settings)
    shared = set(old["definitions"]) & set(new["definitions"])
    for side in (old, new):
        side["definitions"] = {k: side["definitions"][k] for k in shared}
    lines = differences(old, new)
    if lines:
        raise ConfigError(
            f"{file} was run with another configuration; results would mix:\n"
            + "\n".join(f"  {line}" for line in lines)
            + "\nChoose another name (run=...), go back to that configuration, or delete "
            + f"{file.parent} if nothing in it is worth keeping."
        )


def differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    """Return ``key: old -> new`` for every value that differs, nested ones by their path."""
    lines = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            lines += differences(before, after, f"{prefix}{key}.")
        elif before != after:
            lines.append(f"{prefix}{key}: {before!r} -> {after!r}")
    return lines


def data_root_of(config: dict[str, Any]) -> str:
    """Return where the data lie, in a job: no parameter of it, as moved data are the same."""
    settings = normalise(config)
    check_data_root(settings)
    return settings["data_root"]


def save_settings(settings: dict[str, Any], file: Path) -> None:
    """Write the resolved configuration of a run, keeping earlier strategies' definitions."""
    saved = {**deepcopy(settings), "rules": RULES, "first_root": first_root(settings)}
    if file.exists():
        saved["definitions"] = {**read_settings(file)["definitions"], **settings["definitions"]}
    write_text(file, yaml.safe_dump(saved, sort_keys=True))
