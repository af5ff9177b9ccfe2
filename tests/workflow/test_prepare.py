"""Data that a learner prepares once for all runs on a dataset."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import prepare_learner
from al.cluster.requests import requests
from al.cluster.retrain import RetrainRefused, refuse_retraining
from al.cluster.words import parse_words
from al.config import start
from al.config.prepared import preparation
from al.config.settings import read_yaml
from al.generators import generate
from al.io.errors import ConfigError
from al.io.files import read_json, write_json
from al.io.tables import PoolRow
from al.layouts import get_layout
from al.learners import describe_learner
from evaluate import score_model
from tests.config.kit import ROOT, Planned, config, load

from .conftest import TINY, Run

CLASSES = ["background", "kidney", "tumour", "cyst"]
LAYOUT = {"name": "kits23", "options": {"grid": [12, 8]}, "classes": CLASSES}


@pytest.fixture(scope="module")
def kidneys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "kidneys"
    generate("kits23_mini", root, 0, cases=3, depth=8, side=24)
    return root


def prepared(**changes: Any) -> str:
    """Return the folder of a run on the generated kidneys with some settings changed."""
    fixed = {"learner": "nnunet"}
    found = preparation(load("kits23_mini", **fixed, **changes))
    assert found is not None
    return found.folder


def test_only_some_learners_prepare() -> None:
    assert describe_learner("convnet").of({}).preparation() == {}
    assert preparation(load()) is None
    assert describe_learner("nnunet").prepares
    assert re.fullmatch(r"data/prepared/kits23_mini-nnunet-[0-9a-f]{10}", prepared())


@pytest.mark.parametrize(
    "changes",
    [
        {"run": "other", "seeds": 5, "budget": "1x1", "cycles": 9, "strategies": "random"},
        {"steps": 7, "region": "5x5"},
        {"layout_options": {"grid": [12, 8]}},
        {"nnunet": {"iterations": 5}},
        {"nnunet": {"workers": 2}},
        {"nnunet": {"planner": "ExperimentPlanner"}},
    ],
)
def test_runs_on_the_same_data_share_what_is_prepared(changes: dict[str, Any]) -> None:
    assert prepared(**changes) == prepared()


@pytest.mark.parametrize(
    "changes",
    [
        {"nnunet": {"configuration": "3d_lowres"}},
        {"nnunet": {"spacing": [2, 2, 2]}},
        {"layout_options": {"exclude": ["case_00000"]}},
        {"classes": ["nothing", "kidney", "tumour", "cyst"], "groups": None},
        {"generate": {"seed": 1}},
        {"generate": {"cases": 4}},
        {"generate": {"cases": 4}, "layout_options": {"exclude": ["case_00000"]}},
    ],
)
def test_other_data_are_prepared_elsewhere(changes: dict[str, Any]) -> None:
    if "groups" in changes:
        changes = {**changes, "surface_tolerances": None}
    assert prepared(**changes) != prepared()


def test_the_place_of_the_data_counts_however_it_is_written(
    kidneys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(kidneys.parent)
    assert prepared(data_root="kidneys") == prepared(data_root=str(kidneys))
    assert prepared(data_root=str(tmp_path)) != prepared(data_root=str(kidneys))


class Fake:
    """A learner that notes what it is asked."""

    segments_full = True
    asked: list[Any] = []

    def prepare(
        self,
        layout: Any,
        rows: Sequence[PoolRow],
        folder: Path,
        settings: dict[str, Any],
        classes: Sequence[str],
    ) -> None:
        """Write the shapes."""
        shapes = {row.image: layout.open_full(row).shape for row in rows}
        assert shapes == {row.image: row.shape for row in rows}
        write_json(folder / "plans.json", {"images": sorted(shapes), "settings": settings})

    def open(self, model: Path, layout: Any, settings: Any) -> Fake:
        """Return itself as the model."""
        self.layout = layout
        return self

    def segment(self, row: PoolRow, full: bool = False) -> np.ndarray:
        """Return the truth on the file's grid."""
        assert full
        return self.layout.open_scored_label(row)


def test_all_images_are_prepared_on_the_files_grid(
    kidneys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prepare_learner, "get_learner", lambda name: Fake())
    plain = {**LAYOUT, "options": {}}
    plans = tmp_path / "prepared/plans.json"
    given = config("kits23_mini", data_root=str(kidneys))
    prepare_learner.prepare_learner(given, plain, "nnunet", {"batch": 2}, str(plans))
    found = json.loads(plans.read_text())
    assert found == {"images": [f"case_{n:05d}" for n in range(3)], "settings": {"batch": 2}}


