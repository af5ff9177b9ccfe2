"""Damaged files of a run, which the project wrote itself, and damaged tables of a user."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from al.cli.status import shortfalls_of
from al.cluster.status import read_status
from al.cluster.status_text import status_text
from al.io.arrays import read_arrays
from al.io.labels import read_label, write_label
from al.io.records import Record, read_records, write_shard
from al.layouts import get_layout
from al.report.gather import read_run
from al.scoring.examples import read_examples
from tests.report.run_files import Data, RunFiles, look_at, resolved

from . import FUZZING
from .mutations import damaged, misshapen
from .outcomes import tried

RNG = np.random.default_rng(0)
STRATEGIES = ["random", "decomp"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFiles:
    folder = tmp_path_factory.mktemp("run")
    changes = {"strategies": STRATEGIES, "seeds": 1, "cycles": 2, "run": "r"}
    return RunFiles(folder, resolved("cityscapes_mini", Data(folder), **changes)).write()


def _read(run: RunFiles, file: Path) -> None:
    """Read what `make report` and `make status` read, and pictures."""
    look = look_at(run)
    read_run(run.results, look)
    status_text(read_status("r", run.results.parent))
    shortfalls_of("r", run.results.parent)
    if file.suffix == ".zip":
        read_examples(file)


@FUZZING
@given(data=st.data())
def test_files_of_a_run(run: RunFiles, data: st.DataObject) -> None:
    files = sorted(path for path in run.folder.glob("*/r/**/*") if path.is_file())
    file = data.draw(st.sampled_from(files))
    before = file.read_bytes()
    if file.suffix == ".json" and data.draw(st.booleans()):
        content = json.dumps(data.draw(misshapen([json.loads(before)]))).encode()
    else:
        _, content = data.draw(damaged([before]))
    file.write_bytes(content)
    try:
        tried(lambda: _read(run, file), str(run.folder), "config")
    finally:
        file.write_bytes(before)


MAPS = [RNG.integers(0, 3, (6, 5), np.uint8), RNG.integers(0, 255, (6, 5), np.uint8)]
RECORD = Record("a", 30, np.array([9, 21]), np.array([[5, 7]]), 0.25, *MAPS)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One good file of each kind."""
    folder = tmp_path_factory.mktemp("stored")
    found = {kind: folder / f"a.{kind}" for kind in ("zip", "npz", "label.npz")}
    write_shard(found["zip"], [RECORD])
    with found["npz"].open("wb") as file:
        np.savez(file, features=np.eye(3, dtype=np.float32))
    write_label(found["label.npz"], np.array([MAPS[0]]))
    return found


READERS = {
    "zip": lambda file: [
        np.asarray(m) for r in read_records([file]) for m in (r.labels, r.predicted)
    ],
    "npz": lambda file: list(read_arrays(file).values()),
    "label.npz": lambda file: [read_label(file)],
}


@FUZZING
@given(data=st.data(), kind=st.sampled_from(list(READERS)))
def test_archives(stored: dict[str, Path], data: st.DataObject, kind: str) -> None:
    """They hold checksums: what is read is what was written."""
    good = stored[kind]
    wanted = READERS[kind](good)
    bad = good.with_name("bad." + kind)
    bad.write_bytes(data.draw(damaged([good.read_bytes()]))[1])
    found = tried(lambda: READERS[kind](bad), str(bad))
    if found:  # nothing, where the index of what is in it is gone
        assert all(map(np.array_equal, found, wanted))


TABLE = "image,roi,file,label,split\n" + "".join(
    f"p{i // 2},r{i},{i}.png,{'good' if i % 2 else 'bad'},{'train' if i < 4 else 'test'}\n"
    for i in range(6)
)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("table")
    for i in range(6):
        Image.fromarray(RNG.integers(0, 255, (4, 5, 3), np.uint8)).save(root / f"{i}.png")
    return root / "data_labels.csv"


@FUZZING
@given(made=damaged([TABLE.encode()]))
def test_tables(table: Path, made: tuple[bytes, bytes]) -> None:
    table.write_bytes(made[1])
    classes = ["good", "bad"]
    layout = get_layout("table", {"split_column": "split"}, classes)

    def read() -> list[tuple[str, ...]]:
        rows = layout.index(table.parent)
        layout.check(rows)
        return sorted(
            (r.image, r.roi, Path(r.path).name, classes[layout.open_label(r)], r.split)
            for r in rows
        )

    found = tried(read, str(table.parent), "layout_options")
    if found is None or b'"' in made[1]:
        return
    lines = made[1].decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    cells = [[cell.strip() for cell in line.split(",")] for line in lines if line]
    order = [cells[0].index(name) for name in ("image", "roi", "file", "label", "split")]
    assert found == sorted(tuple(line[i] for i in order) for line in cells[1:])
