"""What ``make demo`` prints at its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from al.cli.results import show_results


def test_prints_the_table_and_the_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "demo" / "report"
    (report / "2x3").mkdir(parents=True)
    (report / "reach.md").write_text("| decomp | 2.5 | 3 of 3 |\n", encoding="utf-8")
    (report / "2x3" / "curves.png").touch()
    (report / "overlays.png").touch()
    assert show_results("demo", tmp_path) == 0
    text = capsys.readouterr().out
    assert text.index("2.5 | 3 of 3") < text.index("Figures:") < text.index("curves.png")
    assert str(report / "overlays.png") in text and "report.html" not in text
    (report / "report.html").touch()
    assert show_results("demo", tmp_path) == 0
    assert capsys.readouterr().out.endswith(f"{report / 'report.html'}\n")


def test_prints_the_table_of_selection_without_its_notes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "demo" / "report"
    report.mkdir(parents=True)
    (report / "reach.md").write_text("| decomp | 2.5 |\n", encoding="utf-8")
    (report / "selection.md").write_text(
        "### demo, budget 2x3\n\n| decomp | 7 s |\n\nA long note.\n", encoding="utf-8"
    )
    assert show_results("demo", tmp_path) == 0
    text = capsys.readouterr().out
    assert text.index("2.5") < text.index("### demo") < text.index("| decomp | 7 s |")
    assert "A long note" not in text and str(report / "selection.md") in text


def test_prints_both_tables_of_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "demo" / "report"
    report.mkdir(parents=True)
    (report / "reach.md").write_text("| decomp | 2.5 |\n", encoding="utf-8")
    (report / "usage.md").write_text(
        "### by rule\n\n| train | 7 |\n\n### by strategy\n\n| decomp | 9 |\n\nA note.\n",
        encoding="utf-8",
    )
    assert show_results("demo", tmp_path) == 0
    text = capsys.readouterr().out
    assert "### by rule\n| train | 7 |\n\n### by strategy\n| decomp | 9 |\n" in text
    assert "A note" not in text and str(report / "usage.md") in text


def test_a_run_without_report_names_the_nearest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "camvid-convnet" / "report").mkdir(parents=True)
    (tmp_path / "camvid-convnet" / "report" / "reach.md").touch()
    assert show_results("camvid-convne", tmp_path) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "did you mean 'camvid-convnet'" in captured.err
