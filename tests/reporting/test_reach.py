"""The reach table: a seed missing, a strategy that never arrives, one seed, no reference."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from glue.errors import DataError
from reporting.curves import collect_curves, read_curves
from reporting.markdown import marks
from reporting.reach import Reach, reach_markdown, reach_rows

from .conftest import WriteMetrics


@pytest.fixture
def curves(write_metrics: WriteMetrics, tmp_path: Path) -> Path:
    """Full 0.8 (mean of two seeds), so 95 % is 0.76; decomp reaches it in two seeds of three."""
    files = [write_metrics("full", s, 0, score, 100.0) for s, score in ((0, 0.78), (1, 0.82))]
    files += [write_metrics("initial", s, 1, 0.2, 1.0) for s in (0, 1, 2)]
    scores = {
        ("decomp", 0): (0.66, 0.86),  # 0.76 halfway between 2 and 3: 2.5
        ("decomp", 1): (0.76, 0.80),  # at 2
        ("decomp", 2): (0.50, 0.60),  # not reached
        ("random", 0): (0.30, 0.40),
        ("random", 1): (0.30, 0.50),  # and seed 2 of random is missing
    }
    for (name, seed), values in scores.items():
        for cycle, score in enumerate(values, 2):
            files.append(write_metrics(name, seed, cycle, score, float(cycle)))
    out = tmp_path / "curves.csv"
    collect_curves(files, out)
    return out


def _text(path: Path, share: float = 0.95, notes: dict[str, str] | None = None) -> str:
    points = read_curves(path)
    return reach_markdown(reach_rows(points, "area_percent", share), points, share, notes)


def _rows(path: Path, share: float = 0.95) -> dict[str, Reach]:
    return {r.strategy: r for r in reach_rows(read_curves(path), "area_percent", share)}


def test_worked_example(curves: Path) -> None:
    rows = _rows(curves)
    assert list(rows) == ["decomp", "random", "full"]
    decomp, random, full = rows.values()
    assert decomp.threshold == pytest.approx(0.76)
    assert (decomp.reached, decomp.seeds, decomp.cycles) == (2, 3, "3")
    assert decomp.cost_mean == pytest.approx(2.25)
    assert decomp.cost_sd == pytest.approx(0.3535534)
    assert decomp.final_mean == pytest.approx((0.86 + 0.80 + 0.60) / 3)
    # heights over 1..3: 0.2, 0.66, 0.86 -> 0.595; 0.2, 0.76, 0.80 -> 0.63; 0.2, 0.5, 0.6 -> 0.45
    assert decomp.area_mean == pytest.approx((0.595 + 0.63 + 0.45) / 3)
    assert (random.reached, random.seeds) == (0, 2)
    assert math.isnan(random.cost_mean) and math.isnan(random.cost_sd)
    assert random.final_mean == pytest.approx(0.45)
    assert random.final_sd == pytest.approx(0.0707107, abs=1e-6)
    assert (full.seeds, full.final_mean) == (2, pytest.approx(0.8))


def test_a_lower_share_is_reached_by_more(curves: Path) -> None:
    rows = _rows(curves, 0.5)  # 0.4
    assert (rows["decomp"].reached, rows["random"].reached) == (3, 2)
    # random: at the last cycle exactly; 0.3 at 2, 0.5 at 3: 2.5
    assert rows["random"].cost_mean == pytest.approx((3 + 2.5) / 2)


def test_the_text_says_the_same(curves: Path) -> None:
    text = _text(curves)
    lines = {line.split("|")[1].strip(): line for line in text.splitlines() if "|" in line}
    cells = [c.strip() for c in lines["decomp"].strip("|").split("|")]
    assert cells[1:3] == ["2.2 ± 0.4", "2 of 3"]
    cells = [c.strip() for c in lines["random"].strip("|").split("|")]
    assert cells[1:4] == ["not reached", "0 of 2", "0.450 ± 0.071"]
    assert "95 % of the mIoU of full annotation is 0.760 (mean 0.800)" in text
    assert "annotated area (%)" in lines["strategy"]


def test_notes_are_marked_and_told_under_the_table(curves: Path) -> None:
    noted = _text(curves, notes={"spatial": "ours", "full": ""})
    assert noted == _text(curves), "no strategy of the table has a note"
    lines = _text(curves, notes={"random": "reads ground truth"}).splitlines()
    assert any(line.startswith("| random (1) | not reached ") for line in lines)
    assert any(line.startswith("| decomp     | 2.2 ") for line in lines)
    foot = lines.index("(1) reads ground truth: random.")
    assert foot > max(i for i, line in enumerate(lines) if line.startswith("|"))


def test_equal_notes_share_a_mark() -> None:
    notes = {"c": "reads ground truth", "a": "ours", "b": "reads ground truth", "x": "absent"}
    marked, lines = marks(["a", "b", "c", "d"], notes)
    assert marked == {"a": "a (1)", "b": "b (2)", "c": "c (2)", "d": "d"}
    assert lines == ["(1) ours: a.", "(2) reads ground truth: b, c."]


def test_one_seed_has_no_deviation(write_metrics: WriteMetrics, tmp_path: Path) -> None:
    files = [write_metrics("full", 0, 0, 0.5, 100.0)]
    files += [write_metrics("random", 0, c, 0.25 * c, 10.0 * c) for c in (1, 2)]
    collect_curves(files, tmp_path / "curves.csv")
    row = _rows(tmp_path / "curves.csv", 0.75)["random"]
    assert (row.reached, row.seeds, row.cost_mean) == (1, 1, pytest.approx(15))
    assert math.isnan(row.cost_sd) and math.isnan(row.final_sd)
    line = next(s for s in _text(tmp_path / "curves.csv", 0.75).splitlines() if "random" in s)
    assert "| 15.0 " in line and "±" not in line and "nan" not in line


def test_without_full_reference(write_metrics: WriteMetrics, tmp_path: Path) -> None:
    collect_curves(
        [write_metrics("random", 0, c, 0.3, float(c)) for c in (1, 2)], tmp_path / "curves.csv"
    )
    text = _text(tmp_path / "curves.csv")
    assert "no full reference" in text and "nan" not in text


def test_refusals(write_metrics: WriteMetrics, curves: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="share is 95"):
        reach_rows(read_curves(curves), "area_percent", 95)
    only = tmp_path / "only.csv"
    collect_curves([write_metrics("full", 9, 0, 0.5, 100.0)], only)
    with pytest.raises(DataError, match=r"no learning curves, only \['full'\]"):
        _text(only)
