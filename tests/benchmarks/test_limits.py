"""The benchmarks of the limits run, and write what they found; no figure is judged here."""

from __future__ import annotations

import json
import math
import os
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import tests.benchmarks.limits.__main__ as program
from tests.benchmarks.limits.cycle import folders_of, read_jobs, report, shares
from tests.benchmarks.limits.harness import (
    Options,
    Row,
    Skip,
    as_json,
    both_clocks,
    compared,
    shown,
    timed,
)
from tests.benchmarks.limits.plots import aimed_at, is_ratio
from tests.benchmarks.limits.pool_of_shards import _two_cores
from tests.benchmarks.limits.tables import page

PNG = b"\x89PNG"


def row(**changes: Any) -> Row:
    held = {
        "work": "work", "ours": 2.0, "alternative": 9.0, "alternative_name": "numpy", "unit": "ms",
        "aim": "4 times faster", "reached": True,
    }  # fmt: skip
    return Row(**(held | changes))


SLOW = ("clasp_patches",)
NAMES = [pytest.param(n, marks=pytest.mark.slow) if n in SLOW else n for n in program.MODULES]


@pytest.mark.parametrize("name", NAMES)
def test_every_module_gives_rows(name: str) -> None:
    found = []
    try:
        for made in import_module(f"tests.benchmarks.limits.{name}").rows(Options(1, quick=True)):
            found.append(made)
    except Skip as reason:
        assert str(reason)
    assert found or name in ("pool_of_shards", "stored_predictions")
    assert [Row(**held) for held in json.loads(as_json(found))["rows"]] == found
    for made in found:
        assert made.work and made.unit and math.isfinite(made.ours)
        assert (made.alternative is None) == (not made.alternative_name)
        assert (made.reached is None) == (not made.aim)
        assert not made.panel or (made.series and made.x is not None and made.x > 0)


def test_program_in_a_process_of_its_own(tmp_path: Path) -> None:
    words = ["--quick", "--only", "windows_uncertain", "--out", str(tmp_path)]
    assert program.main(words) == 0
    held = json.loads((tmp_path / "limits.json").read_text())
    assert held["machine"]["CPU"] and list(held["modules"]) == ["windows_uncertain"]
    assert held["modules"]["windows_uncertain"]["rows"][0]["work"].startswith("4 uncertain")


def fake(outcomes: dict[str, list[Row] | None]) -> Any:
    def run_module(name: str, quick: bool, repeats: int | None) -> dict[str, Any] | None:
        rows = outcomes.get(name, [row(work=name)])
        made = None if rows is None else [vars(r) for r in rows]
        return None if made is None else {"rows": made, "skipped": "" if made else "no data"}

    return run_module


def test_failure_is_told_and_the_others_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    curve = [
        row(work="f", panel="classes", series="DECOMP, smooth", x=x, aim="", reached=None)
        for x in (2.0, 20.0)
    ]
    outcomes = {"k_centre": None, "growth": curve, "volumes": []}
    monkeypatch.setattr(program, "run_module", fake(outcomes))
    assert program.main(["--out", str(tmp_path)]) == 1
    assert "failed: k_centre" in capfd.readouterr().err
    modules = json.loads((tmp_path / "limits.json").read_text())["modules"]
    assert "k_centre" not in modules and len(modules) == len(program.MODULES) - 1
    text = (tmp_path / "limits.md").read_text()
    assert "`k_centre` failed" in text and "`volumes` was cut short: no data" in text
    assert "| windows_decomp | 2.00 ms | 9.00 ms, numpy | 4.50 | 4 times faster | yes |" in text
    assert "| 20 | 2.00 | 9.00 |" in text
    for name in ("limits.png", "limits-growth.png"):
        assert (tmp_path / name).read_bytes()[:4] == PNG


def test_only_keeps_what_the_same_machine_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "run_module", fake({}))
    words = ["--only", "k_centre", "--out", str(tmp_path)]
    assert program.main(["--out", str(tmp_path)]) == 0
    monkeypatch.setattr(program, "run_module", fake({"k_centre": [row(work="again")]}))
    assert program.main(words) == 0
    text = (tmp_path / "limits.json").read_text()
    assert list(json.loads(text)["modules"]) == list(program.MODULES) and '"again"' in text
    monkeypatch.setattr(program, "describe", lambda: {"CPU": "another"})
    with pytest.raises(SystemExit, match="another machine"):
        program.main(words)
    monkeypatch.undo()
    monkeypatch.setattr(program, "run_module", fake({"k_centre": None}))
    assert program.main(words) == 1
    assert "k_centre" not in json.loads((tmp_path / "limits.json").read_text())["modules"]


