"""What a run says, in sentences: what each strategy reached, at which cost, and what is certain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import inf, prod
from pathlib import Path
from typing import Any

from al.io.errors import shortened
from al.io.tables import read_files, read_regions
from al.paths import DATA, INITIAL, REFERENCES
from al.strategies.budget import Budget

from .comparisons import (
    FEWEST_FOLDS,
    LEVEL,
    Comparison,
    compared,
    penalties,
    seeds_needed,
)
from .curves import FULL, Point, reference
from .gather import histories_of
from .measures import reach_name
from .reach import NO_STRATEGY, Reach, digits_of, mean_sd, plus_minus, reach_rows
from .style import cost_label
from .view import View

# Of differences that are named one by one.
MOST = 6
# Of cycles with an uncorrected test; one in forty is significant by chance, in either direction.
OFTEN = 0.5


def answers(view: View) -> list[str]:
    """The answer of one budget: full annotation, a sentence per strategy, what is significant.

    Strategies stand in the order of legends, never by how well they did.

    Raises:
        DataError: the cost ``view.x`` is not known of a cycle.
    """
    rows = reach_rows(view)
    mine = [row for row in rows if not row.is_reference]
    told = [_strategy(row, view, digits_of(rows)) for row in mine]
    return [_full(view), *(told or [NO_STRATEGY]), *_differences(view, len(mine))]


def _full(view: View) -> str:
    """What full annotation reaches, which shares are of."""
    scores = reference(view.points, view.budget, FULL)
    if not len(scores):
        return "There is no reference of full annotation: no share of it can be said."
    mean, sd = mean_sd(scores)
    reached = f"{view.score_name} {plus_minus(mean, sd)} ({_count(len(scores), view.unit)})"
    share = f"{view.share * 100:g} % of it is {view.share * mean:.3f}"
    return f"Full annotation has {reached}; {share}."


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _strategy(row: Reach, view: View, digits: int) -> str:
    final = plus_minus(row.final_mean, row.final_sd)
    seeds = _count(row.final_seeds, view.unit)
    spent = _amount(f"{row.final_cost:.{digits}f}", view)
    text = f"{row.strategy}: {view.score_name} {final} ({seeds}) after cycle {row.final_cycle}"
    text = f"{text}, at {spent}" if row.final_seeds else f"{row.strategy}: no final score"
    return f"{text}; {_reached(row, view, digits)}."


def _amount(text: str, view: View) -> str:
    """A cost with its unit: ``4.2 % annotated area``, ``120 annotated regions``."""
    label = cost_label(view.x, view.task)
    percent = label.endswith(" (%)")
    return f"{text} % {label.removesuffix(' (%)')}" if percent else f"{text} {label}"


def _reached(row: Reach, view: View, digits: int) -> str:
    share = f"{view.share * 100:g} % of full annotation"
    if row.reached is None:
        return f"whether {share} is reached is not known"
    low, high = row.median
    cost = "not reached"
    if high < inf:
        cost = f"reached at {_amount(row.median.text(digits), view)}"
    elif low < inf:
        cost = f"not reached before {_amount(f'{low:.{digits}f}', view)}"
    open_ = f", {row.unfinished} unfinished" if row.unfinished else ""
    middle = "median; " if row.reached else ""
    return f"{share} is {cost} ({middle}{row.reached} of {row.seeds} {view.unit}s{open_})"


def _differences(view: View, strategies: int) -> list[str]:
    """Whether strategies differ, or what it would take to say so."""
    if strategies < 2:
        return ["There are no two strategies to compare."] if strategies else []
    named = {"area": "in mean height", "final": "in the final score"}
    named[reach_name(view.share)] = f"in the cost to reach {view.share * 100:g} %"
    found = [c for c in compared(view) if c.measure in named]
    seeds = max((c.seeds for c in found), default=0)
    needed = FEWEST_FOLDS if view.folds else seeds_needed(strategies * (strategies - 1) // 2)
    certain = [c for c in found if c.p_holm < LEVEL]
    if seeds < needed and not certain:
        have = f"With {_count(seeds, view.unit)} no difference can be called significant"
        takes = f"to compare {strategies} strategies takes {needed} {view.unit}s or more"
        return [f"{have}: {takes}.", *_by_cycle(view)]
    if not certain:
        least = min((c.p_holm for c in found if c.p_holm == c.p_holm), default=1.0)
        return [f"No difference is significant: the smallest p after Holm is {least:.2g}."]
    told = [f"{_better(c)} {named[c.measure]} (p = {c.p_holm:.2g})" for c in certain]
    return [f"Significant, with p after Holm's correction: {_listed(told)}."]


def _better(c: Comparison) -> str:
    names = (c.first, c.second) if c.first_better >= c.second_better else (c.second, c.first)
    return "{} better than {}".format(*names)


def _by_cycle(view: View) -> list[str]:
    """What the field reports with fewer seeds, called what it is."""
    entries = penalties(view)
    if not entries:
        return []
    won = [e for e in entries if e.share >= OFTEN]
    told = [
        f"{e.first} better than {e.second} in {round(e.share * e.n)} of {e.n} cycles" for e in won
    ]
    text = _listed(told) if told else "no strategy better than another in half of the cycles"
    return [f"By paired t-tests cycle by cycle, without a correction: {text}."]


def _listed(items: Sequence[str]) -> str:
    return "; ".join(shortened(items, MOST))


def warnings(view: View, look: Mapping[str, Any], folder: Path) -> list[str]:
    """What is to be known before the numbers are believed, a sentence each.

    What is missing is said elsewhere (``gather.missing_of``).

    Args:
        view: of the whole run.
        look: as ``look.look_of``.
        folder: ``results/{run}``.
    """
    return [
        *_stopped(view, look),
        *shortfalls(view.points, look, folder),
        *_absent(view),
        *_unpredicted(view),
        *changed_data(folder),
        *(f"{name}: {note}." for name, note in view.notes.items()),
    ]


def _stopped(view: View, look: Mapping[str, Any]) -> Iterator[str]:
    """References that made fewer steps than they were given; without early stopping none can."""
    planned = look["reference_steps"] if look["remark"] else {}
    for name in REFERENCES:
        made = [p.steps for p in view.points if p.strategy == name and p.steps]
        if short := [steps for steps in made if steps < planned.get(name, 0)]:
            count = f"{len(short)} of {len(made)} trainings"
            fewest = f"the earliest after {min(short)} of {planned[name]} steps"
            yield f"Reference {name}: {count} stopped early, {fewest}."


def shortfalls(points: Sequence[Point], look: Mapping[str, Any], folder: Path) -> list[str]:
    """Where less was annotated than asked for, so far: fewer regions, smaller ones, or no label.

    Args:
        points: of the whole run.
        look, folder: as of ``warnings``.
    """
    budgets = look["budgets"]
    short = [line for budget in budgets for line in _unfilled(points, look, budget)]
    short += [line for budget in budgets for line in _unrevealed(points, look, budget)]
    return short + [line for budget in budgets for line in _clipped(look, folder, budget)]


def _unfilled(points: Sequence[Point], look: Mapping[str, Any], budget: str) -> Iterator[str]:
    """Strategies that annotated fewer regions in a cycle than the budget asks for."""
    told = []
    for name in look["strategies"]:
        asked = _asked(look, budget, name)
        spent: dict[int, dict[int, int]] = {}
        for p in points:
            if (p.budget, p.strategy) == (budget, name) and "regions" in p.costs:
                count = p.costs["regions"] - p.costs.get("validation_regions", 0)
                spent.setdefault(p.seed, {})[p.cycle] = int(count)
        new = [n - own[c - 1] for own in spent.values() for c, n in own.items() if c - 1 in own]
        if short := [n for n in new if n < asked]:
            told.append(f"{name} {len(short)} of {len(new)} (fewest {min(short)} of {asked})")
    if told:
        unit = "fold" if look.get("folds") else "seed"
        head = f"{budget}: cycles in which fewer regions were placed than asked for"
        yield f"{head}, counted over all {unit}s: {'; '.join(told)}."


def _unrevealed(points: Sequence[Point], look: Mapping[str, Any], budget: str) -> Iterator[str]:
    """Strategies whose regions of a cycle held no ground truth, so that nothing was learnt."""
    told = []
    for name in look["strategies"]:
        own = [p for p in points if (p.budget, p.strategy) == (budget, name) and p.annotated]
        held = {(p.seed, p.cycle): p.annotated for p in own}
        same = [now == held.get((seed, cycle - 1)) for (seed, cycle), now in held.items()]
        if any(same):
            told.append(f"{name} {sum(same)} of {len(same)}")
    if told:
        yield f"{budget}: cycles that revealed no label: {'; '.join(told)}."


def _asked(look: Mapping[str, Any], budget: str, name: str) -> int:
    """Regions of the training pool that a strategy is to choose in a cycle."""
    size = Budget.parse(budget, look["region"], look["patch"])
    if "pool" in look["definitions"][name]:
        return size.total(look["task"])
    return size.images * size.regions


def _clipped(look: Mapping[str, Any], folder: Path, budget: str) -> Iterator[str]:
    """Regions that are smaller than asked for, as their image is; with the first seed."""
    small = total = 0
    for name, file in histories_of(folder, look, budget).items():
        pool_wide = "pool" in look["definitions"][name] and look["patch"]
        asked = prod(look["patch"] if pool_wide else look["region"])
        # The first cycle is shared, and need not be of this strategy's regions.
        own = [r for r in read_regions(file) if r.kind != "roi" and r.cycle > 1]
        small, total = small + sum(prod(r.region.size) < asked for r in own), total + len(own)
    if small:
        text = f"{small} of {total} regions are smaller than asked for, as their image is"
        yield f"{budget}: {text} (with seed {look['seeds'][0]})."


def _absent(view: View) -> Iterator[str]:
    """Classes that no model has a score of, which are in no mean; of volumes scores are of groups.

    Models have scores of the classes that the truth of the test split has, and of no others.
    """
    scored = {name for p in view.points for name in p.per_class}
    if scored and view.task != "3d" and (lost := [n for n in view.classes if n not in scored]):
        yield f"The test split lacks {', '.join(lost)}: no score, and in no mean."


def _unpredicted(view: View) -> Iterator[str]:
    """Classes that models predicted nowhere: whoever reads predictions is blind to them."""
    lost: dict[tuple[str, str, int, int], list[str]] = {}
    for row in view.confidence:
        strategy = INITIAL if row.cycle == 1 else row.strategy
        names = lost.setdefault((row.budget, strategy, row.seed, row.cycle), [])
        if not row.predicted and row.cls not in names:  # the first model is every strategy's
            names.append(row.cls)
    counts = Counter(name for names in lost.values() for name in names)
    if told := [f"{name} {count}" for name, count in counts.most_common()]:
        yield (
            f"Classes predicted nowhere in the training pool, by how many of {len(lost)} models: "
            f"{', '.join(shortened(told, MOST))}. Strategies that read predictions are blind to "
            "them."
        )


def changed_data(folder: Path) -> Iterator[str]:
    """Files of the dataset that changed in the middle of a run, and were taken on request.

    Args:
        folder: ``results/{run}``.
    """
    files = read_files(folder / DATA) if (folder / DATA).exists() else []
    for day in sorted({file.since for file in files} - {""}):
        names = [Path(file.path).name for file in files if file.since == day]
        yield (
            f"{_count(len(names), 'file')} of the dataset ({', '.join(shortened(names, 3))}) "
            f"changed; taken as they are from {day} on, earlier results are of others."
        )


def answers_of(view: View) -> list[tuple[str, list[str]]]:
    """Answers of a whole run, under the name of each budget where there are several."""
    if not view.budgets:
        return [("", [_full(view) if view.points else NO_STRATEGY])]
    many = len(view.budgets) > 1
    return [(f"Budget {b} per cycle" if many else "", answers(view.at(b))) for b in view.budgets]


def answer_markdown(view: View, look: Mapping[str, Any], folder: Path) -> str:
    """Answers of all budgets and the warnings, as Markdown for a terminal."""
    lines = [f"### {look['run']}: {look['dataset']}", ""]
    for title, told in answers_of(view):
        lines += [f"{title}:", ""] if title else []
        lines += [*(f"- {text}" for text in told), ""]
    if told := warnings(view, look, folder):
        lines += ["To be known:", "", *(f"- {text}" for text in told), ""]
    return "\n".join(lines)
