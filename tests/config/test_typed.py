"""What is typed wrong is told before Snakemake is loaded, and read as Snakemake reads it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from snakemake.cli import parse_config

from al.cli.launch import main
from al.config.typed import _read, refuse_typed
from al.io.errors import ConfigError
from al.paths import ROOT

PIECES = st.sampled_from(
    ["1", "07", "1e3", "True", "no", "null", "{a: 1}", "[x, 2]", " ", "#", "'", '"']
)


@given(st.one_of(st.text(max_size=8), st.lists(PIECES, max_size=3).map("".join)))
@example("{reduce: 4, scales: [1, 2]}")
@example("'007'")
def test_values_are_read_as_snakemake_reads_them(value: str) -> None:
    try:
        wanted = parse_config([f"key={value}"])["key"]
    except AssertionError:  # of what it takes for nothing, such as a comment alone
        return
    found = _read(value)
    assert type(found) is type(wanted) and (found == wanted or found != found)


@pytest.mark.parametrize(
    "words, message",
    [
        (["dataset=hipocampus"], "dataset 'hipocampus' is unknown; did you mean 'hippocampus'"),
        (
            ["dataset=bracs_mini", "stratgies=decomp"],
            "unknown key 'stratgies', did you mean 'strat",
        ),
        (["dataset=bracs_mini", "strategies=decmp"], "strategy 'decmp' is unknown; did you mean"),
        (["dataset=bracs_mini", "run=007"], "run=007 is read as 7"),
        (["dataset=bracs_mini", "convnet={width: x}"], "convnet.width"),
    ],
)
def test_a_slip_is_told(words, message, monkeypatch, capsys) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["--", *words]) == 1
    assert message in capsys.readouterr().err


def test_where_settings_come_from_elsewhere_snakemake_is_left_to_say(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.chdir(ROOT)
    wrong = ["dataset=hipocampus"]
    (tmp_path / "config.yaml").write_text("cores: 1\n")
    with pytest.raises(ConfigError):
        refuse_typed(wrong, ["--profile", str(tmp_path)])
    (tmp_path / "config.yaml").write_text("config: {dataset: camvid}\n")
    refuse_typed(wrong, ["--profile", str(tmp_path)])
    for words in (
        *(["--configfile", "x.yaml"], ["--directory=elsewhere"], ["-d", "elsewhere"]),
        *([f"--profile={tmp_path}"], ["--workflow-profile", str(tmp_path)], ["--profile", "named"]),
    ):
        refuse_typed(wrong, words)
    monkeypatch.chdir(tmp_path)
    refuse_typed(wrong, [])


def test_snakemake_itself_is_not_loaded() -> None:
    code = (
        "import sys; from al.cli.launch import main; main(['--', 'dataset=none']);"
        "assert not {'snakemake.cli', 'snakemake.workflow', 'torch', 'numba'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
