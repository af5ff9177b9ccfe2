"""What `make check-cluster` says of profiles that fit the test cluster and of those that do not."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from al.cluster.cluster import UNLIMITED, gpus_of, minutes_of, seconds_of
from al.cluster.plan import LEVELS, LOCAL, make_plan

from .cluster import Cluster

ROOT = Path(__file__).parents[2]
GOOD: dict[str, Any] = {
    "executor": "slurm",
    "jobs": 4,
    "retries": 1,
    "slurm-requeue": True,
    "slurm-status-command": "squeue",
    "slurm-init-seconds-before-status-checks": 2,
    "slurm-jobname-prefix": "decomp",
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


def check(cluster: Cluster, place: Path, *words: str, path: str = "") -> tuple[int, str]:
    """Exit code and output of the check."""
    environment = {**cluster.environment, **({"PATH": path} if path else {})}
    done = subprocess.run(
        [sys.executable, "-m", "al.cli.check_cluster", "--profile", str(place)]
        + ["--", "dataset=cityscapes_mini", *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.quick
@pytest.mark.slurm
@pytest.mark.slow
def test_a_profile_that_fits(cluster: Cluster, tmp_path: Path) -> None:
    code, printed = check(cluster, profile(tmp_path))
    assert code == 0, printed
    assert "does not fit" not in printed
    # Evaluation may run beside the next training: 300 + 1000 MB, more than beside a prediction.
    assert re.search(
        r"ok +cycles, attempt 1: 2 cores, 1300 MB, 1 GPUs, \d+ minutes in a100: 2 nodes", printed
    ), printed
    assert "cycles, attempt 2: 2 cores, 2600 MB" in printed
    assert "the scheduler takes cycles, attempt 1" in printed
    assert "your default is lab" in printed
    assert cluster.jobs("PENDING", "RUNNING") == [], "something was submitted"


BAD: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    (
        {"default_resources": {"slurm_partition": "h200"}},
        ("partition h200 does not exist; there are a100, work, urgent", "config.yaml, line 9"),
    ),
    (
        {"set_resources": {"train": {"mem_mb": "9000 * attempt"}}},
        ("9300 MB of memory, the largest node of a100 has 8000", "set-resources: train: mem_mb"),
    ),
    (
        {"set_resources": {"train": {"cpus_per_task": 16}}},
        ("17 cores, the largest node of a100 has 8", "the scheduler refuses cycles, attempt 1"),
    ),
    ({"set_resources": {"evaluate": {}}}, ("2 GPUs, the largest node of a100 has 1",)),
    ({"default_resources": {"gpu_model": "h100"}}, ("1 h100 GPUs",)),
    (
        {"set_resources": {"evaluate": {"gpu": 0, "slurm_partition": "work"}}},
        ("one submission, but slurm_partition is a100 for propose_regions, work for evaluate",),
    ),
    (
        {"default_resources": {"slurm_account": "physics"}},
        ("account physics is not yours; yours: lab", "slurm_account"),
    ),
    ({"default_resources": {"qos": "long"}}, ("quality of service long is not yours",)),
    (
        {"slurm_init_seconds_before_status_checks": 120},
        ("MinJobAge 300 s, first look after 120 s; allowed: up to a third",),
    ),
    ({"executor": "local"}, ("executor is local",)),
]


@pytest.mark.slurm
@pytest.mark.slow
@pytest.mark.parametrize(("changes", "told"), BAD, ids=lambda value: str(value)[:40])
def test_what_does_not_fit_is_told(
    cluster: Cluster, tmp_path: Path, changes: dict[str, Any], told: tuple[str, ...]
) -> None:
    code, printed = check(cluster, profile(tmp_path, **changes))
    assert code == 1, printed
    wrong = "\n".join(line for line in printed.splitlines() if line.startswith("does not fit"))
    for part in told:
        assert part in wrong, printed


@pytest.mark.slurm
@pytest.mark.slow
def test_only_a_retry_that_does_not_fit_and_other_warnings(
    cluster: Cluster, tmp_path: Path
) -> None:
    large = {"train": {"mem_mb": "5000 * attempt"}}
    changes: dict[str, Any] = {"slurm_requeue": False, "slurm_status_command": "sacct"}
    code, printed = check(cluster, profile(tmp_path, set_resources=large, **changes))
    assert code == 0, printed
    warned = "\n".join(line for line in printed.splitlines() if line.startswith("warning"))
    for part in ("cycles, attempt 2: 10600 MB", "a preempted one is lost", "sacct, which hangs"):
        assert part in warned, printed


@pytest.mark.slurm
@pytest.mark.slow
def test_a_run_time_that_the_partition_does_not_grant(cluster: Cluster, tmp_path: Path) -> None:
    words = ("chain=1", "max_minutes=4000", "minutes={train: 2000, full: 2000}")
    code, printed = check(cluster, profile(tmp_path), *words)
    assert code == 1, printed
    assert "minutes, partition a100 grants 1440" in printed


@pytest.mark.slurm
@pytest.mark.slow
def test_without_a_cluster_or_with_a_wrong_configuration(cluster: Cluster, tmp_path: Path) -> None:
    code, printed = check(cluster, profile(tmp_path), path="/nonexistent")
    assert code == 2 and "scontrol is not installed" in printed
    code, printed = check(cluster, profile(tmp_path), "dataset=no_such")
    assert code == 2 and "no_such" in printed


@pytest.mark.slurm
@pytest.mark.slow
def test_the_plan_asks_for_what_snakemake_submits(cluster: Cluster, tmp_path: Path) -> None:
    place = profile(tmp_path / "profile")
    words = ["--profile", str(place), "--config", "dataset=cityscapes_mini"]
    (plan,) = [s for s in make_plan(words, ROOT / "Snakefile").submissions
               if (s.kind, s.attempt) == ("prepare", 1)]  # fmt: skip
    for node in cluster.nodes:  # the job stays in the queue
        cluster.ask("scontrol", "update", f"nodename={node}", "state=drain", "reason=test")
    try:
        with subprocess.Popen(
            [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"),
             "--directory", str(tmp_path), *words],
            env=cluster.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        ) as run:  # fmt: skip
            limit = time.monotonic() + 60
            while not cluster.jobs("PENDING") and time.monotonic() < limit:
                time.sleep(0.2)
            printed = cluster.ask("squeue", "-h", "-o", "%P|%C|%m|%l") or ""
            run.send_signal(signal.SIGINT)
            run.wait(60)
    finally:
        for node in cluster.nodes:
            cluster.ask("scontrol", "update", f"nodename={node}", "state=resume")
        cluster.ask("scancel", "--user", str(os.getuid()))
    partition, cores, memory, limit_shown = printed.strip().split("|")
    asked = plan.resources
    assert partition == asked["slurm_partition"]
    assert int(cores) == asked["cpus_per_task"] > 1  # split_pool of each seed and count_truth
    assert memory == f"{asked['mem_mb']}M"
    assert minutes_of(limit_shown) <= asked["runtime"]


def test_levels_name_rules_that_exist() -> None:
    text = "\n".join(file.read_text() for file in (ROOT / "rules").glob("*.smk"))
    rules = set(re.findall(r"^ *(?:use )?rule (?:\w+ as )?(\w+)", text, re.MULTILINE))
    named = {rule for levels in LEVELS.values() for level in levels for rule in level}
    assert named <= rules
    assert set(LOCAL) <= rules | {"all"}


@pytest.mark.parametrize(
    ("gres", "gpus"),
    [
        ("gpu:a100:8(S:0-1)", {"a100": 8}),
        ("gpu:a100:2,gpu:a40:4,tmp:1", {"a100": 2, "a40": 4}),
        ("gpu:4", {"": 4}),
        ("(null)", {}),
        ("shard:8,gpu:h100:1", {"h100": 1}),
        ("gpu:nvidia_a100_80gb_pcie:2(S:0)", {"nvidia_a100_80gb_pcie": 2}),
    ],
)
def test_gpus_of_a_node(gres: str, gpus: dict[str, int]) -> None:
    assert gpus_of(gres) == gpus


@pytest.mark.parametrize(
    ("time", "minutes"),
    [
        ("1-00:00:00", 1440),
        ("24:00:00", 1440),
        ("10:00", 10),
        ("90", 90),
        ("2-12", 3600),
        ("00:30", 0),
        ("UNLIMITED", UNLIMITED),
    ],
)
def test_minutes_of_a_limit(time: str, minutes: int) -> None:
    assert minutes_of(time) == minutes
    assert seconds_of("300 sec") == 300