def test_a_learner_may_answer_on_the_files_grid(
    kidneys: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("evaluate.get_learner", lambda name: Fake())
    rows = get_layout(**LAYOUT).index(kidneys)
    science = {"task": "3d", "settings": {}, "groups": None, "background": 0}
    assert score_model("model", rows, "nnunet", LAYOUT, science)["score"] == 1
    assert {row.shape for row in rows} != {(8, 24, 24)}


def test_what_was_not_known_at_the_first_start_is_added(
    kidneys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    answer = {"version": "2.8"}

    def identity(section: Any, known: Any) -> dict[str, Any]:
        told.append((known.classes, known.rows, known.layout.wanted))
        return answer

    learner = type("L", (), {"identity": staticmethod(identity), "check_start": lambda *args: None})
    monkeypatch.setattr(start, "get_learner", lambda name: learner())
    settings = {"learner": "mmseg", "mmseg": {}, "classes": CLASSES}
    file = tmp_path / "learner.json"

    def check(rows: Sequence[PoolRow]) -> dict[str, Any] | None:
        found = start._check_learner(Planned(["train"]), settings, LAYOUT, rows, file)
        write_json(file, found)
        return found

    assert check([]) == answer
    answer = {"version": "2.8", "plan": {"patch": [8, 8, 8]}}
    rows = get_layout(**LAYOUT).index(kidneys)
    assert check(rows) == answer
    assert told == [(CLASSES, [], (12, 8)), (CLASSES, rows, (12, 8))]
    before, answer = answer, {"version": "2.8"}
    assert check([]) == before == read_json(file)
    answer = {"version": "2.8", "plan": {"patch": [8, 8, 9]}}
    with pytest.raises(ConfigError, match=r"plan\.patch: \[8, 8, 8\] -> \[8, 8, 9\]"):
        check(rows)


SETTINGS = {
    **TINY,
    "dataset": "kits23_mini",
    "learner": "nnunet",
    "cycles": "2",
    "references": "full",
}


def test_a_plan_prepares_once_before_the_first_training(tmp_path: Path) -> None:
    run = Run(tmp_path, {**SETTINGS, "seeds": "2"})
    printed = run.run("-n")
    (line,) = re.findall(r"^prepare_learner +(\d+)$", printed, re.MULTILINE)[:1]
    assert line == "1"
    (block,) = re.findall(r"rule prepare_learner:\n(.*?)\n\n", printed, re.DOTALL)
    assert "input: data/kits23_mini/.complete" in block
    place = re.search(r"output: (data/prepared/kits23_mini-nnunet-[0-9a-f]{10})/plans", block)
    assert place is not None
    assert f"log: logs/{place[1]}.log" in block and "runtime=20" in block
    for name in ("train", "train_reference"):
        block = re.findall(rf"rule {name}:\n(.*?)\n\n", printed, re.DOTALL)[0]
        assert f"{place[1]}/plans.json" in block
    other = run.run("-n", run="other", budget="1x2", layout_options="{grid: [12, 8]}")
    assert f"{place[1]}/plans.json" in other


def test_it_is_a_submission_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    profile = ["--profile", str(ROOT / "profiles/slurm")]
    pairs = [f"{k}={v}" for k, v in SETTINGS.items()]
    for learner, asked in (("nnunet", True), ("convnet", False)):
        request = parse_words([*profile, *pairs, f"learner={learner}"])
        found = {name: held for held in requests(request.options, ROOT / "Snakefile")
                 for name in held.names if held.attempt == 1}  # fmt: skip
        assert ("prepare_learner" in found) == asked
        if asked:
            words = " ".join(found["prepare_learner"].words)
            assert "-p work -t 20 " in words and "--cpus-per-task=4" in words and "gpu" not in words


def test_ground_truth_normalises_references_alone() -> None:
    section = {"foreground": "labels"}
    with pytest.raises(ConfigError, match="allowed with strategies=none"):
        load("kits23_mini", learner="nnunet", nnunet=section)
    found = load("kits23_mini", learner="nnunet", nnunet=section, strategies="none")
    assert found["strategies"] == []


LOST = "data/prepared/x/plans.json"


class Job:
    """A job of a plan, as ``refuse_retraining`` looks at one."""

    def __init__(self, rule: str, output: str) -> None:
        self.rule, self.output = type("Rule", (), {"name": rule}), [output]


class Dag:
    """A plan of such jobs, none of them forced."""

    def __init__(self, *jobs: Job) -> None:
        self.jobs = jobs

    def needrun_jobs(self) -> list[Job]:
        """Return all jobs."""
        return list(self.jobs)

    def reason(self, job: Job) -> Any:
        """Return a reason that was not forced."""
        return type("Reason", (), {"forced": False})()


def test_finished_trainings_outlive_what_was_prepared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Snakemake plans them again where an ancient input is gone."""
    monkeypatch.chdir(tmp_path)
    done = Path("results/tiny/2x3/initial/seed-0/cycle-001/training.json")
    write_json(done, {})
    dag = Dag(Job("prepare_learner", LOST), Job("train", str(done)))
    with pytest.raises(
        RetrainRefused, match=f"{LOST} is gone.*1 finished(.|\\n)*the target prepare"
    ):
        refuse_retraining(dag)
    done.unlink()
    refuse_retraining(dag)


@pytest.mark.parametrize("file", sorted((ROOT / "config/experiments").glob("*.yaml")))
def test_every_experiment_resolves(file: Path, tmp_path: Path) -> None:
    held = {"data_root": str(tmp_path), **read_yaml(file)}
    dataset = held.pop("dataset", "hippocampus")
    learner = "hact" if dataset == "bracs" else "nnunet"
    steps = {key: held.pop(key)[learner] for key in ("steps", "full_steps") if key in held}
    found = load(dataset, **{"learner": learner, **held, **steps})
    assert found["learner"] == learner
    assert found["references"] == ["full"]
