"""The run behind the page: what is due, what fails and is told, what is written for others."""

from __future__ import annotations

import csv
import os
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from al.annotators.assignment import REVEALED, cycle_folder
from al.annotators.maps import map_of
from al.annotators.targets import Work
from al.cli.annotate import RunLoop
from al.cli.next_cycle import Training, command_of, words_of
from al.cluster.launches import Launch, folder_lock, write_launch
from al.cluster.words import make_command, parse_words
from al.config.settings import save_settings
from al.io.errors import DataError
from al.io.files import write_json
from al.io.labels import UNKNOWN, read_label
from al.io.tables import write_pool, write_regions
from al.paths import CHOSEN, SPARES, pool_of
from tests.config.kit import load
from tests.workflow.launches import until

from .kit import World

RESULTS, BEGUN = Path("results/mine"), Path("logs/mine/start.json")
WORK = Work(annotator="an")


class Served(World):
    """A run of one cycle that waits for people, in the working directory."""

    def __init__(self, name: str = "cityscapes_mini") -> None:
        super().__init__(Path(), name)
        same = {"run": "mine", "annotator": "human", "strategies": "decomp", "references": "none"}
        held = load(name, **same, seeds=1, budget="2x2", cycles=1, data_root=str(self.data))
        save_settings(held, RESULTS / "config.yaml")
        write_pool(pool_of(RESULTS, 0), self.rows)
        self.place = cycle_folder(RESULTS, held, 1)
        regions = [target.region for target in self.targets]
        write_regions(self.place / CHOSEN, regions[:3])
        write_regions(self.place / SPARES, regions[3:])

    def loop(self, goes_on: bool = True) -> RunLoop:
        """The loop of a server that is started now."""
        colours = [[0, 0, 0]] * len(self.assignment.classes)
        return RunLoop(RESULTS, self.store, colours, goes_on)

    def annotate(self, *numbers: int) -> None:
        """Finish regions: RoIs as of class 1, others as drawn at random."""
        for number in numbers:
            roi = self.assignment.task == "roi"
            self.store.done(self.targets[number], 1 if roi else self.pixels(number), WORK)

    def check_maps(self, *numbers: int) -> list[Path]:
        """What ``labels/`` holds is what was drawn in these regions; returns its files."""
        targets = [self.targets[number] for number in numbers]
        files = {map_of(self.store, target.row) for target in targets}
        assert set((self.annotations / "labels").iterdir()) == files
        if self.assignment.task == "roi":
            held = {(t.row.image, t.row.roi, self.assignment.classes[1], "an") for t in targets}
            (file,) = files
            rows = list(csv.reader(file.open(encoding="utf-8")))
            assert len(rows) == len(held) + 1 and set(map(tuple, rows[1:])) == held
            return [file]
        for file in files:
            (row,) = (r for r in self.rows if map_of(self.store, r) == file)
            wanted = np.full(row.shape, UNKNOWN, np.uint8)
            for number, target in zip(numbers, targets, strict=True):
                if target.row == row:
                    wanted[target.region.region.slices] = self.pixels(number)
            np.testing.assert_array_equal(read_label(file), wanted)
        return list(files)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["cityscapes_mini", "bracs_mini"])
def test_maps_hold_all_that_is_annotated_also_before_a_kill(name: str) -> None:
    served = Served(name)
    loop = served.loop()
    for number in (0, 1):
        served.annotate(number)
        loop.write_maps()
    served.check_maps(0, 1)
    served.annotate(2)  # and then the server is killed
    served.loop().write_maps()
    files = served.check_maps(0, 1, 2)
    for file in files:
        os.utime(file, (2e9, 2e9))
    served.loop().write_maps()
    assert {file.stat().st_mtime for file in files} == {2e9}, "what is new stays"


