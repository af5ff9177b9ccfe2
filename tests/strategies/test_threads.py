"""The number of threads changes nothing that is chosen."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from al.io.records import Record, read_records, write_shard
from al.strategies.budget import Budget
from al.strategies.choose import choose, propose
from al.strategies.query import Query
from al.strategies.registry import REGION_SELECTORS, register_regions
from select_regions import select_regions

from .contract import World, definition

STRATEGIES = ["decomp", "uncertainty", "uncertainty_pool", "random"]


def question(world: World, name: str, folder: Path, threads: int) -> Query:
    """Ask from a shard file whose images are in no order."""
    entry, budget = definition(name), Budget(4, 2, (5, 6))
    history = world.play(entry, 1, budget)
    records = list(world.records(history).values())
    write_shard(folder / "1.zip", records[1::2] + records[::2])

    def read(images: set[str] | None) -> list[Record]:
        return read_records([folder / "1.zip"], images, threads=threads)

    query = world.query(entry, history, 2, budget)
    return replace(query, threads=threads, records=query.records and read)


@pytest.mark.parametrize("task", ["2d", "3d", "roi"])
@pytest.mark.parametrize("name", STRATEGIES)
def test_files_are_the_same_with_any_number(name: str, task: str, tmp_path: Path) -> None:
    world, made = World.make(task, n=9), []
    for threads in (1, 4):
        query = question(world, name, tmp_path, threads)
        paths = [tmp_path / f"{threads}-{kind}" for kind in ("regions", "history", "scores")]
        select_regions(query, *map(str, paths))
        made.append([path.read_bytes() for path in paths])
    assert made[0] == made[1] and made[0][0].count(b"\n") > 5


@pytest.mark.parametrize("task", ["2d", "roi"])
def test_candidates_are_the_same_with_any_number(task: str, tmp_path: Path) -> None:
    world = World.make(task, n=9)
    found = [propose(question(world, "cluster", tmp_path, threads)) for threads in (1, 4)]
    assert found[0] == found[1] and found[0].rows


@pytest.mark.parametrize("threads", [1, 4])
def test_an_error_names_its_image(
    threads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(REGION_SELECTORS, "failing", raising=False)

    def fail(task: object, rng: object) -> list:
        if task.record.image == "image03":
            raise RuntimeError("no windows")
        return []

    register_regions("failing")(fail)
    try:
        query = question(World.make("2d", n=4), "decomp", tmp_path, threads)
        entry = {**query.definition, "regions": "failing"}
        with pytest.raises(RuntimeError, match="no windows") as told:
            choose(replace(query, definition=entry))
        assert told.value.__notes__ == ["while regions of image03 were chosen"]
    finally:
        REGION_SELECTORS.pop("failing")


@pytest.mark.parametrize("threads", [1, 4])
def test_a_prediction_that_is_missing_is_told(threads: int, tmp_path: Path) -> None:
    query = question(World.make("2d", n=4), "decomp", tmp_path, threads)
    read = query.records
    lacking = replace(query, records=lambda images: read(images - {"image02"}))
    with pytest.raises(ValueError, match="no prediction of 'image02'"):
        choose(lacking)
