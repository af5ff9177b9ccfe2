"""Strategies that differ in one thing only: ablations, dense against sparse, thresholds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .curves import Curve
from .pairs import (
    PARTS,
    Group,
    ablation_groups,
    budget_pairs,
    read_budget,
    spread_pairs,
    threshold_series,
)
from .panels import (
    MOST_BANDS,
    SMALL,
    TEXT,
    Line,
    check,
    draw_lines,
    draw_references,
    entries_of,
    explain,
    finish,
    frame,
    label_costs,
    notes_on,
    panels_of,
    styles_of,
    tidy,
)
from .style import LINES, MARKERS, Style, sequential_colours
from .view import View

# Its choices are drawn solid, and those set against it broken.
OURS = "decomp"
# Curves of lines by what a note calls them.
_Drawn = dict[str, Sequence[Curve]]


@dataclass(frozen=True)
class _Panel:
    """What one panel shows: lines against the cost of ``view``, below a title."""

    view: View
    title: str
    lines: Sequence[Line]


def draw_ablations(view: View) -> Any:
    """Draw strategies that differ in image selection alone, then in region selection alone.

    Figs. 5 and 11 of the paper. The first panel has all that differ in image selection: a colour
    for the region selection they share, solid for the image selection of DECOMP and broken for
    another. Then a panel for each image selection: a colour for each region selection, solid for
    that of DECOMP. A region selection has the colour of the strategy it is named after.

    Returns:
        a figure with a legend below each panel; ``None`` where no two strategies can be compared.

    Raises:
        DataError: no curve of this budget, several runs, or a cost that the points do not have.
    """
    check(view)
    curves = view.curves()
    known = {n: view.definitions[n] for n in curves if n in view.definitions}
    images, regions = (ablation_groups(known, part) for part in PARTS)
    shown = [_image_panel(view, images, curves)] if images else []
    shown += [_region_panel(view, group, curves) for group in regions]
    if not shown:
        return None
    figure, panels, references = _draw(view, shown, sharey=True)
    _legends_below(figure, panels, references)
    names = dict.fromkeys(n for g in (*images, *regions) for n in g.members.values())
    entries = references | _explained(view, shown)
    finish(figure, view.title, entries, notes_on(view, {n: curves[n] for n in names}))
    return figure


def _legends_below(figure: Any, panels: Sequence[Any], left_out: Mapping[str, Any]) -> None:
    """Give each panel a legend below its axis; the figure grows by the highest of each row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.transforms import ScaledTranslation

    renderer = FigureCanvasAgg(figure).get_renderer()
    # Below the numbers and the name of the axis.
    below = ScaledTranslation(0, -0.36, figure.dpi_scale_trans)
    rows: dict[int, float] = {}
    for axes in panels:
        own = {k: v for k, v in entries_of([axes]).items() if k not in left_out}
        legend = axes.legend(
            own.values(),
            own.keys(),
            loc="upper center",
            bbox_to_anchor=(0.5, 0),
            bbox_transform=axes.transAxes + below,
            borderaxespad=0,
            frameon=False,
            fontsize=SMALL,
            handlelength=2.6,
        )
        row = axes.get_subplotspec().rowspan.start
        height = legend.get_window_extent(renderer).height / figure.dpi
        rows[row] = max(rows.get(row, 0.0), height)
    figure.set_figheight(figure.get_figheight() + sum(rows.values()))


def _image_panel(
    view: View, groups: Sequence[Group], curves: Mapping[str, Sequence[Curve]]
) -> _Panel:
    selectors = dict.fromkeys(s for group in groups for s in group.members)
    ordered = sorted(selectors, key=lambda s: s != OURS)
    dashes = {s: LINES[i % len(LINES)] for i, s in enumerate(ordered)}
    lines, taken = [], set()
    for group in groups:
        names = list(group.members.values())
        style = _style_of(view, group.common, names, taken)
        taken.add(style.colour)
        for selector in sorted(group.members, key=ordered.index):
            name = group.members[selector]
            lines.append(Line(name, curves[name], style._replace(line=dashes[selector])))
    said = ", ".join(f"{_kind(dashes[s])}: {s}" for s in ordered)
    return _Panel(view, f"Image selection\n{said}", lines)