def test_the_last_cycle_is_through_when_it_is_trained_and_scored(
    capsys: pytest.CaptureFixture[str],
) -> None:
    served = Served()
    assert served.loop().standing()["state"] == "annotate"
    loop = served.loop(goes_on=False)
    for number in (0, 1, 2):
        loop.tell()
        served.annotate(number)
    loop.complete()
    first, second = (line[7:] for line in capsys.readouterr().out.splitlines())
    assert first == "cycle 1 of 1: 3 regions wait"
    assert second == "Cycle 1 is annotated. To go on: make run, with the same ARGS"

    def told(goes_on: bool = True) -> tuple[str, int]:
        found = served.loop(goes_on).standing()
        return found["state"], found["cycle"]

    assert told() == ("training", 1)
    (served.place / REVEALED).touch()
    assert told() == ("training", 1) and told(goes_on=False) == ("finished", 1)
    (served.place / "training.json").touch()
    assert told() == ("finished", 1)
    write_pool(pool_of(RESULTS, 0), [*served.rows[:1], replace(served.rows[1], split="test")])
    assert told() == ("training", 1)
    (served.place / "metrics.json").touch()
    assert told() == ("finished", 1)


def test_damaged_files_are_told_and_maps_stop_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    served = Served()
    served.annotate(0)
    (served.annotations / "labels").touch()  # where a folder should be
    loop = served.loop()
    loop.complete()
    until(lambda: not loop.training.alive)
    assert str(BEGUN) in loop.training.message, "it was started"
    until(lambda: "label maps" in capsys.readouterr().err)
    (served.place / CHOSEN).write_text("nonsense")
    loop = served.loop()
    assert loop.assignment() is None
    found = loop.standing()
    assert found["state"] == "failed" and CHOSEN in found["message"]


def test_words_that_mean_one_start_are_not_said_again() -> None:
    lasting = "--snakefile S -d train --profile profiles/slurm -p --resources gpu=1 mem_mb=4 -c 2"
    once = "-R train predict --until=evaluate -Fk --omit-from report -Oreport prepare_learner"
    pairs = "--rerun-incomplete --config dataset=images 'run=a b'"
    write_json(BEGUN, {"command": f"snakemake {once} {lasting} {pairs}"})
    assert words_of(RESULTS) == ["-k", *lasting.split(), "--config", "dataset=images", "run=a b"]
    held = "dataset=images 'run=a b' -k --snakefile S -d train -p --resources gpu=1 mem_mb=4 -c 2"
    assert command_of(RESULTS) == f'make run PROFILE=slurm ARGS="{held}"'
    odd = ["--config", "run=$a", 'note="b"', "--profile", "/elsewhere/x"]
    *_, typed = shlex.split(make_command(odd))
    back = shlex.split(typed.removeprefix("ARGS=").replace("$$", "$"))
    assert parse_words(back) == parse_words(odd)


def raises() -> Any:
    raise DataError("it is damaged")


@pytest.mark.parametrize(
    ("words", "due", "message"),
    [
        (lambda: ["--cores", "1"], lambda: 1, "has no recorded end"),
        (lambda: ["--version"], lambda: 1, "cycle 1 is still not trained"),
        (raises, lambda: 1, "it is damaged"),
        (list, raises, "it is damaged"),
        (lambda: ["\0"], lambda: 1, "null byte"),
    ],
    ids=["refused", "nothing changed", "words", "due", "no process"],
)
def test_a_training_that_cannot_be_is_told(
    words: Callable[[], list[str]], due: Callable[[], int], message: str
) -> None:
    write_launch(Path(), Launch("x", "elsewhere", "then", 7))
    training = Training(words, due)
    training.start()
    until(lambda: not training.alive)
    assert message in training.message
    training.start()
    assert training.alive or training.message, "it can be tried again"
    training.stop()


def test_another_snakemake_is_waited_for_and_a_stop_is_heeded() -> None:
    with folder_lock(Path()):
        training = Training(lambda: ["--cores", "1"], lambda: 1)
        training.start()
        until(lambda: "another Snakemake already runs" in training.text)
        assert training.alive and not training.message
        training.stop()
        until(lambda: not training.alive)
    late = Training(lambda: [late.stop() or "--version"], lambda: None)
    late.start()
    until(lambda: not late.alive)
    assert late._process is None, "what is stopped is not started afterwards"
