"""What the curves of a strategy lack, in few words."""

from __future__ import annotations

from collections.abc import Sequence

from .curves import Curve


def shortfalls(
    curves: Sequence[Curve], seeds: Sequence[int] = (), cycles: int = 0, unit: str = "seed"
) -> list[str]:
    """Say which seeds and cycles of one strategy and budget are missing.

    Args:
        curves: one per seed, at least one.
        seeds: what was planned; empty: those there are.
        cycles: planned number of cycles, the first one included; 0: as far as any seed is.
        unit: what a seed is called: ``fold`` where seed k holds out fold k.

    Returns:
        phrases such as ``2 of 3 seeds``, ``cycle 3 missing for seed 1`` and ``to cycle 2 of 4``;
        empty where nothing is missing.
    """
    own = {c.seed: {int(cycle) for cycle in c.cycle} for c in curves}
    known = own.keys() | set(seeds)
    total = cycles or max(max(held) for held in own.values())
    first = 1 if cycles else min(min(held) for held in own.values())
    parts = [f"{len(own)} of {len(known)} {unit}s"] if len(own) < len(known) else []
    lasts = {seed: max(held) for seed, held in own.items()}
    holes = {
        seed: tuple(c for c in range(first, lasts[seed]) if c not in held)
        for seed, held in sorted(own.items())
    }
    return parts + _holes(holes, unit) + _ends(lasts, total, unit)


def _holes(holes: dict[int, tuple[int, ...]], unit: str) -> list[str]:
    """Cycles missing before a seed's last one."""
    found: dict[tuple[int, ...], list[int]] = {}
    for seed, missing in holes.items():
        if missing:
            found.setdefault(missing, []).append(seed)
    if len(found) > 2 or any(len(missing) > 3 for missing in found):
        count = sum(len(missing) for missing in holes.values())
        return [f"{count} cycles missing"]
    said = []
    for missing, seeds in found.items():
        text = f"cycle{'s' * (len(missing) > 1)} {_listed(missing)} missing"
        if len(seeds) < len(holes):
            text += f" for {unit}{'s' * (len(seeds) > 1)} {_listed(seeds)}"
        said.append(text)
    return said


def _ends(lasts: dict[int, int], total: int, unit: str) -> list[str]:
    """How far the seeds are that are not done."""
    behind = {seed: last for seed, last in lasts.items() if last < total}
    if not behind:
        return []
    low, high = min(lasts.values()), max(lasts.values())
    if low == high:
        return [f"to cycle {low} of {total}"]
    if len(behind) == 1:
        return [f"{unit} {next(iter(behind))} to cycle {low} of {total}"]
    return [f"{unit}s end at cycle {low} to {high} of {total}"]


def _listed(numbers: Sequence[int]) -> str:
    *others, last = map(str, numbers)
    return f"{', '.join(others)} and {last}" if others else last
