"""What ``make demo`` prints at its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from al.cli.results import show_results


def test_prints_the_tables_and_the_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "demo" / "report"
    (report / "2x3").mkdir(parents=True)
    (report / "reach.md").write_text("| decomp | 2.5 | 3 of 3 |\n", encoding="utf-8")
    for name in ("selection", "usage"):
        text = f"### {name}\n\n| {name} | 7 |\n\n### more\n\n| decomp | 9 |\n\nA long note.\n"
        (report / f"{name}.md").write_text(text, encoding="utf-8")
    for name in ("2x3/curves.png", "report.html"):
        (report / name).touch()
    assert show_results("demo", tmp_path) == 0
    text = capsys.readouterr().out
    order = ["3 of 3", "### selection\n| selection | 7 |\n\n### more\n", "| usage | 7 |"]
    places = [text.index(part) for part in (*order, "curves.png", "report.html")]
    assert places == sorted(places) and "A long note" not in text


def test_a_run_without_report_names_the_nearest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "camvid-convnet" / "report").mkdir(parents=True)
    (tmp_path / "camvid-convnet" / "report" / "reach.md").touch()
    assert show_results("camvid-convne", tmp_path) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and "did you mean 'camvid-convnet'" in captured.err
