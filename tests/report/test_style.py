"""Looks of strategies are fixed, and stay apart in colour, in print and for the colour-blind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from al.config.settings import read_yaml
from al.paths import ROOT
from al.report.style import SOLID, strategy_styles

from .curve_sample import points, view

KNOWN = list(read_yaml(ROOT / "config/strategies.yaml"))
CONFIGURED = read_yaml(ROOT / "config/config.yaml")["report"]["colours"]


def test_configured_colours_do_not_depend_on_what_is_drawn() -> None:
    alone = strategy_styles(["decomp"], CONFIGURED)["decomp"]
    assert alone.colour == CONFIGURED["decomp"]
    styles = strategy_styles([*(f"s{i:02d}" for i in range(24)), "decomp"], CONFIGURED)
    assert styles["decomp"] == alone
    assert len({(s.colour, s.dash) for s in styles.values()}) == 25
    references = {CONFIGURED["full"], CONFIGURED["full_same_steps"]}
    assert references.isdisjoint(s.colour for s in strategy_styles(KNOWN, CONFIGURED).values())


@pytest.mark.parametrize("count", [7, 9])
def test_nine_strategies_differ_in_colour_whatever_is_known(count: int) -> None:
    """Points have no line style; what is known besides does not take colours from the run."""
    rng = np.random.default_rng(count)
    for _ in range(20):
        names = rng.choice(KNOWN, count, replace=False).tolist()
        styles = strategy_styles(names, CONFIGURED, KNOWN)
        own = [styles[n] for n in names]
        assert len({s.colour.lower() for s in own}) == len({s.shape for s in own}) == count
        assert {s.dash for s in own} == {SOLID}
        assert all(styles[n].colour == CONFIGURED[n] for n in names if n in CONFIGURED)
        # The others do not look like them, nor like each other, nor change them.
        for other in ("dash", "shape"):
            assert len({(s.colour, getattr(s, other)) for s in styles.values()}) == len(KNOWN)
        alone = strategy_styles(names, CONFIGURED)
        assert alone == {n: styles[n] for n in styles if n in names}


def test_looks_of_a_run() -> None:
    """All its budgets, costs and figures have one look per strategy; so have runs compared."""
    names = ["coreset", "decomp_tau_03", "badge", "bald", "cluster", "random", "decomp"]
    held = view([], budget="", x="regions", strategies=names, colours=CONFIGURED, known=KNOWN)
    for changed in (held.at("2x3"), replace(held, x="images", strategies=names[::-1])):
        assert changed.styles == held.styles
    unknown = dict(replace(held, points=points({("mine", 0): (0.5,)})).styles)
    assert unknown.pop("mine").colour and unknown == held.styles
    other = replace(held, strategies=["kcenter_mine", "badge", "decomp", "uncertainty"])
    union = [*names, *other.strategies]
    seen = [replace(v, compared=union).styles for v in (held, other)]
    assert all(seen[0][n] == seen[1][n] for n in union)