def test_quick_figures_go_elsewhere() -> None:
    assert program.parse(["--quick"]).out.parts[-2:] == ("build", "limits")
    assert program.parse([]).out.parts[-2:] == ("docs", "benchmarks")


@pytest.mark.parametrize(
    ("aim", "unit", "expected"),
    [
        ("100 times faster", "ms", 100),
        ("under 2 times reading alone", "s", 0.5),
        ("under 0.8 s", "s", 9 / 0.8),
        ("under 0.8 s", "ms", 9 / 800),
        ("under 1 GB", "MB", 9 / 1024),
        ("under 0.1 bytes per pixel", "bytes per pixel", 90),
        ("under 0.1", "bytes per pixel", 90),
        ("linear in the candidates", "MB", None),
        ("", "ms", None),
    ],
)
def test_aims_are_read(aim: str, unit: str, expected: float | None) -> None:
    found = aimed_at(row(aim=aim, unit=unit))
    assert found == pytest.approx(expected) if expected else found is None


def test_clocks_and_rows() -> None:
    calls: list[int] = []
    found = both_clocks(lambda: calls.append(1), 3)
    assert len(calls) == 4 and found.cpu >= 0 and found.wall > 0
    assert timed(lambda: None, 1, wall=True) > 0
    made = compared("work", lambda: None, lambda: sum(range(10**5)), "sum", 2, Options(3))
    assert made.aim_factor == 2 and made.aim == "2 times faster" and made.reached
    assert compared("work", int, int, "sum", None, Options(1), note="n").note == "n"
    assert [shown(v) for v in (None, 0.0123456, 12.0, 123.0, 12345.6)] == [
        "–", "0.0123", "12.0", "123", "12,346",
    ]  # fmt: skip


def test_page_without_rows() -> None:
    assert "CPU: fast" in page({}, {}, [], {"CPU": "fast"})


def test_shares_of_a_cycle(tmp_path: Path) -> None:
    run = tmp_path / "benchmarks" / "street"
    seconds = {
        "train": 6,
        "predict-1": 1,
        "predict-2": 1,
        "evaluate": 1,
        "select": 0.5,
        "reveal": 0.5,
    }
    for cycle in (2, 3):
        folder = run / "2x10" / "decomp" / "seed-0" / f"cycle-{cycle:03d}"
        folder.mkdir(parents=True)
        for name, value in seconds.items():
            (folder / f"{name}.tsv").write_text(f"s\th:m:s\n{value}\t0:00:01\n")
    (run / "pool.tsv").write_text("s\n99\n")
    assert folders_of(tmp_path) == folders_of(run) == [run]
    jobs = read_jobs(run)
    assert shares(jobs) == {
        "training": 0.6, "forward passes": 0.3, "selection": 0.05, "the rest": 0.05,
    }  # fmt: skip
    lines = list(report(jobs))
    assert "| forward passes | predict | 4 | 2.00 | 1.00 | – |" in lines
    assert lines[-1] == "neither training nor forward passes: 10.00 %"
    assert lines[-2].startswith("2 cycles, 10.00 s each: training 60.0 %")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"aim": "under 2 times"}, True),
        ({"aim": "under 2 times a device copy"}, True),
        ({"aim": "4 times faster", "aim_factor": 4}, False),
        ({"aim": "under 0.8 s"}, False),
        ({"aim": ""}, False),
    ],
)
def test_aims_in_ratios_have_no_bar(changes: dict[str, Any], expected: bool) -> None:
    assert is_ratio(row(**changes)) == expected


def test_two_cores_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = [{1}]
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: pinned[-1], raising=False)
    monkeypatch.setattr(
        os, "sched_setaffinity", lambda _, cores: pinned.append(set(cores)), raising=False
    )
    with _two_cores():
        assert pinned[-1] == {0, 1}
    assert pinned[-1] == {1}
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    with pytest.raises(Skip, match="two cores"), _two_cores():
        pass
    assert pinned[-1] == {1}