def _region_panel(view: View, group: Group, curves: Mapping[str, Sequence[Curve]]) -> _Panel:
    lines, taken = [], set()
    for selector in sorted(group.members, key=lambda s: s != OURS):
        name = group.members[selector]
        style = _style_of(view, selector, [name], taken)
        taken.add(style.colour)
        solid = selector == OURS or OURS not in group.members
        lines.append(Line(name, curves[name], style._replace(line=LINES[not solid])))
    said = f", solid: {OURS}" if OURS in group.members else ""
    return _Panel(view, f"Region selection{said}\nimages of all by {group.common}", lines)


def _style_of(view: View, selector: str, names: Sequence[str], taken: set[str]) -> Style:
    """Look of the strategy that a selector is named after, or of the first that has it."""
    styles = styles_of(view, names)
    named = styles.get(selector)
    return named if named and named.colour not in taken else styles[view.order(names)[0]]


def _kind(dashes: Any) -> str:
    return ("solid", "dashed", "dotted", "dash-dotted")[LINES.index(dashes)]


def draw_dense_sparse(view: View) -> Any:
    """Draw dense against sparse annotation with equally many regions per cycle.

    Fig. 6 of the paper. A panel for each budget in which a strategy with ``spread`` stands against
    the same one without, then one for every two budgets with as many regions in all. Solid lines
    are dense (fewer images, more regions in each), dashed ones sparse.

    Args:
        view: of one budget, or of the whole run with an empty ``budget``.

    Returns:
        a figure; ``None`` where there is nothing to compare.

    Raises:
        DataError: a budget that has no curves or another form, several runs, or a cost that the
            points do not have.
    """
    check(view)
    found = [*_spread_panels(view), *_budget_panels(view)]
    if not found:
        return None
    shown = [panel for panel, _ in found]
    figure, panels, references = _draw(view, shown)
    named = {k: v for k, v in entries_of(panels).items() if k not in references}
    drawn = {name: curves for _, own in found for name, curves in own.items()}
    entries = named | _kinds() | references | _explained(view, shown)
    finish(figure, view.title, entries, notes_on(view, drawn))
    return figure


def _spread_panels(view: View) -> Iterator[tuple[_Panel, _Drawn]]:
    """A panel for each budget with strategies that differ in ``spread``, and what is drawn."""
    for budget in [view.budget] if view.budget else view.budgets:
        seen = view.at(budget)
        curves = seen.curves()
        pairs = [p for p in spread_pairs(view.definitions) if set(p) <= curves.keys()]
        if pairs:
            # Strategies of one's own may have several factors: the first stands in the title.
            sparse = _spread_out(budget, view.definitions[pairs[0][1]]["spread"])
            title = f"{budget} (dense), {sparse} (sparse)\none budget, spread out"
            panel = _contrast(seen, title, [(a, curves[a], curves[b]) for a, b in pairs])
            yield panel, {f"{n}, {budget}": curves[n] for pair in pairs for n in pair}


def _budget_panels(view: View) -> Iterator[tuple[_Panel, _Drawn]]:
    """A panel for each two budgets with as many regions in all, and what is drawn.

    Strategies that spread a budget themselves are sparse under both, and left out.
    """
    spread_out = {sparse for _, sparse in spread_pairs(view.definitions)}
    for dense, sparse in budget_pairs(view.budgets):
        if view.budget not in ("", dense, sparse):
            continue
        first, second = (view.at(b).curves() for b in (dense, sparse))
        names = [n for n in first if n in second and n not in spread_out]
        if names:
            title = f"{dense} (dense), {sparse} (sparse)\ntwo budgets"
            panel = _contrast(view.at(dense), title, [(n, first[n], second[n]) for n in names])
            yield (
                panel,
                {f"{n}, {b}": c[n] for n in names for b, c in ((dense, first), (sparse, second))},
            )


