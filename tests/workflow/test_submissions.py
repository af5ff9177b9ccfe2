"""Which jobs travel together, and for how long."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from al.cluster.submissions import (
    KINDS,
    cycle_minutes,
    group_minutes,
    job_minutes,
    longest_chain,
    submission_of,
)
from al.config.checks import check_submissions
from al.config.settings import read_yaml
from al.io.errors import ConfigError
from al.io.tables import read_labels, read_pool
from al.layouts import get_layout
from al.learners import FitJob, get_learner

from .conftest import ROOT, Run
from .test_killed import INITIAL, STEPS

MINUTES = {"select": 2, "train": 25, "full": 120, "predict": 4, "evaluate": 3, "other": 1}
# One cycle of a strategy that chooses by features, as rules/ have them.
JOBS = (
    "propose_regions", "embed_regions", "select_regions", "reveal_labels", "train", "evaluate",
    "predict", "score_images",
)  # fmt: skip


def settings(**changes: Any) -> dict[str, Any]:
    return {"minutes": MINUTES, "chain": 4, "shards": 1, "max_minutes": 1440, **changes}


def place(strategy: str, cycle: int) -> dict[str, str]:
    return {
        "run": "bracs", "budget": "1x15", "strategy": strategy, "seed": "0", "cycle": f"{cycle:03d}"
    }  # fmt: skip


def test_cycles_are_dealt_into_submissions() -> None:
    names = [submission_of(settings(), "train", place("decomp", c)) for c in range(2, 11)]
    assert [names.index(name) for name in names] == [0, 0, 0, 0, 4, 4, 4, 4, 8]
    first = submission_of(settings(), "train", place("initial", 1))
    assert first not in names
    assert submission_of(settings(), "predict_initial", place("initial", 1)) == first
    assert len({submission_of(settings(), rule, place("decomp", 3)) for rule in JOBS}) == 1


def test_shards_leave_the_submission_and_nothing_waits_in_a_circle() -> None:
    """Scores wait for predictions that wait for the cycle, so they go with the next cycle."""
    spread = settings(shards=2)
    assert submission_of(spread, "predict", place("decomp", 3)) is None
    assert submission_of(spread, "predict_initial", place("initial", 1)) is None
    assert submission_of(spread, "score_images", place("initial", 1)) is None
    third = submission_of(spread, "train", place("decomp", 3))
    assert submission_of(spread, "score_images", place("decomp", 2)) == third
    assert submission_of(spread, "score_images", place("decomp", 3)) != third
    assert submission_of(spread, "train", place("decomp", 4)) != third


@given(
    chain=st.integers(1, 60),
    attempt=st.integers(1, 6),
    minutes=st.fixed_dictionaries({kind: st.integers(1, 300) for kind in MINUTES}),
)
def test_a_submission_never_asks_for_more_than_is_granted(
    chain: int, attempt: int, minutes: dict[str, int]
) -> None:
    held = settings(chain=chain, minutes=minutes)
    fits = all(needed <= held["max_minutes"] for needed in group_minutes(held).values())
    if not fits:
        with pytest.raises(ConfigError, match="max_minutes 1440"):
            check_submissions(held)
        return
    check_submissions(held)
    asked = chain * sum(job_minutes(held, rule, attempt) for rule in JOBS)
    assert asked <= held["max_minutes"]
    if attempt == 1:
        assert asked == chain * sum(minutes[KINDS.get(rule, "other")] for rule in JOBS)
    else:
        assert all(job_minutes(held, r, attempt) >= job_minutes(held, r, 1) for r in JOBS)


def test_the_advice_fits() -> None:
    long = settings(chain=200)
    with pytest.raises(ConfigError, match=f"chain: {longest_chain(long)} fits"):
        check_submissions(long)
    check_submissions(settings(chain=longest_chain(long)))
    with pytest.raises(ConfigError):
        check_submissions(settings(chain=longest_chain(long) + 1))
    assert cycle_minutes(settings()) <= 1440 // longest_chain(long)


def test_a_week_of_training_is_not_repeated_unasked(undisturbed: Run, tmp_path: Path) -> None:
    """A changed time of an input, as a copied folder has it, stops the run before its first job."""
    run = Run(tmp_path / "copied", undisturbed.settings)
    shutil.copytree(undisturbed.folder, run.folder)
    model = run.files("tiny/2x3/initial/seed-0/cycle-001/model/weights.pt")
    labels = run.folder / "results/tiny/2x3/initial/seed-0/cycle-001/labels.csv"
    labels.write_text(labels.read_text() + "\n")
    printed = run.run("--cores", "1", fails=True)
    assert "finished trainings would be made again" in printed and str(labels.name) in printed
    assert "--forcerun train" in printed and "--touch" in printed
    assert run.files("tiny/2x3/initial/seed-0/cycle-001/model/weights.pt") == model
    (line,) = [line for line in printed.splitlines() if line.strip().startswith("--touch ")]
    files = line.split()[1:]
    assert len(files) == 3 and all(file.endswith("training.json") for file in files)
    run.run("--cores", "1", "--touch", *files)
    assert "Nothing to be done" in run.run("--cores", "1", *files)
    assert run.files("tiny/2x3/initial/seed-0/cycle-001/model/weights.pt") == model


def test_a_training_asked_for_does_not_resume(undisturbed: Run, tmp_path: Path) -> None:
    """In the middle of a run, where the checkpoints of finished trainings still lie."""
    run = Run(tmp_path / "middle", undisturbed.settings)
    shutil.copytree(undisturbed.folder, run.folder)
    first = f"tiny/{INITIAL}"
    goal = f"results/{first}/training.json"
    log = run.folder / "logs" / first / "train.log"
    leave_checkpoint(run, first, tmp_path / "first")
    run.run("--cores", "1", goal, "--forcerun", "train")
    assert "resumed" not in log.read_text()
    # What a Snakemake leaves that is killed while it sets the times of a submission's files: no
    # training is lost by going on, so that nothing is refused.
    leave_checkpoint(run, first, tmp_path / "second")
    labels = run.folder / "results" / first / "labels.csv"
    labels.write_text(labels.read_text() + "\n")
    run.run("--cores", "1", goal)
    assert "resumed at step 6" in log.read_text()


def leave_checkpoint(run: Run, cycle: str, scratch: Path) -> None:
    """Put the checkpoint of a cycle's finished training where an unfinished run has it."""
    train_afresh(run.folder / "results/tiny", scratch)
    place = run.folder / "work" / cycle / "model"
    shutil.rmtree(place, ignore_errors=True)
    place.parent.mkdir(parents=True, exist_ok=True)
    (scratch / "work").rename(place)
    assert list(place.glob("key-*/checkpoint.pt"))


def train_afresh(results: Path, out: Path) -> bytes:
    """Weights of the first cycle's training on its present labels, without the workflow."""
    config = read_yaml(results / "config.yaml")
    job = FitJob(
        layout=get_layout(config["layout"], config["layout_options"], config["classes"]),
        rows={row.key: row for row in read_pool(results / "pools/seed-0.csv", "train")},
        labels=read_labels(results / INITIAL / "labels.csv"),
        out=out / "model",
        work=out / "work",
        seed=0,
        steps=STEPS,
        settings=config["convnet"],
        classes=config["classes"],
        task=config["task"],
        previous=None,
    )
    get_learner("convnet").fit(job)
    return (out / "model/weights.pt").read_bytes()


def test_every_rule_of_a_cycle_says_where_it_goes() -> None:
    """A rule without a group would be a submission of its own in every cycle."""
    text = "".join((ROOT / f"rules/{n}.smk").read_text() for n in ("select", "predict"))
    text += "".join((ROOT / f"rules/{n}.smk").read_text() for n in ("train", "evaluate"))
    for rule in JOBS:
        assert f'submission("{rule}")' in text and f'minutes("{rule}")' in text
