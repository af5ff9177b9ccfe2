"""Looks of strategies stay apart, in colour, in print and for the colour-blind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from al.config.settings import read_yaml
from al.report.style import (
    PALETTE,
    cost_label,
    cost_order,
    new_figure,
    save,
    sequential_colours,
    strategy_styles,
)
from al.report.view import View

COLOURS = {"random": "#0072B2", "decomp": "#D55E00", "full": "#000000"}
CONFIG = Path(__file__).resolve().parents[2] / "config"


def test_configured_colours_do_not_depend_on_what_is_drawn() -> None:
    alone = strategy_styles(["decomp"], COLOURS)["decomp"]
    among = strategy_styles(["badge", "random", "decomp", "cluster"], COLOURS)
    assert among["decomp"] == alone
    assert list(among) == ["random", "decomp", "badge", "cluster"]
    assert len({s.colour for s in among.values()}) == len({s.marker for s in among.values()}) == 4
    assert {s.line for s in among.values()} == {"-"}


def test_many_strategies_differ_in_colour_then_in_line() -> None:
    others = [f"s{i:02d}" for i in range(24)]
    styles = strategy_styles([*others, "decomp"], COLOURS)
    assert styles["decomp"] == strategy_styles(["decomp"], COLOURS)["decomp"]
    assert len({(s.colour, s.line) for s in styles.values()}) == 25
    # The blue of `random`, which is not drawn, comes last; the vermilion of `decomp` is taken.
    left = [c for c in PALETTE if c not in COLOURS.values()] + ["#0072B2"]
    assert [styles[n].colour for n in others] == (left * 4)[:24]
    drawn = strategy_styles([*others, "decomp", "random"], COLOURS)
    assert {drawn[n].colour for n in others}.isdisjoint(COLOURS.values())
    first, again = others[0], others[len(left)]
    assert styles[first].line == "-" != styles[again].line
    assert styles[first].marker != styles[again].marker


def test_configured_strategies_of_one_colour_differ_in_line() -> None:
    colours = {"a": "#0072B2", "b": "#0072b2", "c": "#D55E00"}
    styles = strategy_styles(colours, colours)
    assert len({s.line for s in (styles["a"], styles["b"])}) == 2
    assert styles["c"].line == styles["a"].line == "-"
    # All of the palette configured: the others take it again with broken lines.
    whole = {f"c{i}": c for i, c in enumerate(PALETTE)}
    assert strategy_styles(["new", *whole], whole)["new"].line != "-"


def test_nine_strategies_differ_in_colour_whatever_is_known() -> None:
    """Points have no line style; what is known besides does not take colours from the run."""
    known = list(read_yaml(CONFIG / "strategies.yaml"))
    colours = read_yaml(CONFIG / "config.yaml")["report"]["colours"]
    rng = np.random.default_rng(0)
    for count in (7, 9):
        for _ in range(50):
            names = rng.choice(known, count, replace=False).tolist()
            styles = strategy_styles(names, colours, known)
            own = [styles[n] for n in names]
            assert len({s.colour.lower() for s in own}) == count
            assert len({s.marker for s in own}) == count
            assert {s.line for s in own} == {"-"}
            assert all(styles[n].colour == colours[n] for n in names if n in colours)
            # The others do not look like them, nor like each other.
            assert len({(s.colour.lower(), s.line) for s in styles.values()}) == len(known)
            assert len({(s.colour.lower(), s.marker) for s in styles.values()}) == len(known)
            # Nor do they change them.
            assert strategy_styles(names, colours) == {n: styles[n] for n in styles if n in names}
    plain = [n for n in known if n not in colours][:9]
    references = {n: colours[n] for n in ("full", "full_same_steps")}
    for given in (colours, references, {}):
        assert len({s.colour for s in strategy_styles(plain, given, known).values()}) >= 9
        found = strategy_styles(plain, given, known)
        assert len({found[n].colour for n in plain}) == 9


def test_looks_of_a_run() -> None:
    """All its budgets, costs and figures have one look per strategy; so have runs compared."""
    known = list(read_yaml(CONFIG / "strategies.yaml"))
    colours = read_yaml(CONFIG / "config.yaml")["report"]["colours"]
    names = ["coreset", "decomp_tau_03", "badge", "bald", "cluster", "random", "decomp"]
    assert set(names) <= set(known)
    more = {"definitions": {}, "classes": [], "colours": colours, "known": known}
    view = View(points=[], budget="", x="regions", strategies=names, **more)
    assert len({view.styles[n].colour for n in names}) == 7
    for changed in (
        view.at("2x3"),
        replace(view, x="images"),
        replace(view, strategies=names[::-1]),
    ):
        assert changed.styles == view.styles
    unknown = view.styles_with(["mine"])
    assert unknown.pop("mine").colour and unknown == view.styles
    assert view.styles.keys() == set(known)
    other = replace(view, strategies=["kcenter_mine", "badge", "decomp", "uncertainty"])
    union = [*names, *other.strategies]
    seen = [replace(v, compared=union).styles for v in (view, other)]
    assert all(seen[0][n] == seen[1][n] for n in union)
    assert seen[0]["decomp"].colour == colours["decomp"]


@pytest.mark.parametrize("name", ["$x^$", "a_b", "50%", "naïve", "$", "\\$a$"])
def test_a_name_is_no_formula(name: str, tmp_path: Path) -> None:
    figure = new_figure(2, 1)
    axes = figure.add_subplot()
    axes.plot([0, 1], label=name)
    axes.set_title(name)
    axes.set_xticks([0, 1], [name, "b"])
    axes.legend()
    save(figure, tmp_path / "a.png", tmp_path / "a.pdf", dpi=50)
    assert axes.title.get_text() == name and not axes.title.get_parse_math()
    # As wide as the same letters one by one, none of which is eaten.
    renderer = FigureCanvasAgg(figure).get_renderer()
    wide = axes.title.get_window_extent(renderer).width
    letters = [figure.text(0, 0, c, size=axes.title.get_size()) for c in name]
    alone = sum(t.get_window_extent(renderer).width for t in letters)
    assert wide == pytest.approx(alone, rel=0.3)


def test_every_known_strategy_has_a_look_of_its_own() -> None:
    known = list(read_yaml(CONFIG / "strategies.yaml"))
    colours = read_yaml(CONFIG / "config.yaml")["report"]["colours"]
    styles = strategy_styles(known, colours)
    assert len(known) >= 29 and list(styles) == known, "the coloured ones are the first anyway"
    looks = [(s.colour.lower(), s.line) for s in styles.values()]
    assert len(set(looks)) == len(known)
    assert len({(s.colour.lower(), s.marker) for s in styles.values()}) == len(known)
    # The paper's seven differ in colour and marker; no strategy looks like a reference.
    assert len({looks[i] for i in range(7)}) == len({styles[n].marker for n in known[:7]}) == 7
    assert {line for _, line in looks[:7]} == {"-"}
    references = {colours["full"], colours["full_same_steps"]}
    assert references.isdisjoint(s.colour for s in styles.values())
    # Names given twice change nothing, nor does a strategy that comes later.
    assert strategy_styles([*known, "mine", *known], colours) == styles | {
        "mine": strategy_styles([*known, "mine"], colours)["mine"]
    }


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


def test_distances_of_known_colours() -> None:
    """White and black are 100 apart; red and green lose their hue without green cones."""
    assert _distances(["#000000", "#ffffff"], "normal")[0, 1] == pytest.approx(100, abs=0.1)
    red, green = "#cc4444", "#44883a"
    seen = [_distances([red, green], s)[0, 1] for s in ("normal", "deuteranopia")]
    assert seen[1] < 0.5 * seen[0]


@pytest.mark.parametrize("sight", list(SIGHT))
def test_colours_stay_apart_for_the_colour_blind(sight: str) -> None:
    """The paper's seven strategies as configured are well apart, the whole palette is discernible.

    A distance of 2.3 can just be seen side by side; lines that are apart need more.
    """
    colours = read_yaml(CONFIG / "config.yaml")["report"]["colours"]
    known = list(read_yaml(CONFIG / "strategies.yaml"))
    styles = strategy_styles(known, colours)
    seven = [styles[name].colour for name in known[:7]]
    assert _distances(seven, sight).min() > 20
    assert _distances(list(PALETTE[:6]), sight).min() > 20
    assert _distances(list(PALETTE), sight).min() > 15


@pytest.mark.parametrize("sight", list(SIGHT))
@pytest.mark.parametrize("n", [2, 3, 4])
def test_sequential_colours_stay_in_order(sight: str, n: int) -> None:
    """Neighbours are apart, the farther ones more, and none is too light for white paper."""
    colours = sequential_colours(n)
    distance = _distances([*colours, "#ffffff"], sight)
    assert distance.min() > 20
    for i in range(n - 2):
        assert (np.diff(distance[i, i + 1 : n]) > 0).all()
    assert len(sequential_colours(1)) == 1


def test_axis_labels() -> None:
    assert cost_label("area_percent", "3d") == "annotated volume (%)"
    assert cost_label("rois_percent", "roi") == "annotated RoIs (%)"
    assert cost_label("regions", "roi") == "annotated RoIs"
    assert cost_label("regions", "2d") == "annotated regions"
    assert cost_label("validation_regions", "roi") == "validation RoIs annotated"
    assert cost_label("steps", "2d") == "training steps"
    assert cost_label("void_pixels", "2d") == "void pixels"
    assert cost_order(["void", "images", "area_percent"]) == ["area_percent", "images", "void"]
