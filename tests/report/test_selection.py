"""What selection takes: which files belong to which selection, sums, medians, what is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from al.io.errors import DataError
from al.report.selection import Selection, read_benchmark, selection_rows

Write = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "benchmarks" / "toy"


@pytest.fixture
def write(folder: Path) -> Write:
    """Write a benchmark file; each of ``rows`` is (seconds, MB)."""

    def write(strategy: str, cycle: int, stage: str, *rows: tuple[Any, Any], seed: int = 0) -> Path:
        path = folder / f"2x3/{strategy}/seed-{seed}/cycle-{cycle:03d}/{stage}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = ["s\th:m:s\tmax_rss\tio_in", *(f"{s}\t0:00:01\t{mb}\tNA" for s, mb in rows)]
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


def _rows(folder: Path) -> dict[str, Selection]:
    predicted = {"coreset": True, "clasp": False, "s": True}
    return {r.strategy: r for r in selection_rows(folder, predicted)}


def test_mean_of_rows_without_missing_cells(write: Write) -> None:
    assert read_benchmark(write("a", 2, "select", (2, 10), (4, 30))) == (3, 20)
    assert read_benchmark(write("a", 2, "select", (2, "NA"), (4, 30))) == (3, 30)
    for missing in ("NA", "-", ""):
        seconds, megabytes = read_benchmark(write("a", 2, "select", (0.25, missing)))
        assert seconds == 0.25 and np.isnan(megabytes)
    assert np.isnan(read_benchmark(write("a", 2, "select"))).all(), "a head alone"


@pytest.fixture
def worked(write: Write, folder: Path) -> Path:
    """One seed, three cycles: core-set with two shards, and clasp, which reads no predictions."""
    write("initial", 1, "train", (100, 9000))
    write("initial", 1, "predict-1", (10, 500))
    write("initial", 1, "predict-2", (12, 700))
    for cycle, predict, propose, embed, select in ((2, 20, 1, 2, 3), (3, 30, 5, 6, 7)):
        write("coreset", cycle, "propose", (propose, 50))
        write("coreset", cycle, "embed", (embed, 800 + cycle))
        write("coreset", cycle, "select", (select, 60))
        write("coreset", cycle, "train", (200 + cycle, 9000))
        if cycle == 2:
            write("coreset", cycle, "predict-1", (predict, 10))
            write("coreset", cycle, "predict-2", (predict + 1, 20))
        for shard in (1, 2):
            write("clasp", cycle, f"patches-{shard}", (10 * cycle * shard, 300 * shard))
        write("clasp", cycle, "select", (0.5, "-"))
        write("clasp", cycle, "train", (50, 9000))
    return folder


def test_worked_example(worked: Path) -> None:
    rows = _rows(worked)
    assert list(rows) == ["clasp", "coreset"]
    core = rows["coreset"]
    assert (core.run, core.budget, core.seeds, core.cycles, core.skipped) == ("toy", "2x3", 1, 2, 0)
    assert core.predict_s == (22 + 41) / 2, "cycle 2 by the first model, cycle 3 by the second's"
    assert core.features_s == (3 + 11) / 2 and np.isnan(core.patches_s)
    assert core.select_s == 5
    assert core.total_s == ((22 + 3 + 3) + (41 + 11 + 7)) / 2
    assert core.train_s == 202.5 and core.share == pytest.approx(43.5 / 202.5)
    assert (core.peak_mb, core.peak_stage) == (803, "embed"), "training has more and is left out"
    clasp = rows["clasp"]
    assert np.isnan(clasp.predict_s) and np.isnan(clasp.features_s)
    assert clasp.patches_s == (60 + 90) / 2
    assert clasp.total_s == (60.5 + 90.5) / 2 and clasp.share == pytest.approx(75.5 / 50)
    assert (clasp.peak_mb, clasp.peak_stage) == (600, "patches")


def test_the_total_is_the_median_of_the_sums(write: Write, folder: Path) -> None:
    rng = np.random.default_rng(0)
    seconds = rng.integers(1, 99, (3, 4, 3)).astype(float)  # seed, selecting 2 to 5, stage
    for seed in range(3):
        for cycle in range(2, 6):
            predict, embed, select = seconds[seed, cycle - 2]
            write("initial" if cycle == 2 else "s", cycle - 1, "predict-1", (predict, 1), seed=seed)
            write("s", cycle, "embed", (embed, 1), seed=seed)
            write("s", cycle, "select", (select, 1), seed=seed)
    row = _rows(folder)["s"]
    expected = [np.median(seconds[..., i]) for i in range(3)]
    assert [row.predict_s, row.features_s, row.select_s] == expected
    assert row.total_s == np.median(seconds.sum(axis=-1)) and (row.seeds, row.cycles) == (3, 12)
    assert np.isnan(row.train_s) and np.isnan(row.share)


def test_cycles_that_lack_a_file_are_skipped(worked: Path, write: Write) -> None:
    (worked / "2x3/coreset/seed-0/cycle-002/predict-2.tsv").unlink()
    row = _rows(worked)["coreset"]
    assert (row.cycles, row.skipped, row.total_s) == (1, 1, 28), "cycle 3 lacks a shard"
    write("coreset", 2, "embed", ("NA", 5))
    row = _rows(worked)["coreset"]
    assert (row.cycles, row.skipped) == (0, 2), "a job without a time counts as missing"
    assert np.isnan([row.total_s, row.share, row.peak_mb]).all() and row.train_s == 202.5


def test_refusals(write: Write, folder: Path) -> None:
    with pytest.raises(DataError, match=r"benchmarks/toy: no benchmark files"):
        selection_rows(folder)
    write("initial", 1, "train", (20, 1))
    assert selection_rows(folder) == [], "no later cycle is no mistake"
    path = write("a", 2, "select", ("fast", 1))
    with pytest.raises(DataError, match=r"select\.tsv: s is \['fast'\], allowed are numbers"):
        selection_rows(folder)
    path.write_text("seconds\tmax_rss\n1\t2\n")
    with pytest.raises(DataError, match=r"select\.tsv: lacks column s$"):
        selection_rows(folder)
