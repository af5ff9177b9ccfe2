"""Names of selectors, what each reads and what each may do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

TASKS = frozenset({"2d", "3d", "roi"})
NEEDS = {
    "statistics": "counts and mean uncertainty of every image",
    "labels": "pseudo-labels (RoIs: probabilities)",
    "uncertainty": "the map of uncertainties (RoIs: their uncertainty)",
    "features": "features of candidate regions",
    "residuals": "mean of p - onehot(argmax p) over candidate regions",
    "patches": "the best patches of every image, by a forward pass of its own",
    "ensemble": "a learner with at least two members",
    "truth": "ground truth of the whole pool, which a simulation alone has",
}
OPTIONS = ("decomp", "features", "clasp", "spatial")


@dataclass(frozen=True)
class Selector:
    """A selector and what is known of it.

    Attributes:
        run: the function.
        needs: keys of ``NEEDS``.
        tasks: of ``2d``, ``3d``, ``roi``.
        by_class: a class is behind each of its choices (RoIs: the one that is predicted).
        options: sections of the configuration that it reads.
        note: what a reader of a figure must know, beside the curve.
        batch: a region selector that chooses among the candidates of all opened images at once.
        more_needs: further needs that depend on the options.
    """

    run: Callable[..., Any]
    needs: frozenset[str]
    tasks: frozenset[str] = TASKS
    by_class: bool = False
    options: frozenset[str] = frozenset()
    note: str = ""
    batch: bool = False
    more_needs: Callable[[dict[str, Any]], frozenset[str]] = lambda options: frozenset()


IMAGE_SELECTORS: dict[str, Selector] = {}
REGION_SELECTORS: dict[str, Selector] = {}
POOL_SELECTORS: dict[str, Selector] = {}


def _register(
    table: dict[str, Selector],
    name: str,
    needs: frozenset[str],
    tasks: frozenset[str],
    options: frozenset[str],
    **more: Any,
) -> Callable[[Any], Any]:
    for kind, found, known in (
        ("needs", needs, NEEDS),
        ("tasks", tasks, TASKS),
        ("options", options, OPTIONS),
    ):
        if unknown := sorted(set(found) - set(known)):
            raise ValueError(f"selector {name!r}: {kind} {unknown}; allowed: {sorted(known)}")

    def add(function: Any) -> Any:
        if name in table:
            raise ValueError(f"selector {name!r} is registered twice")
        table[name] = Selector(
            function, frozenset(needs), frozenset(tasks), options=options, **more
        )
        return function

    return add


def register_images(
    name: str,
    needs: frozenset[str] = frozenset({"statistics"}),
    tasks: frozenset[str] = TASKS,
    options: frozenset[str] = frozenset(),
) -> Callable[[Any], Any]:
    """Register ``f(state, options) -> (N,) scores`` as an image selector; the highest are taken.

    ``state`` is a ``strategies.state.PoolState``; without the need ``statistics`` its counts are 0.
    """
    return _register(IMAGE_SELECTORS, name, needs, tasks, options)


def register_regions(
    name: str,
    needs: frozenset[str] = frozenset({"labels"}),
    tasks: frozenset[str] = TASKS,
    by_class: bool = False,
    options: frozenset[str] = frozenset(),
) -> Callable[[Any], Any]:
    """Register ``f(task, rng) -> regions`` (RoIs: positions) as a region selector.

    It is called once for each opened image with a ``strategies.state.RegionTask``.
    """
    return _register(REGION_SELECTORS, name, needs, tasks, options, by_class=by_class)


def register_batch(
    name: str,
    needs: frozenset[str] = frozenset({"features"}),
    tasks: frozenset[str] = TASKS,
) -> Callable[[Any], Any]:
    """Register ``f(candidates, n, per_image, rng) -> indices`` as a region selector.

    It is called once a cycle with the most uncertain candidates of all opened images
    (``strategies.batch.Candidates``), and chooses ``n``, at most ``per_image`` of an image.
    """
    needs = frozenset(needs) | {"uncertainty", "features"}
    return _register(
        REGION_SELECTORS, name, needs, tasks, frozenset({"features"}), batch=True
    )  # fmt: skip


def register_pool(
    name: str,
    needs: frozenset[str],
    tasks: frozenset[str] = TASKS,
    options: frozenset[str] = frozenset(),
    note: str = "",
    by_class: bool = False,
    more_needs: Callable[[dict[str, Any]], frozenset[str]] = lambda options: frozenset(),
) -> Callable[[Any], Any]:
    """Register ``f(task) -> [(image, region or RoI position)]`` as a pool-wide selector.

    ``task`` is a ``strategies.pool_wide.PoolTask``.
    """
    return _register(
        POOL_SELECTORS, name, needs, tasks, options,
        note=note, by_class=by_class, more_needs=more_needs,
    )  # fmt: skip
