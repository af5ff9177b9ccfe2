"""Undisturbed runs on a cluster: what is submitted where; results are those of one machine."""

from __future__ import annotations

import csv
from typing import NamedTuple

import numpy as np
import pytest

from al.cluster.journals import read_journal
from tests.workflow.conftest import Run
from tests.workflow.test_killed import Killed
from tests.workflow.test_people import Clinic, drawn, expected

from .conftest import OnCluster

pytestmark = [pytest.mark.slow, pytest.mark.slurm]


class Submission(NamedTuple):
    """One job of the cluster."""

    name: str
    partition: str
    node: str
    id: str
    state: str


def submissions(run: OnCluster) -> list[Submission]:
    """All jobs of the folder that slurmctld remembers."""
    shown = "%k|%P|%N|%i|%T|%Z"
    printed = run.cluster.ask("squeue", "-h", "-t", "all", "-o", shown) or ""
    rows = [line.split("|") for line in printed.splitlines()]
    return [Submission(*row[:5]) for row in rows if row[5] == str(run.folder)]


def same_as(run: OnCluster, undisturbed: Run, *parts: str) -> None:
    """The same bytes in every result whose path has one of ``parts``."""
    expected = Killed(undisturbed.folder, undisturbed.settings).results()
    found = run.results()
    wanted = [path for path in expected if any(part in path for part in parts)]
    assert wanted and [path for path in wanted if found.get(path) != expected[path]] == []


def one_after_the_other(run: OnCluster, strategy: str) -> None:
    """The trainings of a submission share a GPU, also where no selection waits for a model."""
    place = run.folder / f"benchmarks/tiny/2x3/{strategy}/seed-0"
    (second,), (third,) = (
        read_journal(place / f"cycle-{cycle:03d}/train.jsonl") for cycle in (2, 3)
    )
    assert third.started > second.started + second.wall - 0.1


def test_people_annotate_what_a_cluster_chose(on_cluster: OnCluster) -> None:
    """On this machine, in the folder that both see; jobs on nodes read what was drawn."""
    on_cluster.settings |= {"annotator": "human", "budget": "2x2", "cycles": "2"}
    clinic = Clinic(on_cluster)
    assert "cycle 1 of 2: 4 regions in 2 images wait" in on_cluster.finish()
    first = clinic.annotate(drawn)
    assert "cycle 2 of 2: 4 regions in 2 images wait" in on_cluster.finish()
    wanted = expected(clinic.store, clinic, first)
    for image, labels in clinic.labels("initial", 1).items():
        np.testing.assert_array_equal(labels, wanted[image])
    clinic.annotate(drawn)
    assert "all 2 cycles are annotated" in on_cluster.finish()
    assert len(list(clinic.results.rglob("metrics.json"))) == 2


@pytest.mark.quick
def test_strategies_side_by_side_on_two_nodes(on_cluster: OnCluster, undisturbed: Run) -> None:
    """Plain Snakemake with the shipped profile, the whole report included; no word is run."""
    data = on_cluster.folder / "$(touch run_by_a_shell)"
    data.symlink_to(on_cluster.settings["data_root"])
    on_cluster.settings |= {
        "strategies": "random,uncertainty,decomp", "references": "full", "full_steps": "6",
        "data_root": str(data),
    }  # fmt: skip
    on_cluster.run()
    assert not list(on_cluster.folder.rglob("run_by_a_shell"))
    same_as(on_cluster, undisturbed, "/initial/", "/uncertainty/", "/decomp/")
    found = submissions(on_cluster)
    assert {row.state for row in found} == {"COMPLETED"}
    cycles = [row for row in found if "group_cycles" in row.name or "cycles_tiny" in row.name]
    assert len(cycles) == 3, "both cycles of a strategy in one submission"
    assert {row.partition for row in cycles} == {"a100"}
    assert {row.node for row in cycles} == {"n1", "n2"}
    for row in cycles:
        shown = on_cluster.cluster.ask("scontrol", "show", "job", row.id) or ""
        assert "TresPerJob=gres:gpu:1\n" in shown
    others = [row for row in found if "prepare" in row.name or "report" in row.name]
    assert {row.partition for row in others} == {"work"}
    assert [row.name[:12] for row in others if "prepare" in row.name] == ["rule_prepare"]
    with (on_cluster.folder / "results/tiny/report/usage.csv").open() as file:
        used = {row["rule"]: float(row["gpu_hours"]) for row in csv.DictReader(file)}
    assert used["train"] > 0 and used["select"] > 0, "the submission holds the GPU"
    one_after_the_other(on_cluster, "random")
    assert "nothing to be done" in on_cluster.run().lower()


def test_shards_are_submissions_of_their_own(on_cluster: OnCluster, undisturbed: Run) -> None:
    goal = "results/tiny/2x3/decomp/seed-0/cycle-003/metrics.json"
    on_cluster.settings["shards"] = "2"
    on_cluster.run(goal)
    found = submissions(on_cluster)
    assert sum("predict" in row.name and "group" not in row.name for row in found) == 4
    expected = undisturbed.files("tiny/2x3/decomp/seed-0/cycle-*/regions.csv")
    assert on_cluster.files("tiny/2x3/decomp/seed-0/cycle-*/regions.csv") == expected
