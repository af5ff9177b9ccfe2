"""What `make check-cluster` says of profiles that fit the test cluster and of those that do not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from al.cli.check_cluster import main
from al.cluster.requests import requests
from al.cluster.words import parse_words

from .cluster import Cluster

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
DATASET = "dataset=cityscapes_mini"
GOOD: dict[str, Any] = {
    "executor": "slurm",
    "jobs": 4,
    "retries": 1,
    "slurm-requeue": True,
    "slurm-status-command": "squeue",
    "slurm-init-seconds-before-status-checks": 2,
    "default-resources": {
        "slurm_partition": "a100",
        "mem_mb": "300 * attempt",
        "cpus_per_task": 1,
        "disk_mb": 100,
    },
    "set-resources": {"train": {"mem_mb": "1000 * attempt"}, "evaluate": {"gpu": 0}},
}


def profile(folder: Path, **changes: Any) -> Path:
    """A good profile with some keys changed; ``default_resources=`` adds to those there are."""
    made = {**GOOD}
    for key, value in changes.items():
        name = key.replace("_", "-")
        made[name] = {**made[name], **value} if isinstance(value, dict) else value
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(made, sort_keys=False))
    return folder


@pytest.fixture
def check(
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Any:
    """Exit code and output of the check of a profile with some keys changed."""
    for key in ("SLURM_CONF", "PATH"):
        monkeypatch.setenv(key, cluster.environment[key])
    monkeypatch.chdir(tmp_path)

    def check(*words: str, **changes: Any) -> tuple[int, str]:
        place = profile(tmp_path / "profile", **changes)
        code = main(["--profile", str(place), "--", DATASET, *words])
        return code, "".join(capfd.readouterr())

    return check


@pytest.mark.quick
def test_a_profile_that_fits(cluster: Cluster, check: Any) -> None:
    code, printed = check()
    assert code == 0, printed
    lines = [line for line in printed.splitlines() if line.startswith("ok")]
    # What may run at a time where no selection waits for a model, as Snakemake counts it.
    (first,) = [line for line in lines if "_random_0_0 and" in line and "attempt 1" in line]
    assert "-p a100" in first and "--mem 1600 " in first and "--cpus-per-task=3 --gpus=1" in first
    assert "on nodes n" in first, "SLURM's own words"
    assert "--mem 3200 " in printed, "the retry"
    assert "does not fit" not in printed and "warning" not in printed
    assert cluster.jobs("PENDING", "RUNNING") == [], "something was submitted"


BAD: list[tuple[dict[str, Any], tuple[str, ...], str]] = [
    ({"default_resources": {"slurm_partition": "h200"}}, (), "invalid partition specified: h200"),
    ({"set_resources": {"train": {"mem_mb": "9000 * attempt"}}}, (), "configuration is not avail"),
    ({"default_resources": {"gpu_model": "h100"}}, (), "configuration is not available"),
    ({"default_resources": {"slurm_account": "physics"}}, (), "account physics appears to be inv"),
    ({"executor": "local"}, (), "executor is local"),
    (
        {},
        ("chain=1", "max_minutes=4000", "minutes={train: 2000, full: 2000}"),
        "partition a100 grants 1440 minutes",
    ),
]


@pytest.mark.parametrize(("changes", "words", "told"), BAD, ids=lambda value: str(value)[:40])
def test_what_does_not_fit_is_told(
    check: Any, changes: dict[str, Any], words: tuple[str, ...], told: str
) -> None:
    code, printed = check(*words, **changes)
    assert code == 1, printed
    wrong = [line for line in printed.splitlines() if line.startswith("does not fit")]
    assert wrong and all(told in line for line in wrong), printed


def test_a_retry_that_does_not_fit_is_a_warning(check: Any) -> None:
    code, printed = check(set_resources={"train": {"mem_mb": "5000 * attempt"}})
    assert code == 0, printed
    (warned, *_) = [line for line in printed.splitlines() if line.startswith("warning")]
    assert "attempt 2" in warned and "--mem 10000" in warned, printed


def test_without_a_cluster_or_with_a_wrong_configuration(
    check: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, printed = check("dataset=no_such")
    assert code == 2 and "no_such" in printed
    work = {"evaluate": {"gpu": 0, "slurm_partition": "work"}}
    code, printed = check(set_resources=work)
    assert code == 2 and "slurm_partition" in printed and "work" in printed, printed
    monkeypatch.setenv("PATH", "/nonexistent")
    code, printed = check()
    assert code == 2 and "sinfo is not installed" in printed


def test_the_plan_asks_for_what_snakemake_submits(cluster: Cluster, tmp_path: Path) -> None:
    words = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(tmp_path), DATASET]
    request = parse_words(words, str(profile(tmp_path / "profile")))
    (asked, _) = [a for a in requests(request.options, ROOT / "Snakefile") if "prepare" in a.names]
    for node in cluster.nodes:  # the job stays in the queue
        cluster.ask("scontrol", "update", f"nodename={node}", "state=drain", "reason=test")
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "snakemake", *request.command()],
            env=cluster.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ) as run:  # fmt: skip
            limit = time.monotonic() + 120
            while not cluster.jobs("PENDING") and time.monotonic() < limit:
                time.sleep(0.2)
            printed = cluster.ask("squeue", "-h", "-o", "-p|%P|--cpus-per-task=%C|--mem|%m") or ""
            run.send_signal(signal.SIGINT)
            run.wait(60)
    finally:
        for node in cluster.nodes:
            cluster.ask("scontrol", "update", f"nodename={node}", "state=resume")
        cluster.ask("scancel", "--user", str(os.getuid()))
    for word in printed.strip().split("|"):
        assert word.removesuffix("M") in asked.words, (printed, asked.words)
