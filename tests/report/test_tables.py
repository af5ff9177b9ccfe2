"""Tables as CSV and LaTeX: all digits, nothing special left bare, and accepted by a real LaTeX."""

from __future__ import annotations

import csv
import math
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from al.report.catalogue import LATEX, MARKDOWN, TABLES, caption
from al.report.reach import NO_STRATEGY
from al.report.tables import escaped, latex, read_csv, shown, write_csv
from al.report.tabulation import MAKERS, save_tables
from al.report.view import Confidence

from .curve_sample import make_view

PLAIN = {"images": "random", "regions": "random"}
LOOK = {
    **{"run": "run", "dataset": "toy", "task": "2d", "remark": "", "region": [8, 8], "patch": None},
    **{"strategies": ["random", "decomp"], "budgets": ["2x3"], "seeds": [0, 1, 2, 3, 4]},
    **{"definitions": dict.fromkeys(("random", "decomp"), PLAIN), "predicted": ["decomp"]},
    **{"background": 0, "cycles": 4},
}
COLUMNS = ("name", "cost", "seeds", "done")
ROWS = [
    {"name": "decomp_tau_03", "cost": 0.1 + 0.2, "seeds": 3, "done": True, "unused": 1},
    {"name": "R&D $5 #1", "cost": math.nan, "seeds": np.int64(2), "done": False},
    {"name": None, "cost": math.inf, "seeds": None, "done": "50 %"},
]


def _read(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=5), min_size=1, max_size=4))
def test_no_text_is_a_formula_and_all_comes_back(tmp_path_factory: Any, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("t") / "t.csv"
    odd = ["=1+1", "+1", "-1", "@x", "'", "\t=", "\r", "a\rb"]
    rows = [{"=name": text, "n": -1.5} for text in [*odd, *texts]]
    write_csv(rows, path, ["=name", "n"])
    cells = [cell for line in _read(path) for cell in line]
    assert not [c for c in cells if c.startswith(("=", "+", "-", "@", "\t", "\r")) and c != "-1.5"]
    assert read_csv(path) == [{"=name": row["=name"], "n": "-1.5"} for row in rows]


def test_all_digits_in_the_csv_and_few_in_the_text(tmp_path: Path) -> None:
    write_csv(ROWS, tmp_path / "deep" / "t.csv", COLUMNS)
    assert _read(tmp_path / "deep" / "t.csv") == [
        list(COLUMNS),
        ["decomp_tau_03", "0.30000000000000004", "3", "True"],
        ["R&D $5 #1", "", "2", "False"],
        ["", "inf", "", "50 %"],
    ]
    assert shown(ROWS, COLUMNS) == [
        ["decomp_tau_03", "0.300", "3", "yes"],
        ["R&D $5 #1", "-", "2", "no"],
        ["-", "inf", "-", "50 %"],
    ]
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["t.csv"]


@given(st.text("ab_%&$#{}~^\\<> ", max_size=20))
def test_nothing_special_is_left_bare(text: str) -> None:
    bare = re.sub(r"\\text[a-z]+\{\}|\\[_%&$#{}]", "", escaped(text))
    assert not set(bare) & set("_%&$#{}~^\\<>")


def _save(folder: Path, look: dict, **more: object) -> dict:
    return save_tables(make_view(**more), look, folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tables of five seeds, of which one strategy has a name for LaTeX to choke on."""
    names, out = ["random", "a_b"], tmp_path_factory.mktemp("tables")
    look = LOOK | {"strategies": names, "definitions": dict.fromkeys(names, PLAIN)}
    said = [Confidence("2x3", "a_b", 0, 2, "road", 10, 5)]
    rng = np.random.default_rng(0)
    scores = {(n, s): np.sort(rng.random(4)).tolist() for n in names for s in range(5)}
    _save(out, look, scores=scores, full=[0.4, 0.42], confidence=said)
    return out / "report"


def test_every_table_has_its_files(folder: Path) -> None:
    assert {*MAKERS, "usage"} == TABLES.keys()
    expected = {f"{n}.csv" for n in TABLES} | {f"{n}.tex" for n in LATEX}
    expected |= {f"{n}.md" for n in (*MARKDOWN, "answer")}
    assert {p.name for p in folder.iterdir()} == expected
    pairs = {row[1]: row for row in _read(folder / "pairs.csv")[1:]}
    assert pairs["final"][_read(folder / "pairs.csv")[0].index("p_t")] != ""
    assert len(_read(folder / "penalty.csv")) == 3


@pytest.mark.parametrize(
    ("scores", "full"),
    [
        ({("initial", s): (0.3,) for s in range(5)}, (0.8,)),
        ({("random", 0): (0.2, 0.3), ("decomp", 1): (0.2, 0.3)}, ()),  # no seed in common
        ({}, ()),
    ],
)
def test_a_run_of_little_has_all_files_and_a_sentence(
    tmp_path: Path, scores: dict, full: tuple
) -> None:
    cycles = 1 if ("initial", 0) in scores else 4
    made = _save(tmp_path, LOOK | {"cycles": cycles}, scores=scores, full=full, cycles=cycles)
    for name, table in made.items():
        rows = _read(tmp_path / "report" / f"{name}.csv")
        assert rows[0] == list(table.columns) and len(rows) == 1 + len(table.rows)
        assert len({len(line) for line in table.cells()}) == 1 and table.empty
    report = (tmp_path / "report" / "reach.md").read_text()
    assert ("initial" in report) == (cycles == 1) and (NO_STRATEGY in report) == (not scores)
    assert all((tmp_path / "report" / name).is_file() for name in ("reach.tex", "answer.md"))
    none = _save(tmp_path / "none", LOOK | {"strategies": []}, scores={}, full=full)
    assert list(none) == ["usage"]


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="no LaTeX here (Debian: texlive)")
def test_a_real_latex_takes_the_tables(folder: Path, tmp_path: Path) -> None:
    texts = [(folder / f"{name}.tex").read_text(encoding="utf-8") for name in LATEX]
    special = [["a_b %", "±"], *[["R&D $5 #1 {x} ~^\\ <>", str(i)] for i in range(60)]]
    texts += [latex(special, "± ≤ ≥, 95 %", "tab:x")]
    texts += [latex([["a", "b"]], caption("penalty"), "tab:y", "Nothing & none.")]
    packages = "\\usepackage{booktabs}\\usepackage{longtable}"
    body = "\n".join(texts)
    head = f"\\documentclass[a4paper]{{article}}{packages}\\begin{{document}}"
    (tmp_path / "t.tex").write_text(f"{head}\n{body}\n\\end{{document}}\n", encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    assert (tmp_path / "t.pdf").stat().st_size > 1000