def _contrast(
    view: View,
    title: str,
    found: Sequence[tuple[str, Sequence[Curve], Sequence[Curve]]],
) -> _Panel:
    """Solid and dashed lines in the colour of the dense strategy, which the legend names."""
    styles = styles_of(view, [name for name, _, _ in found])
    lines: list[Line] = []
    for name in dict.fromkeys(name for name, _, _ in found):
        pairs = [(a, b) for n, a, b in found if n == name]
        lines.append(Line(name, pairs[0][0], styles[name]._replace(line=LINES[0])))
        lines += [Line("", b, styles[name]._replace(line=LINES[1])) for _, b in pairs]
    return _Panel(view, title, lines)


def _spread_out(budget: str, factor: float) -> str:
    """The budget with ``factor`` times the images and as many regions in all."""
    images, regions = read_budget(budget)
    more = min(max(1, round(images * factor)), images * regions)
    each, left = divmod(images * regions, more)
    return f"{more}x{each}" + (f"-{each + 1}" if left else "")


def _kinds() -> dict[str, Any]:
    from matplotlib.lines import Line2D

    texts = ("dense: fewer images, more regions in each", "sparse: more images, fewer in each")
    return {
        text: Line2D([], [], color="#808080", linewidth=1.3, linestyle=dashes)
        for text, dashes in zip(texts, LINES, strict=False)
    }


def draw_thresholds(view: View) -> Any:
    """Draw strategies that differ in the confidence threshold tau alone, Fig. 7 of the paper.

    Returns:
        a figure with a panel for each such series, colours from dark (low tau) to light;
        ``None`` where there is none.

    Raises:
        DataError: as ``draw_ablations``.
    """
    check(view)
    curves = view.curves()
    known = {n: view.definitions[n] for n in curves if n in view.definitions}
    series = threshold_series(known)
    if not series:
        return None
    shown = []
    for names in series:
        colours = sequential_colours(len(names))
        lines = [
            Line(
                f"tau = {tau:g} ({name})",
                curves[name],
                Style(colours[i], MARKERS[i % len(MARKERS)], LINES[0]),
            )
            for i, (tau, name) in enumerate(names.items())
        ]
        selectors = known[next(iter(names.values()))]
        said = ", ".join(f"{part}: {selectors[part]}" for part in PARTS if part in selectors)
        shown.append(_Panel(view, said if len(series) > 1 else "", lines))
    figure, panels, _ = _draw(view, shown)
    entries = entries_of(panels) | _explained(view, shown)
    drawn = {name: curves[name] for names in series for name in names.values()}
    finish(figure, view.title, entries, notes_on(view, drawn))
    return figure


def _few(shown: Sequence[_Panel]) -> bool:
    return max(len(panel.lines) for panel in shown) <= MOST_BANDS


def _explained(view: View, shown: Sequence[_Panel]) -> dict[str, Any]:
    return explain([line for panel in shown for line in panel.lines], view, _few(shown))


def _draw(
    view: View, shown: Sequence[_Panel], **shared: bool
) -> tuple[Any, list[Any], dict[str, Any]]:
    """Figure, panels, and legend entries of the references, which all panels share."""
    figure, panels = panels_of(len(shown), **shared)
    rows = panels[0].get_subplotspec().get_gridspec().nrows
    figure.set_figheight(figure.get_figheight() + 0.3 * rows)  # for titles of two lines
    references: dict[str, Any] = {}
    for axes, panel in zip(panels, shown, strict=True):
        draw_lines(axes, panel.lines, view, _few(shown), small=len(shown) > 2)
        before = entries_of([axes])
        draw_references(axes, panel.view, panel.view.points)
        references |= {k: v for k, v in entries_of([axes]).items() if k not in before}
        axes.set_title(panel.title, fontsize=SMALL, pad=4)
        tidy(axes)
        label_costs([axes], panel.view)
    frame(panels, 0.15)
    panels[0].set_ylabel(shown[0].view.score_name, fontsize=TEXT)
    return figure, panels, references
