"""Strategies of a run that differ in one thing only, and so can be set against each other.

Definitions are those of ``config/strategies.yaml`` with their options filled in, by name: selectors
``images`` and ``regions``, or ``pool``, and the options that these read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Definitions = Mapping[str, Mapping[str, Any]]
Held = Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Member:
    """A strategy under one budget, and what a legend calls it."""

    strategy: str
    budget: str
    name: str


@dataclass(frozen=True)
class Group:
    """Curves that stand against each other in one panel, below a title.

    ``of_budgets``: whether they differ in their budgets and not in their strategies.
    """

    title: str
    members: Sequence[Member]
    of_budgets: bool = False


def groups_of(kind: str, definitions: Definitions, held: Held) -> list[Group]:
    """Groups of a kind: strategies that differ in one thing under a budget, or budgets.

    Args:
        kind: one of ``KINDS``.
        definitions: of strategies, with their options.
        held: budget -> strategies, in the order to show.
    """
    if kind == "budgets":
        return budgets(held)
    groups = []
    for budget, own in held.items():
        known = {name: definitions[name] for name in own if name in definitions}
        for title, names in KINDS[kind](known):
            named = f"{budget} per cycle: {title}" if len(held) > 1 else title
            groups.append(Group(named, [Member(name, budget, name) for name in names]))
    return groups


def budgets(held: Held) -> list[Group]:
    """All budgets of each strategy, where there are several (Fig. 6)."""
    names = dict.fromkeys(name for found in held.values() for name in found)
    own = {n: [Member(n, b, f"{b} per cycle") for b in held if n in held[b]] for n in names}
    return [Group(name, members, True) for name, members in own.items()] if len(held) > 1 else []


def ablations(definitions: Definitions) -> list[tuple[str, list[str]]]:
    """Alike in everything but image selection, then but region selection (Figs. 5 and 11).

    Options count where both have them: those that only one has belong to the selector that differs.
    Of strategies with the same selectors, the first of ``definitions`` stands for them where it
    can.

    Returns:
        the selector that they share, and two names or more.
    """
    found = []
    for part, other in (("images", "regions"), ("regions", "images")):
        groups: list[list[str]] = []
        for name, own in definitions.items():
            fitting = [g for g in groups if all(_alike_but(part, own, definitions[m]) for m in g)]
            if fitting:
                fitting[0].append(name)
            elif part in own:
                groups.append([name])
        shared = ((f"{other} by {definitions[names[0]][other]}", names) for names in groups)
        found += [group for group in shared if len(group[1]) > 1]
    return found


def _alike_but(part: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    if "pool" in a or "pool" in b or a[part] == b[part]:
        return False
    return all(a[key] == b[key] for key in a.keys() & b.keys() - {part})


def thresholds(definitions: Definitions) -> list[tuple[str, list[str]]]:
    """Alike but for the confidence threshold tau, ascending (Fig. 7)."""
    return _series(definitions, "tau", "tau = {}")


def dense_sparse(definitions: Definitions) -> list[tuple[str, list[str]]]:
    """Alike but for ``spread``: as many regions in more images (Fig. 6)."""
    return _series(definitions, "spread", "images times {}")


def _series(definitions: Definitions, option: str, title: str) -> list[tuple[str, list[str]]]:
    """Strategies that have an option and are alike but for it, by its value, ascending."""
    found: dict[str, dict[float, str]] = {}
    for name, definition in definitions.items():
        if option in definition:
            rest = {k: v for k, v in definition.items() if k != option}
            key = json.dumps(rest, sort_keys=True, default=str)
            found.setdefault(key, {}).setdefault(float(definition[option]), name)
    series = [dict(sorted(names.items())) for names in found.values() if len(names) > 1]
    return [(title.format(", ".join(f"{v:g}" for v in s)), list(s.values())) for s in series]


KINDS = {"ablations": ablations, "thresholds": thresholds, "dense_sparse": dense_sparse}
