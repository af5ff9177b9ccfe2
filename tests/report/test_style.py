"""Looks of strategies are fixed, and stay apart in colour, in print and for the colour-blind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from al.config.settings import read_yaml
from al.paths import ROOT
from al.report.style import PALETTE, cost_label, cost_order, sequential_colours, strategy_styles
from al.report.view import View

COLOURS = {"random": "#0072B2", "decomp": "#D55E00", "full": "#000000"}
KNOWN = list(read_yaml(ROOT / "config/strategies.yaml"))
CONFIGURED = read_yaml(ROOT / "config/config.yaml")["report"]["colours"]


def test_configured_colours_do_not_depend_on_what_is_drawn() -> None:
    alone = strategy_styles(["decomp"], COLOURS)["decomp"]
    among = strategy_styles(["badge", "random", "decomp", "cluster"], COLOURS)
    assert among["decomp"] == alone and alone.colour == "#D55E00"
    assert len({s.colour for s in among.values()}) == len({s.marker for s in among.values()}) == 4
    many = [*(f"s{i:02d}" for i in range(24)), "decomp"]
    styles = strategy_styles(many, COLOURS)
    assert styles["decomp"] == alone
    assert len({(s.colour, s.line) for s in styles.values()}) == 25


@pytest.mark.parametrize("count", [7, 9])
def test_nine_strategies_differ_in_colour_whatever_is_known(count: int) -> None:
    """Points have no line style; what is known besides does not take colours from the run."""
    rng = np.random.default_rng(count)
    for _ in range(20):
        names = rng.choice(KNOWN, count, replace=False).tolist()
        styles = strategy_styles(names, CONFIGURED, KNOWN)
        own = [styles[n] for n in names]
        assert len({s.colour.lower() for s in own}) == len({s.marker for s in own}) == count
        assert {s.line for s in own} == {"-"}
        assert all(styles[n].colour == CONFIGURED[n] for n in names if n in CONFIGURED)
        # The others do not look like them, nor like each other, nor change them.
        for other in ("line", "marker"):
            assert len({(s.colour, getattr(s, other)) for s in styles.values()}) == len(KNOWN)
        alone = strategy_styles(names, CONFIGURED)
        assert alone == {n: styles[n] for n in styles if n in names}


def test_looks_of_a_run() -> None:
    """All its budgets, costs and figures have one look per strategy; so have runs compared."""
    names = ["coreset", "decomp_tau_03", "badge", "bald", "cluster", "random", "decomp"]
    more = {"definitions": {}, "classes": [], "colours": CONFIGURED, "known": KNOWN}
    view = View(points=[], budget="", x="regions", strategies=names, **more)
    for changed in (view.at("2x3"), replace(view, x="images", strategies=names[::-1])):
        assert changed.styles == view.styles
    unknown = view.styles_with(["mine"])
    assert unknown.pop("mine").colour and unknown == view.styles
    other = replace(view, strategies=["kcenter_mine", "badge", "decomp", "uncertainty"])
    union = [*names, *other.strategies]
    seen = [replace(v, compared=union).styles for v in (view, other)]
    assert all(seen[0][n] == seen[1][n] for n in union)


def test_no_strategy_looks_like_a_reference() -> None:
    styles = strategy_styles(KNOWN, CONFIGURED)
    references = {CONFIGURED["full"], CONFIGURED["full_same_steps"]}
    assert references.isdisjoint(s.colour for s in styles.values())


# Machado et al. 2009, severity 1.0
SIGHT = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
}


def _distances(colours: list[str], sight: str) -> np.ndarray:
    """CIELAB distances (D65) of colours as they are seen; the diagonal is infinite."""
    rgb = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colours]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ SIGHT[sight].T, 0, 1)
    to_xyz = np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    )
    xyz = seen @ to_xyz.T / to_xyz.sum(1)
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = f.T
    lab = np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)
    distance = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    return distance + np.diag([np.inf] * len(colours))


@pytest.mark.parametrize("sight", list(SIGHT))
def test_colours_stay_apart_for_the_colour_blind(sight: str) -> None:
    """A distance of 2.3 can just be seen side by side; lines that are apart need more."""
    styles = strategy_styles(KNOWN, CONFIGURED)
    assert _distances([styles[name].colour for name in KNOWN[:7]], sight).min() > 20
    assert _distances(list(PALETTE), sight).min() > 15
    for n in (2, 3, 4):
        distance = _distances([*sequential_colours(n), "#ffffff"], sight)
        assert distance.min() > 20, "none too light for white paper"
        for i in range(n - 2):
            assert (np.diff(distance[i, i + 1 : n]) > 0).all(), "in order"


def test_axis_labels() -> None:
    assert cost_label("area_percent", "3d") == "annotated volume (%)"
    assert cost_label("regions", "roi") == "annotated RoIs"
    assert cost_label("void_pixels", "2d") == "void pixels"
    assert cost_order(["void", "images", "area_percent"]) == ["area_percent", "images", "void"]
