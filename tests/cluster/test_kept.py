"""Finished results handed back to a job that is asked for again."""

from __future__ import annotations

import contextlib
import os
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from al.cluster.kept import (
    content_hash,
    forget_earlier,
    forget_finished,
    forget_job,
    once,
)
from al.cluster.submissions import block_of

CYCLE = "run/2x3/decomp/seed-0/cycle-002"


class Job(SimpleNamespace):
    """What Snakemake tells a script, as far as it matters here."""


def job(**changes: object) -> Job:
    held = {
        "rule": "predict",
        "input": ["pool.csv", "model"],
        "output": [f"results/{CYCLE}/predictions/1-of-1.zip", f"results/{CYCLE}/images"],
        "params": {"learner": "convnet", "needs": ["labels"]},
        "wildcards": {"seed": "0", "shard": "1"},
    }
    return Job(**{**held, **changes})


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with inputs, inside a submission."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    Path("pool.csv").write_text("image\n")
    Path("model").mkdir()
    Path("model/weights.pt").write_bytes(b"weights")
    yield tmp_path


def make(text: str = "made") -> None:
    file, images = (Path(name) for name in job().output)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    images.mkdir(exist_ok=True)
    (images / "a.png").write_text(text)


def made_again(asked: Job | None = None, text: str = "again") -> bool:
    """Whether a job is made once more, after Snakemake has deleted its outputs."""
    file, images = (Path(name) for name in job().output)
    if file.exists():
        file.unlink()
        (images / "a.png").unlink()
        images.rmdir()
    once(asked or job(), lambda: make(text))
    return file.read_text() == text


def test_the_same_job_gets_its_outputs_back(folder: Path) -> None:
    once(job(), make)
    file, images = (Path(name) for name in job().output)
    assert file.stat().st_nlink == 2, "nothing is copied"
    other = file.with_name("other")
    other.write_text("other")
    other.replace(file)  # as every file of this project appears
    os.utime("model/weights.pt", (1, 1))
    assert not made_again()
    assert file.read_text() == (images / "a.png").read_text() == "made"
    once(job(), lambda: pytest.fail("made over what is there"))


@pytest.mark.parametrize("change", ["params", "wildcards", "input", "model", "outside"])
def test_another_job_does_not(folder: Path, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    once(job(), make)
    asked = job()
    if change == "params":
        asked = job(params={"learner": "convnet", "needs": ["labels", "uncertainty"]})
    elif change == "wildcards":
        asked = job(wildcards={"seed": "0", "shard": "2"})
    elif change == "input":
        Path("pool.csv").write_text("image\na\n")
    elif change == "model":
        Path("model/weights.pt").write_bytes(b"others!")
    else:
        monkeypatch.delenv("SLURM_JOB_ID")
    assert made_again(asked)


def test_only_the_last_is_kept(folder: Path) -> None:
    once(job(), make)
    Path("pool.csv").write_text("image\na\n")
    assert made_again(text="second")
    assert not made_again()
    Path("pool.csv").write_text("image\n")
    assert made_again(text="third"), "the first one is gone"


def test_an_unfinished_keep_is_no_keep(folder: Path) -> None:
    once(job(), make)
    (kept,) = Path("work").glob("**/kept/*/*")
    (kept / "1/a.png").unlink()
    (kept / "1").rmdir()
    assert made_again()


def test_an_archive_is_told_by_its_members(folder: Path) -> None:
    for name, time in (("a.zip", (2000, 1, 1, 0, 0, 0)), ("b.zip", (2020, 1, 1, 0, 0, 0))):
        with zipfile.ZipFile(name, "w") as archive:
            archive.writestr(zipfile.ZipInfo("labels.npy", time), b"123")
    assert content_hash(Path("a.zip")) == content_hash(Path("b.zip"))
    np.savez("c.npz", features=np.arange(3))
    before = content_hash(Path("c.npz"))
    np.savez("c.npz", features=np.arange(3) + 1)
    assert content_hash(Path("c.npz")) != before


@settings(deadline=None)
@given(cycle=st.integers(2, 40), chain=st.integers(1, 12), repeated=st.integers(1, 40))
def test_a_submission_forgets_the_ones_before_it_and_never_itself(
    cycle: int, chain: int, repeated: int
) -> None:
    """Nor a cycle whose training is just being repeated, so that its result is not there."""
    held = {"chain": chain, "shards": 1}
    with tempfile.TemporaryDirectory() as name, contextlib.chdir(name):
        places = {c: f"run/2x3/decomp/seed-0/cycle-{c:03d}" for c in range(2, cycle + 3)}
        places[1] = "run/2x3/initial/seed-0/cycle-001"
        for c, place in places.items():
            Path("work", place, "model").mkdir(parents=True)
            Path("results", place).mkdir(parents=True)
            if c not in (repeated, *range(cycle, cycle + 3)):
                Path("results", place, "training.json").touch()
        other = Path("work/run/2x3/initial/seed-1/cycle-001/model")
        other.mkdir(parents=True)
        forget_earlier(f"work/{places[cycle]}/model", cycle, chain)
        left = {c for c, place in places.items() if Path("work", place).exists()}
        own = block_of(held, cycle)
        assert left == {c for c in places if c > 1 and block_of(held, c) >= own} | (
            {repeated} & set(places)
        )
        assert other.exists()


def test_what_somebody_asked_for_begins_anew(folder: Path) -> None:
    once(job(), make)
    checkpoint = Path("work", CYCLE, "model/key-1/checkpoint.pt")
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    forget_job("evaluate", [f"results/{CYCLE}/metrics.json"])
    assert checkpoint.exists() and not made_again()
    forget_job("train", [f"results/{CYCLE}/model", f"results/{CYCLE}/training.json"])
    assert not checkpoint.exists() and not made_again()
    forget_job("predict", job().output)
    assert made_again()
    forget_job("index_pool", ["results/run/pool.csv"])


def test_what_belongs_to_unfinished_cycles_stays(folder: Path) -> None:
    done, other = Path("work", CYCLE), Path("work", CYCLE.replace("002", "003"))
    for cycle in (done, other):
        (cycle / "model/key-1").mkdir(parents=True)
        (cycle / "kept/metrics.json/key").mkdir(parents=True)
        (cycle / "kept/metrics.json/key/0").write_text("{}")
        (cycle / "model/key-1/checkpoint.pt").write_text("")
    results = Path("results", CYCLE)
    results.mkdir(parents=True)
    (results / "training.json").write_text("{}")
    (results / "metrics.json").write_text("{}")
    forget_finished(Path("work/run"))
    assert not done.exists()
    assert (other / "model/key-1/checkpoint.pt").exists()
    assert (other / "kept/metrics.json/key/0").exists()
