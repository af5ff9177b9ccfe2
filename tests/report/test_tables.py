"""Tables: all digits in the CSV, escaped and rounded in the LaTeX."""

from __future__ import annotations

import csv
import math
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from al.io.errors import DataError
from al.report.tables import escaped, write_table

COLUMNS = {"name": "strategy", "cost": "area_%", "seeds": "seeds", "done": "done"}
ROWS = [
    {"name": "decomp_tau_03", "cost": 0.1 + 0.2, "seeds": 3, "done": True, "unused": 1},
    {"name": "R&D $5 #1", "cost": math.nan, "seeds": np.int64(2), "done": False},
    {"name": None, "cost": math.inf, "seeds": None, "done": "50 %"},
]


def _write(tmp_path: Path, rows: list, columns: dict[str, str] = COLUMNS) -> tuple[list, str]:
    write_table(rows, tmp_path / "deep" / "t.v2", columns, "Costs & 95 % of full_x", "tab:t")
    with (tmp_path / "deep" / "t.v2.csv").open(newline="") as file:
        return list(csv.reader(file)), (tmp_path / "deep" / "t.v2.tex").read_text()


def test_csv_has_all_digits(tmp_path: Path) -> None:
    read, _ = _write(tmp_path, ROWS)
    assert read == [
        ["name", "cost", "seeds", "done"],
        ["decomp_tau_03", "0.30000000000000004", "3", "True"],
        ["R&D $5 #1", "", "2", "False"],
        ["", "inf", "", "50 %"],
    ]
    assert {p.name for p in (tmp_path / "deep").iterdir()} == {"t.v2.csv", "t.v2.tex"}


def test_latex_is_escaped_and_rounded(tmp_path: Path) -> None:
    _, tex = _write(tmp_path, ROWS)
    assert r"strategy & area\_\% & seeds & done \\" in tex
    assert r"decomp\_tau\_03 & $0.300$ & $3$ & yes \\" in tex
    assert r"R\&D \$5 \#1 & -- & $2$ & no \\" in tex
    assert r"-- & $\infty$ & -- & 50 \% \\" in tex
    assert r"\caption{Costs \& 95 \% of full\_x}" in tex and r"\label{tab:t}" in tex
    assert r"\begin{tabular}{lrrl}" in tex
    for rule in ("toprule", "midrule", "bottomrule"):
        assert tex.count(f"\\{rule}") == 1
    assert tex.count("{") == tex.count("}")
    begun, ended = (re.findall(rf"\\{word}{{(\w+)}}", tex) for word in ("begin", "end"))
    assert begun == ended[::-1] == ["table", "tabular"]


@given(st.text("ab_%&$#{}~^\\<> ", max_size=20))
def test_nothing_special_is_left_bare(text: str) -> None:
    bare = re.sub(r"\\text[a-z]+\{\}|\\[_%&$#{}]", "", escaped(text))
    assert not set(bare) & set("_%&$#{}~^\\<>")


def test_empty_tables_and_refusals(tmp_path: Path) -> None:
    read, tex = _write(tmp_path, [])
    assert read == [list(COLUMNS)] and r"\toprule" in tex
    with pytest.raises(DataError, match="row 2 lacks 'cost', .*did you mean 'costs'"):
        write_table([{"cost": 1}, {"costs": 1}], tmp_path / "x", {"cost": "cost"}, "", "tab:x")
    assert not (tmp_path / "x.csv").exists() and not (tmp_path / "x.tex").exists()
    with pytest.raises(DataError, match="without columns"):
        write_table([], tmp_path / "x", {}, "", "tab:x")
