"""Entries of config/strategies.yaml: their parts, options and needs."""

from __future__ import annotations

from typing import Any

from al.io.errors import ConfigError, nearest

from .registry import IMAGE_SELECTORS, POOL_SELECTORS, REGION_SELECTORS, SECTIONS, Selector


class Unsupported(ConfigError):
    """A strategy that this task, learner or shape of regions does not allow."""


PARTS = {"images": IMAGE_SELECTORS, "regions": REGION_SELECTORS, "pool": POOL_SELECTORS}


# How the first cycle is chosen, which all strategies share (`initial` of the configuration)
STARTS: dict[str, dict[str, Any]] = {
    "random": {"images": "random", "regions": "random", "spread": 1},
    "diverse": {"images": "diverse", "regions": "diverse", "spread": 1},
    "nnactive": {"pool": "nnactive_start"},
    "labelled": {"pool": "labelled"},
}


def parts_of(definition: dict[str, Any]) -> list[Selector]:
    """Return the selectors of an entry."""
    return [known[definition[key]] for key, known in PARTS.items() if key in definition]


def needs_of(definition: dict[str, Any]) -> frozenset[str]:
    """Return what a strategy must be given (keys of ``registry.NEEDS``)."""
    found: frozenset[str] = frozenset()
    for part in parts_of(definition):
        found |= part.needs | part.more_needs(definition)
    return found


def note_of(definition: dict[str, Any]) -> str:
    """Return what a reader of a figure must know of a strategy."""
    return "; ".join(part.note for part in parts_of(definition) if part.note)


def resolve(name: str, entry: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Fill in the options that an entry's selectors read, from their sections of the configuration.

    Raises:
        ConfigError: unknown selectors, or an option that none of them reads.
    """
    given = PARTS.keys() & entry.keys()
    if given not in ({"images", "regions"}, {"pool"}):
        raise ConfigError(
            f"strategy {name!r} has {sorted(given) or 'neither'}; "
            "allowed: `images` and `regions`, or `pool` alone"
        )
    for key in given:
        if entry[key] not in PARTS[key]:
            raise ConfigError(
                f"strategy {name!r}: {key} {entry[key]!r} is unknown; "
                f"{nearest(entry[key], PARTS[key])}"
            )
    read: dict[str, Any] = {} if "pool" in entry else {"spread": 1}
    for part in parts_of(entry):
        read |= {key: _default(key, value, settings) for key, value in part.options.items()}
        _check_types(name, entry, part)
    definition = {**read, **entry}
    for key in _unread(definition):
        read.pop(key, None)
        if key not in entry:
            definition.pop(key, None)
    for key in entry.keys() - PARTS.keys():
        if key not in read:
            raise ConfigError(
                f"strategy {name!r}: option {key!r} is not read by its selectors; "
                + (nearest(key, read) if read else "they have no options")
            )
    if definition.get("beta_steps", 0) is None:
        definition["beta_steps"] = settings["cycles"]
    # Snakemake compares params by their text: the order must be the same in every process.
    return dict(sorted(definition.items()))


def _check_types(name: str, entry: dict[str, Any], part: Selector) -> None:
    """Refuse values of another type than the default declared with a selector."""
    for key, default in part.options.items():
        if default is None or key not in entry:  # the schema knows the options of config.yaml
            continue
        kind = type(default)
        allowed = (int, float) if kind is float else kind
        if not isinstance(entry[key], allowed) or isinstance(entry[key], bool) != (kind is bool):
            raise ConfigError(
                f"strategy {name!r}: {key} is {entry[key]!r}; allowed: {kind.__name__}, "
                f"such as {default!r}"
            )


def _default(key: str, value: Any, settings: dict[str, Any]) -> Any:
    for section in SECTIONS:
        if value is None and key in settings[section]:
            return settings[section][key]
    return value


def _unread(definition: dict[str, Any]) -> set[str]:
    """Options of ClaSP PE that other options make pointless."""
    found: set[str] = set()
    if definition.get("beta", "schedule") != "schedule":
        found |= {"beta_first", "beta_last", "beta_steps"}
    if not definition.get("strata", True):
        found.add("strata_share")
    return found


def check_definition(name: str, definition: dict[str, Any], settings: dict[str, Any]) -> None:
    """Refuse a strategy that cannot run with this task, learner and configuration.

    Raises:
        Unsupported: it cannot run with this task or learner.
        ConfigError: an option is wrong; both name the strategy, the key, what was found and what
            is allowed.
    """
    for key, known in PARTS.items():
        if key in definition and settings["task"] not in known[definition[key]].tasks:
            raise Unsupported(
                f"strategy {name!r}: {key} {definition[key]!r} does not do task "
                f"{settings['task']!r}, only {sorted(known[definition[key]].tasks)}"
            )
    boxes = "pool" in definition or REGION_SELECTORS[definition["regions"]].batch
    if boxes and settings["footprint"] != "square":
        raise Unsupported(
            f"strategy {name!r} chooses boxes, and footprint is {settings['footprint']!r}; "
            "allowed: square"
        )
    if "truth" in needs_of(definition) and settings.get("annotator") == "human":
        raise Unsupported(
            f"strategy {name!r} reads ground truth, which people do not have; allowed with "
            "annotator=human: those that do not"
        )
    stride, axes = definition.get("stride", 1), {"2d": 2, "3d": 3}.get(settings["task"])
    if not isinstance(stride, int) and len(stride) != axes:
        raise ConfigError(
            f"strategy {name!r}: stride {stride} has {len(stride)} numbers; "
            f"allowed: one, or {axes} for task {settings['task']!r}"
        )
    _check_learner(name, definition, settings)
    if definition.get("tau", settings["thresholds"][0]) not in settings["thresholds"]:
        raise ConfigError(
            f"strategy {name!r}: tau {definition['tau']} is not among the thresholds that "
            f"predictions are counted at: {settings['thresholds']}"
        )
    emphasis = definition.get("emphasis", {})
    if emphasis and all(emphasis.get(cls, 1) == 0 for cls in settings["classes"]):
        raise ConfigError(f"strategy {name!r}: emphasis is 0 for every class; allowed: not for all")
    for cls in emphasis:
        if cls not in settings["classes"]:
            raise ConfigError(
                f"strategy {name!r}: emphasis of unknown class {cls!r}; "
                f"{nearest(cls, settings['classes'])}"
            )


def _check_learner(name: str, definition: dict[str, Any], settings: dict[str, Any]) -> None:
    from al.learners import describe_learner

    needs, learner = needs_of(definition), settings["learner"]
    found = describe_learner(learner)
    if "features" in needs and not found.has_features:
        raise Unsupported(
            f"strategy {name!r} needs features of regions, and learner {learner!r} has none"
        )
    section = found.of(settings.get(learner, {}))
    if "patches" in needs and "entropy" not in section.uncertainties():
        raise Unsupported(
            f"strategy {name!r} needs class probabilities that sum to 1, and learner {learner!r} "
            "gives one per nested class"
        )
    members = section.networks()
    if "ensemble" in needs and members < 2:
        raise Unsupported(
            f"strategy {name!r} needs an ensemble, and {learner}.members is {members}; "
            "allowed: at least 2"
        )
