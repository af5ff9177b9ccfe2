"""What is said of names and locks before Snakemake says less of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from al.cluster.guard import lock_advice
from al.cluster.launches import LAUNCH_VARIABLE
from al.cluster.words import checked_run
from al.io.errors import ConfigError


def test_a_lock_that_a_kill_left_leads_to_make_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(LAUNCH_VARIABLE, raising=False)
    assert lock_advice(tmp_path, ["snakemake"]) == ""
    locks = tmp_path / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    assert lock_advice(tmp_path, ["snakemake"]) == ""
    (locks / "0.output.lock").write_text("results/x\n")
    assert "do not --unlock: `make run`" in lock_advice(tmp_path, ["snakemake", "--cores", "1"])
    assert lock_advice(tmp_path, ["snakemake", "-n"]) == ""
    monkeypatch.setenv(LAUNCH_VARIABLE, "a job of a run")
    assert lock_advice(tmp_path, ["snakemake"]) == ""


@pytest.mark.parametrize("name", ["../x", "/etc", "a/b", "", ".", "a b", "x\n", "-x"])
def test_a_run_is_no_path(name: str) -> None:
    assert checked_run("toy-convnet_1.2") == "toy-convnet_1.2"
    with pytest.raises(ConfigError, match="run .*allowed: letters"):
        checked_run(name)
