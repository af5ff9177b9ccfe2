"""Names of selectors, what each reads and what each may do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
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
    "images": "the images themselves",
    "truth": "ground truth of the whole pool, which a simulation alone has",
}
# Sections of config.yaml that hold the defaults of options.
SECTIONS = ("decomp", "features", "clasp", "spatial")

Options = Mapping[str, Any] | frozenset[str]


@dataclass(frozen=True)
class Selector:
    """A selector and what is known of it.

    Attributes:
        run: the function.
        needs: keys of ``NEEDS``.
        tasks: of ``2d``, ``3d``, ``roi``.
        by_class: a class is behind each of its choices (RoIs: the one that is predicted).
        options: that it reads, with their defaults; ``None``: the default of config.yaml.
        note: what a reader of a figure must know, beside the curve.
        batch: a region selector that chooses among the candidates of all opened images at once.
        more_needs: further needs that depend on the options.
    """

    run: Callable[..., Any]
    needs: frozenset[str]
    tasks: frozenset[str] = TASKS
    by_class: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
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
    options: Options,
    **more: Any,
) -> Callable[[Any], Any]:
    for kind, found, known in (("needs", needs, NEEDS), ("tasks", tasks, TASKS)):
        if unknown := sorted(set(found) - set(known)):
            raise ValueError(f"selector {name!r}: {kind} {unknown}; allowed: {sorted(known)}")

    def add(function: Any) -> Any:
        if name in table:
            raise ValueError(f"selector {name!r} is registered twice")
        defaults = _with_defaults(options)
        if "features" in needs:
            defaults = {"candidates": None, **defaults}
        table[name] = Selector(
            function, frozenset(needs), frozenset(tasks), options=defaults, **more
        )
        return function

    return add


def _with_defaults(options: Options) -> dict[str, Any]:
    return dict(options) if isinstance(options, Mapping) else dict.fromkeys(options)


def register_images(
    name: str,
    needs: frozenset[str] = frozenset({"statistics"}),
    tasks: frozenset[str] = TASKS,
    options: Options = frozenset(),
) -> Callable[[Any], Any]:
    """Register ``f(state, options) -> (N,) scores`` as an image selector; the highest are taken.

    ``state`` is a ``strategies.pool_state.PoolState``; its counts are 0 without ``statistics``.
    ``options`` that an entry of strategies.yaml may set: a mapping with their defaults, or the
    names of options whose defaults config.yaml has.
    """
    return _register(IMAGE_SELECTORS, name, needs, tasks, options)


def register_regions(
    name: str,
    needs: frozenset[str] = frozenset({"labels"}),
    tasks: frozenset[str] = TASKS,
    by_class: bool = False,
    options: Options = frozenset(),
) -> Callable[[Any], Any]:
    """Register ``f(asked, rng) -> regions`` (RoIs: positions) as a region selector.

    It is called once for each opened image with a ``strategies.query.ImageQuery``.
    """
    return _register(REGION_SELECTORS, name, needs, tasks, options, by_class=by_class)


def register_batch(
    name: str,
    needs: frozenset[str] = frozenset({"features"}),
    tasks: frozenset[str] = TASKS,
    options: Options = frozenset(),
) -> Callable[[Any], Any]:
    """Register ``f(candidates, n, per_image, rng) -> indices`` as a region selector.

    It is called once a cycle with the most uncertain candidates of all opened images
    (``strategies.batch.Candidates``), and chooses ``n``, at most ``per_image`` of an image.
    """
    needs = frozenset(needs) | {"uncertainty", "features"}
    defaults = {"per_image": None, **_with_defaults(options)}
    return _register(REGION_SELECTORS, name, needs, tasks, defaults, batch=True)


def register_pool(
    name: str,
    needs: frozenset[str],
    tasks: frozenset[str] = TASKS,
    options: Options = frozenset(),
    note: str = "",
    by_class: bool = False,
    more_needs: Callable[[dict[str, Any]], frozenset[str]] = lambda options: frozenset(),
) -> Callable[[Any], Any]:
    """Register ``f(query, n) -> [(image, region or RoI position)]`` as a pool-wide selector.

    It is called once a cycle with a ``strategies.query.Query``, and chooses ``n``.
    """
    return _register(
        POOL_SELECTORS, name, needs, tasks, options,
        note=note, by_class=by_class, more_needs=more_needs,
    )  # fmt: skip
