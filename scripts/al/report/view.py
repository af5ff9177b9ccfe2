"""What the figures and tables of a report are made from: the numbers of one run, read once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, wraps
from typing import Any, TypeVar

from al.paths import REFERENCES

from .catalogue import in_order
from .curves import FULL, Curve, Point, budgets, curves_of, reference
from .style import Style, named_colours, strategy_styles

Made = TypeVar("Made")


@dataclass(frozen=True)
class Confidence:
    """What a model says of one class over the whole training pool: one row of ``confidence.csv``.

    Attributes:
        budget, strategy, seed, cycle: of the model.
        cls: name of the class.
        predicted: pixels (voxels, RoIs) not annotated yet that the model takes for the class.
        confident: those of them with a confidence above the threshold of Eq. 1 of the paper.
    """

    budget: str
    strategy: str
    seed: int
    cycle: int
    cls: str
    predicted: int
    confident: int

    @property
    def rate(self) -> float:
        """Confidence of the class, Eq. 1: 0 to 1, NaN where it is never predicted."""
        return self.confident / self.predicted if self.predicted else float("nan")


@dataclass(frozen=True)
class View:
    """What a figure or table is made from.

    Attributes:
        points: rows of ``curves.csv`` of one run, all budgets and references.
        budget: the budget to show; empty for what shows the whole run.
        x: the cost on the horizontal axis, such as ``area_percent``.
        strategies: of the run, in the order of all figures.
        definitions: what each strategy does, as in ``config/strategies.yaml``, options filled in.
        classes: names of all classes, in the order of their indices.
        colours: strategy or reference -> colour, from the configuration.
        known: every strategy there is, in the order of ``config/strategies.yaml``.
        share: of full annotation that is asked for, in (0, 1].
        notes: strategy -> what a legend says of it, such as ``reads ground truth``.
        title: of figures, one line or two.
        background: index of the class that is no foreground, or ``None``.
        confidence: what the models said of each class; empty where nothing was predicted.
        truth: class -> pixels (voxels, RoIs) of the training pool in ground truth.
        given_colours: RGB of each class in 0..255, from the dataset; empty: ours.
        folds: of a cross-validation, in which seed k holds out fold k; 0: there is none.
        seeds, cycles: what was planned, to tell what is missing.
        compared: strategies of all runs that this one stands beside, so that each has one look in
            the figures of all of them; empty: the run stands alone.
    """

    points: Sequence[Point]
    budget: str
    x: str
    strategies: Sequence[str]
    definitions: Mapping[str, Mapping[str, Any]]
    classes: Sequence[str]
    colours: Mapping[str, str] = field(default_factory=dict)
    known: Sequence[str] = ()
    share: float = 0.95
    notes: Mapping[str, str] = field(default_factory=dict)
    title: str = ""
    background: int | None = None
    confidence: Sequence[Confidence] = ()
    truth: Mapping[str, int] = field(default_factory=dict)
    given_colours: Sequence[Sequence[int]] = ()
    folds: int = 0
    seeds: Sequence[int] = ()
    cycles: int = 0
    compared: Sequence[str] = ()

    def at(self, budget: str) -> View:
        """The same of one budget, which its title names; the same object each time."""
        if budget not in self._made:
            first, *rest = self.title.split("\n")
            named = [f"{first}, {budget} per cycle" if first and budget else first, *rest]
            self._made[budget] = replace(self, budget=budget, title="\n".join(named))
        made: View = self._made[budget]
        return made

    @cached_property
    def _made(self) -> dict[Any, Any]:
        """What was made of the view so far."""
        return {}

    @property
    def fold_ratio(self) -> float:
        """Cases tested on over cases trained on, as intervals over folds take it; else 0."""
        return 1 / (self.folds - 1) if self.folds else 0.0

    @property
    def unit(self) -> str:
        """What the means are over: ``seed`` or ``fold``."""
        return "fold" if self.folds else "seed"

    @cached_property
    def budgets(self) -> list[str]:
        """Budgets that have results, sorted by size."""
        return budgets(self.points)

    @property
    def task(self) -> str:
        """``2d``, ``3d`` or ``roi``."""
        return self.points[0].task

    @property
    def score_name(self) -> str:
        """Name of the main score, such as ``mIoU``."""
        return self.points[0].score_name

    @cached_property
    def styles(self) -> dict[str, Style]:
        """Look of every strategy, the same in each figure: the run's have the best ones."""
        own = self.order({*self.compared, *self.strategies})
        found = {p.strategy for p in self.points if p.strategy not in REFERENCES}
        unknown = sorted(found - {*self.known})
        return strategy_styles(own, self.colours, [*self.known, *unknown])

    @cached_property
    def class_colours(self) -> dict[str, str]:
        """Colour of each class by its name, as ``#rrggbb``."""
        return named_colours(self.classes, self.given_colours, self.background)

    def order(self, names: Iterable[str]) -> list[str]:
        """Strategies as all legends list them: as in ``known``, then others by name."""
        return in_order(names, self.known or self.strategies)

    def curves(self, points: Sequence[Point] | None = None) -> dict[str, list[Curve]]:
        """Curves of the budget by strategy, in ``order``, one per seed."""
        found = curves_of(self.points if points is None else points, self.budget, self.x)
        names = self.order({c.strategy for c in found})
        return {name: [c for c in found if c.strategy == name] for name in names}

    @cached_property
    def full(self) -> float:
        """Mean score of full annotation; NaN where there is none."""
        scores = reference(self.points, self.budget, FULL)
        return float(scores.mean()) if len(scores) else float("nan")


def once(make: Callable[[View], Made]) -> Callable[[View], Made]:
    """Keep what a function makes of a view: figures, tables and the answer ask for the same."""

    @wraps(make)
    def kept(view: View) -> Made:
        if make not in view._made:
            view._made[make] = make(view)
        made: Made = view._made[make]
        return made

    return kept
