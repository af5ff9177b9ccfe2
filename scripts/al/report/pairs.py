"""Strategies of a run that differ in one thing only, and so can be set against each other.

Definitions are those of ``config/strategies.yaml`` with their options filled in, by name: selectors
``images`` and ``regions``, or ``pool``, and the options that these read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from al.io.errors import DataError

Definition = Mapping[str, Any]
IMAGES, REGIONS, POOL = "images", "regions", "pool"
PARTS = (IMAGES, REGIONS)


@dataclass(frozen=True)
class Group:
    """Strategies alike in everything but one selector.

    Attributes:
        part: what differs, ``images`` or ``regions``.
        common: the selector of the other part, which they share.
        members: selector of the part that differs -> strategy.
    """

    part: str
    common: str
    members: Mapping[str, str]


def ablation_pairs(definitions: Mapping[str, Definition]) -> list[tuple[str, str, str]]:
    """Pairs of strategies that are alike in everything but one selector.

    Options count where both have them: those that only one has belong to the selector that differs.

    Returns:
        what differs (``images`` or ``regions``) and the two names, in the order of ``definitions``;
        those of ``images`` first.
    """
    names = list(definitions)
    return [
        (part, a, b)
        for part in PARTS
        for i, a in enumerate(names)
        for b in names[i + 1 :]
        if _alike_but(part, definitions[a], definitions[b])
    ]


def ablation_groups(definitions: Mapping[str, Definition], part: str) -> list[Group]:
    """Gather the pairs that differ in ``part`` into groups of two or more.

    Every two members of a group are such a pair. Of strategies with the same selectors, which
    differ in an option, the first of ``definitions`` stands for them where it can.
    """
    other = REGIONS if part == IMAGES else IMAGES
    groups: list[dict[str, str]] = []
    for name, definition in definitions.items():
        if part not in definition:
            continue
        for members in groups:
            if all(_alike_but(part, definition, definitions[m]) for m in members.values()):
                members[definition[part]] = name
                break
        else:
            groups.append({definition[part]: name})
    return [
        Group(part, definitions[next(iter(m.values()))][other], m) for m in groups if len(m) > 1
    ]


def _alike_but(part: str, a: Definition, b: Definition) -> bool:
    if POOL in a or POOL in b or a[part] == b[part]:
        return False
    return all(a[key] == b[key] for key in a.keys() & b.keys() - {part})


def threshold_series(definitions: Mapping[str, Definition]) -> list[dict[float, str]]:
    """Strategies that are alike but for ``tau``: name by tau, ascending, two or more each."""
    return _series(definitions, "tau")


def spread_pairs(definitions: Mapping[str, Definition]) -> list[tuple[str, str]]:
    """Dense and sparse strategy that are alike but for ``spread``, the lower one first.

    Of more than two, the densest is paired with each of the others.
    """
    series = [list(names.values()) for names in _series(definitions, "spread")]
    return [(names[0], other) for names in series for other in names[1:]]


def _series(definitions: Mapping[str, Definition], option: str) -> list[dict[float, str]]:
    """Strategies that have an option and are alike but for it: names by its value, ascending."""
    found: dict[str, dict[float, str]] = {}
    for name, definition in definitions.items():
        if option in definition:
            rest = {k: v for k, v in definition.items() if k != option}
            key = json.dumps(rest, sort_keys=True, default=str)
            found.setdefault(key, {}).setdefault(float(definition[option]), name)
    return [dict(sorted(names.items())) for names in found.values() if len(names) > 1]


def budget_pairs(budgets: Iterable[str]) -> list[tuple[str, str]]:
    """Dense and sparse budgets with equally many regions per cycle, fewer images first.

    Of more than two, the one with the fewest images is paired with each of the others.

    Args:
        budgets: such as ``50x10`` and ``100x5``, images times regions per image.

    Raises:
        DataError: a budget of another form.
    """
    totals: dict[int, list[tuple[int, str]]] = {}
    for budget in dict.fromkeys(budgets):
        images, regions = read_budget(budget)
        totals.setdefault(images * regions, []).append((images, budget))
    ordered: Sequence[list[str]] = [[b for _, b in sorted(same)] for same in totals.values()]
    return [(same[0], other) for same in ordered for other in same[1:]]


def read_budget(text: str) -> tuple[int, int]:
    """Images per cycle and regions per image of a budget such as ``5x15``.

    Raises:
        DataError: a budget of another form.
    """
    numbers = text.split("x")
    if len(numbers) != 2 or not all(n.isdecimal() for n in numbers):
        raise DataError(f"budget {text!r} is not of the form IMAGESxREGIONS, such as 5x15")
    return int(numbers[0]), int(numbers[1])
