"""The sentences of the answer agree with the numbers, and warn of what a run's files say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from al.cli.results import show_results
from al.io.tables import RegionRow, write_regions
from al.paths import Place
from al.report.answer import answer_markdown, answers, warnings
from al.report.curves import Point
from al.report.reach import NO_STRATEGY, reach_rows
from al.report.view import Confidence
from decomp_core import Region

from .curve_sample import Scores, make_view, points, view

# Full is 0.8, so 95 % is 0.76; cycles 1, 2, 3 cost 2, 4, 6.
SCORES: Scores = {
    ("random", 0): (0.2, 0.30, 0.40),
    ("random", 1): (0.2, 0.30, 0.50),
    ("decomp", 0): (0.2, 0.66, 0.86),
    ("decomp", 1): (0.2, 0.76, 0.80),
    ("decomp", 2): (0.2, 0.50, 0.60),
}
LOOK: Mapping[str, Any] = {
    **{"run": "run", "dataset": "toy", "task": "2d", "remark": "", "region": [10, 10]},
    **{"budgets": ["2x3"], "strategies": ["random", "decomp"], "patch": None},
    **{"definitions": {"random": {}, "decomp": {}}, "seeds": [0], "cycles": 2},
}
NOWHERE = Path("nowhere")  # a run's folder without any history


def _seeds(names: Mapping[str, float], seeds: int) -> Scores:
    """Scores about a level, of so many seeds."""
    rng = np.random.default_rng(0)
    return {
        (name, seed): [0.2, *(level + 0.01 * rng.normal(size=4))]
        for name, level in names.items()
        for seed in range(seeds)
    }


def test_a_sentence_for_each_strategy_with_its_numbers() -> None:
    full, random, decomp, said = answers(make_view(SCORES))
    assert "0.800 ± 0.028" in full and "0.760" in full and "2 seeds" in full
    assert random.startswith("random:") and "0.450 ± 0.071" in random and "not reached" in random
    for part in ("0.753 ± 0.136", "3 seeds", "6.0 % annotated area", "5.0 % ann", "2 of 3 seeds"):
        assert part in decomp
    assert "6 seeds" in said, "two seeds say nothing of one pair"
    order = answers(make_view(SCORES, known=["decomp", "random"]))
    assert [line.split(":")[0] for line in order[1:3]] == ["decomp", "random"]


def test_what_is_open_or_not_known_is_said() -> None:
    open_ = make_view({("a", 0): (0.2, 0.3), ("a", 1): (0.2, 0.3, 0.4)}, cycles=4)
    assert "not reached before 5.0 %" in answers(open_)[1] and "2 unfinished" in answers(open_)[1]
    none = answers(make_view(SCORES, full=()))
    assert "no reference" in none[0] and all("not known" in line for line in none[1:3])
    at_once = answers(make_view({("a", 0): (0.77, 0.78)}))
    assert "≤ 2.0 %" in at_once[1] and "no two strategies" in at_once[-1]
    assert answers(make_view({("initial", 0): (0.3,)}))[1:] == [NO_STRATEGY]
    assert answers(make_view({("initial", 0): (0.3,)}, cycles=1))[1].startswith("initial:")


def test_differences_and_the_seeds_they_would_take() -> None:
    (said,) = answers(make_view(_seeds({"random": 0.4, "decomp": 0.6}, 6)))[3:]
    assert said.count("decomp better than random") == 2 and "p = 0.031" in said
    (said,) = answers(make_view(_seeds({"random": 0.6, "decomp": 0.6}, 6)))[3:]
    assert "better" not in said and "No difference" in said
    folds = answers(make_view(_seeds({"random": 0.4, "decomp": 0.6}, 5), folds=5))
    assert "decomp better than random" in folds[-1]
    named = {"random": 0.4, "decomp": 0.6, "third": 0.6}
    needed, by_cycle = answers(make_view(_seeds(named, 5)))[4:]
    assert "5 seeds" in needed and "7 seeds" in needed
    assert "decomp better than random in 4 of 4 cycles" in by_cycle
    assert "decomp better than third" not in by_cycle
    assert len(answers(make_view(_seeds(named, 3)))) == 5, "three have no t-test either"


def _points(name: str, seed: int, regions: list[int], **more: Any) -> list[Point]:
    """With so many regions after each cycle, and scores of all classes."""
    scored = points({(name, seed): [0.5] * len(regions)}, per_class={"road": 1.0, "pole": 1.0})
    return [
        replace(p, costs={"regions": float(n), **more})
        for p, n in zip(scored, regions, strict=True)
    ]


def test_cycles_that_the_budget_did_not_fill() -> None:
    whole = _points("random", 0, [6, 12, 18]) + _points("decomp", 0, [6, 12, 18])
    assert warnings(view(whole), LOOK, NOWHERE) == []
    short = [*whole, *_points("decomp", 1, [6, 10, 16])]
    (said,) = warnings(view(short), LOOK, NOWHERE)
    assert "decomp 1 of 4" in said and "4 of 6" in said and "random" not in said
    pool_wide = {"definitions": {"random": {}, "decomp": {"pool": "clasp"}}, "patch": [1, 5, 5]}
    (said,) = warnings(view(whole), {**LOOK, **pool_wide}, NOWHERE)
    assert "6 of 24" in said, "as many pixels in smaller regions"
    steered = [replace(p, costs=p.costs | {"validation_regions": 3.0 * p.cycle}) for p in whole]
    assert "3 of 6" in warnings(view(steered), LOOK, NOWHERE)[0], "validation regions do not count"


def test_cycles_that_revealed_nothing() -> None:
    shares = ({"road": 1.0}, {"road": 1.0}, {"road": 1.5})
    dry = _points("decomp", 0, [6, 12, 18])
    dry = [replace(p, annotated=share) for p, share in zip(dry, shares, strict=True)]
    (said,) = warnings(view([*dry, *_points("random", 0, [6, 12, 18])]), LOOK, NOWHERE)
    assert said == "2x3: cycles that revealed no label: decomp 1 of 3."


def test_regions_that_were_clipped(tmp_path: Path) -> None:
    folder = tmp_path / Place.of("2x3", "decomp", 0, 2).path
    folder.mkdir(parents=True)
    sizes = [(8, 10), (10, 10), (10, 4)]
    rows = [
        RegionRow.of(2, "a", "window", Region((0, 0), size), order)
        for order, size in enumerate(sizes)
    ]
    write_regions(folder / "history.csv", rows)
    (said,) = warnings(view([]), LOOK, tmp_path)
    assert "2 of 3 regions" in said


def test_references_that_stopped_early_and_classes_without_test_images() -> None:
    full = make_view({}, full=(0.8, 0.8, 0.8)).points
    held = [replace(p, steps=n) for p, n in zip(full, (900, 400, 900), strict=True)]
    look = {**LOOK, "reference_steps": {"full": 900, "full_same_steps": 300}}
    stopped, absent = warnings(view(held), {**look, "remark": "early stopping"}, NOWHERE)
    assert "1 of 3" in stopped and "400 of 900" in stopped
    assert "pole" in absent and "road" not in absent
    assert warnings(view(held), look, NOWHERE) == [absent]
    assert warnings(view([replace(p, task="3d") for p in held]), look, NOWHERE) == []


def test_classes_that_were_predicted_nowhere() -> None:
    """The first model, which all strategies share, counts once."""
    held = [
        Confidence("2x3", name, 0, cycle, cls, predicted, 0)
        for name in ("decomp", "random")
        for cycle, found in ((1, (9, 0)), (2, (9, int(name == "decomp"))))
        for cls, predicted in zip(("road", "pole"), found, strict=True)
    ]
    (said,) = warnings(replace(view([]), confidence=held), LOOK, NOWHERE)
    assert "of 3 models: pole 2." in said
    assert warnings(replace(view([]), confidence=held[4:5]), LOOK, NOWHERE) == []


def test_the_terminal_shows_the_answer_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = answer_markdown(make_view(SCORES), LOOK, NOWHERE)
    report = tmp_path / "run" / "report"
    report.mkdir(parents=True)
    for name, held in (("answer", text), ("reach", "# R\n\n| a |\n\nnote\n"), ("usage", "| u |\n")):
        (report / f"{name}.md").write_text(held, encoding="utf-8")
    (report / "curves.svg").touch()
    assert show_results("run", tmp_path) == 0
    out = capsys.readouterr().out
    places = [out.index(part) for part in ("decomp:", "| a |", "| u |", "curves.png")]
    assert places == sorted(places) and "note" not in out
    assert show_results("runn", tmp_path) == 1 and "'run'" in capsys.readouterr().err


def test_answers_of_any_run_hold_no_nan() -> None:
    rng = np.random.default_rng(4)
    for seeds in (1, 2, 5, 7):
        scores = {
            (n, s): rng.random(rng.integers(1, 5)).tolist()
            for n in ("random", "decomp", "x")
            for s in range(seeds)
        }
        made = make_view(scores, cycles=4, full=[0.7] if seeds % 2 else ())
        told = answers(made)
        assert not any("nan" in line or "inf" in line for line in told)
        for row, line in zip(reach_rows(made), told[1:4], strict=False):
            known = row.final_mean == row.final_mean
            assert line.startswith(row.strategy) and (f"{row.final_mean:.3f}" in line) == known
