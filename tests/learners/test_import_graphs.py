"""Import of published graphs: from arrays; with dgl and the original library where they are.

``DECOMP_DGL_PYTHON`` names a Python of ``envs/hact_import.yaml`` (dgl, and what we need),
``DECOMP_HISTOCARTOGRAPHY_PYTHON`` one of ``envs/histocartography.yaml``.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from al.cli import histocartography_graphs, import_graphs
from al.cli.import_graphs import find_sources, read_sizes
from al.io.errors import ConfigError, DataError
from al.learners.hact.graph_file import Graphs, Shard
from al.learners.hact.published import RawGraph, assignment_of, node_features, read_bin

ROOT = Path(__file__).parents[2]
KINDS = ("cells", "tissue", "assignments")


def raw(nodes: int, width: int = 6, seed: int = 0, **more: Any) -> RawGraph:
    rng = np.random.default_rng(seed)
    held = {"feat": rng.normal(size=(nodes, width)).astype(np.float32)} | more
    return RawGraph(held, rng.integers(0, nodes, (2, 3 * nodes)))


def one_hot(cells: int, tissue: int) -> np.ndarray:
    matrix = np.zeros((cells, tissue))
    matrix[np.arange(cells), np.arange(cells) * 7 % tissue] = 1
    return matrix


def interpreter(variable: str) -> str:
    named = os.environ.get(variable)
    if not named:
        pytest.skip(f"{variable} names no Python")
    return named


def run(python: str, *words: object, **more: str) -> subprocess.CompletedProcess[str]:
    folders = f"{ROOT}{os.pathsep}{ROOT / 'scripts'}"
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": folders, **more}
    command = [python, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


# Conversion, from arrays


def test_coordinates_are_appended_to_features_without() -> None:
    """And not twice."""
    places = np.array([[0, 50], [20, 10], [40, 0]], np.float32)
    graph = raw(3, 512, centroid=places)
    features = node_features(graph, "a", (40, 100))
    assert features.shape == (3, 514) and features.dtype == np.float32
    np.testing.assert_allclose(features[:, 512:], [[0, 0.5], [0.5, 0.1], [1, 0]])
    np.testing.assert_array_equal(features[:, :512], graph.nodes["feat"])
    assert node_features(raw(3, 514, centroid=places), "a", (40, 100)).shape == (3, 514)


@pytest.mark.parametrize(
    ("graph", "size", "told"),
    [
        (raw(3, 512, centroid=np.ones((3, 2), "f4")), None, "--images or --sizes"),
        (raw(3, 512, centroid=np.full((3, 2), 9, "f4")), (9, 8), "outside their image of 9 x 8"),
        (raw(3, 512, centroid=np.ones((3, 3), "f4")), (9, 9), "centroid has shape"),
        (RawGraph({"h": np.ones((3, 2))}, np.zeros((2, 0), int)), None, "no node data 'feat'.*h"),
        (RawGraph({"feat": np.full((3, 2), np.nan)}, np.zeros((2, 0), int)), None, "finite"),
        (RawGraph({"feat": np.full((3, 2), 1e300)}, np.zeros((2, 0), int)), None, "finite"),
        (RawGraph({"feat": np.ones((3, 2, 2))}, np.zeros((2, 0), int)), None, "floats"),
    ],
)
def test_node_data_that_cannot_be_used(graph: RawGraph, size: Any, told: str) -> None:
    with pytest.raises(DataError, match=told):
        node_features(graph, "BRACS_1: cells", size)


@pytest.mark.parametrize(("cells", "tissue"), [(9, 4), (5, 5), (0, 4)])
def test_assignment(cells: int, tissue: int) -> None:
    matrix = one_hot(cells, tissue)
    found = assignment_of(matrix.astype(bool), cells, tissue, "a")
    assert found.dtype == np.int64
    np.testing.assert_array_equal(found, matrix.argmax(1))


@pytest.mark.parametrize(
    ("matrix", "told"),
    [
        (np.zeros((5, 4)), "5 of 5 nuclei"),
        (np.ones((5, 4)), "5 of 5 nuclei"),
        (np.full((5, 4), 0.25), "0 and 1"),
        (np.zeros((4, 5)), r"shape \(4, 5\); allowed: \(5, 4\)"),
    ],
)
def test_assignment_that_is_none(matrix: np.ndarray, told: str) -> None:
    with pytest.raises(DataError, match=told):
        assignment_of(matrix, 5, 4, "a")


# Files and resumption; what reads them is replaced by reading arrays


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Seven RoIs in two splits, in files that numpy reads."""
    folders = {kind: tmp_path / kind for kind in KINDS}
    for number in range(7):
        split = "train" if number < 4 else "test"
        cells, tissue = raw(5 + number, seed=number), raw(3, 8, number)
        for kind, graph in (("cells", cells), ("tissue", tissue)):
            path = folders[kind] / split / f"roi{number}.bin"
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as file:
                np.savez(file, feat=graph.nodes["feat"], edges=graph.edges)
        path = folders["assignments"] / split / f"roi{number}.h5"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            np.save(file, one_hot(5 + number, 3))

    def read_bin(path: Path) -> RawGraph:
        held = np.load(path)
        return RawGraph({"feat": held["feat"]}, held["edges"])

    monkeypatch.setattr(import_graphs, "read_bin", read_bin)
    monkeypatch.setattr(import_graphs, "read_assignment", np.load)
    return folders


def words(folders: dict[str, Path], out: Path, *more: str) -> list[str]:
    return [w for k, f in folders.items() for w in (f"--{k}", str(f))] + ["--out", str(out), *more]


def contents(path: Path) -> tuple[Any, ...]:
    """All of a shard; its bytes differ, as safetensors orders its header at random."""
    shard = Shard(path)
    graphs = [shard.load(key) for key in shard.keys]
    arrays = [(g.cells.features, g.cells.edges, g.tissue.features, g.assignment) for g in graphs]
    return shard.keys, shard.facts, [array.tobytes() for held in arrays for array in held]


def test_graphs_of_all_splits_are_taken_as_they_are(
    published: dict[str, Path], tmp_path: Path
) -> None:
    assert import_graphs.main(words(published, tmp_path / "out", "--shards", "3")) == 0
    held = Graphs.of(tmp_path / "out")
    assert sorted(held.place) == [f"roi{n}" for n in range(7)] and len(held.shards) == 3
    for number in range(7):
        found = held.load(f"roi{number}")
        cells, tissue = raw(5 + number, seed=number), raw(3, 8, number)
        for made, given in ((found.cells, cells), (found.tissue, tissue)):
            np.testing.assert_array_equal(made.features, given.nodes["feat"])
            np.testing.assert_array_equal(made.edges, given.edges)
        np.testing.assert_array_equal(found.assignment, one_hot(5 + number, 3).argmax(1))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, published: dict[str, Path]) -> set[str]:
    """The names of the graphs that are read from now on."""
    names: set[str] = set()
    reader = import_graphs.read_bin
    monkeypatch.setattr(import_graphs, "read_bin", lambda p: names.add(p.stem) or reader(p))
    return names


def test_second_run_keeps_what_is_finished_and_makes_the_rest(
    published: dict[str, Path], tmp_path: Path, read: set[str]
) -> None:
    call = words(published, tmp_path / "out", "--shards", "3")
    assert import_graphs.main(call) == 0
    paths = sorted((tmp_path / "out").glob("*.safetensors"))
    before = [contents(path) for path in paths]
    kept = paths[0].stat().st_ino
    paths[1].unlink()
    paths[2].write_bytes(paths[2].read_bytes()[:-10])  # cut off
    read.clear()
    assert import_graphs.main(call) == 0
    assert read == {"roi1", "roi2", "roi4", "roi5"}
    assert paths[0].stat().st_ino == kept
    assert [contents(path) for path in paths] == before


def test_changed_sources_are_imported_again(
    published: dict[str, Path], tmp_path: Path, read: set[str]
) -> None:
    """Those of another time, and those of another size of their image."""
    call = words(published, tmp_path / "out")  # 16 shards are wanted, 7 RoIs are there
    assert import_graphs.main(call) == 0
    assert len(Graphs.of(tmp_path / "out").shards) == 7
    os.utime(published["tissue"] / "train" / "roi2.bin", ns=(1, 1))
    table = tmp_path / "sizes.csv"
    table.write_text("name,width,height\nroi4,7,5\n")
    read.clear()
    assert import_graphs.main([*call, "--sizes", str(table)]) == 0
    assert read == {"roi2", "roi4"}


def test_refusals_name_what_is_wrong(
    published: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert import_graphs.main(words(published, out, "--shards", "2")) == 0
    assert import_graphs.main(words(published, out, "--shards", "3")) == 2
    assert "shards of another import: 001-of-002.safetensors" in capsys.readouterr().err
    (published["cells"] / "train" / ".roi9.bin.part").write_text("left by a killed writer")
    for number in range(6):
        (published["tissue"] / ("train" if number < 4 else "test") / f"roi{number}.bin").unlink()
    assert import_graphs.main(words(published, tmp_path / "new")) == 2
    told = capsys.readouterr().err
    assert "(tissue) of roi0, roi1, roi2, roi3, roi4 and 1 more" in told and "roi9" not in told


def test_two_files_of_a_name_and_none_are_refused(published: dict[str, Path]) -> None:
    (published["cells"] / "test" / "roi0.bin").write_text("")
    with pytest.raises(DataError, match="two files of the same name"):
        find_sources(published)
    with pytest.raises(DataError, match="no file"):
        find_sources({**published, "cells": published["assignments"]})


def test_different_numbers_of_features_are_refused(
    published: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = raw(8, 7)
    with (published["cells"] / "train" / "roi3.bin").open("wb") as file:
        np.savez(file, feat=other.nodes["feat"], edges=other.edges)
    assert import_graphs.main(words(published, tmp_path / "out")) == 2
    assert "cells: different numbers of features: 6 (roi0), 7 (roi3)" in capsys.readouterr().err


def test_sizes_from_headers_and_tables(tmp_path: Path) -> None:
    assert read_sizes() == {}
    (tmp_path / "train").mkdir()
    Image.new("RGB", (30, 20)).save(tmp_path / "train" / "a.png")
    assert read_sizes(tmp_path) == {"a": (30, 20)}
    (tmp_path / "train" / "c.png").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"c\.png"):
        read_sizes(tmp_path)
    table = tmp_path / "sizes.csv"
    table.write_text("name,width,height\na,7,5\n")
    assert read_sizes(table=table) == {"a": (7, 5)}
    table.write_text("name,width\na,7\n")
    with pytest.raises(DataError, match="no table"):
        read_sizes(table=table)


# With dgl itself


def test_missing_dgl_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("dgl", "dgl.data", "dgl.data.utils"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ConfigError, match="envs/hact_import.yaml"):
        read_bin(tmp_path / "a.bin")


def test_real_files_of_dgl_come_back_exactly(tmp_path: Path) -> None:
    if importlib.util.find_spec("dgl") and importlib.util.find_spec("h5py"):
        python = sys.executable
    else:
        python = interpreter("DECOMP_DGL_PYTHON")
    done = run(python, ROOT / "tests" / "learners" / "dgl_round_trip.py", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "exact" in done.stdout


# With the original library


def test_environment_without_histocartography_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "histocartography", None)
    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    (tmp_path / "list.csv").write_text(f"path\n{tmp_path / 'a.png'}\n")
    call = ["--images", str(tmp_path / "list.csv"), "--out", str(tmp_path / "out")]
    assert histocartography_graphs.main(call) == 2
    assert "envs/histocartography.yaml" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("path,split\n", "no rows"),
        ("file\na.png\n", "no rows"),
        ("path\nnone.png\n", "no file none.png"),
        ("path,label\nnone.png,DCIS\n", "label"),
    ],
)
def test_lists_that_are_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, told: str
) -> None:
    (tmp_path / "list.csv").write_text(text)
    call = ["--images", str(tmp_path / "list.csv"), "--out", str(tmp_path)]
    assert histocartography_graphs.main(call) == 2
    assert told in capsys.readouterr().err


def test_one_failure_does_not_stop_the_others(tmp_path: Path) -> None:
    rois = [histocartography_graphs.Roi(tmp_path / f"{n}.png", "train", None) for n in "abc"]

    def make(roi: Any) -> None:
        for path in roi.outputs(tmp_path / "out").values():
            with histocartography_graphs.by_rename(path) as temporary:
                temporary.write_text("x")
                if roi.path.stem == "b":
                    raise RuntimeError("no nuclei")

    assert histocartography_graphs.make_all(rois, make) == ["b"]
    assert [histocartography_graphs.is_done(roi, tmp_path / "out") for roi in rois] == [1, 0, 1]
    assert not list((tmp_path / "out").rglob(".*"))


def test_original_pipeline_with_stand_in_weights(tmp_path: Path) -> None:
    python = interpreter("DECOMP_HISTOCARTOGRAPHY_PYTHON")
    done = run(python, ROOT / "tests" / "learners" / "histocartography_kit.py", tmp_path)
    assert done.returncode == 0, done.stderr
    command = ["-m", "al.cli.histocartography_graphs", "--images", tmp_path / "list.csv"]
    command += ["--out", tmp_path / "out", "--nuclei-model", tmp_path / "nuclei.pt"]
    done = run(python, *command, TORCH_HOME=str(tmp_path / "torch"))
    assert done.returncode == 0, done.stderr
    again = run(python, *command, TORCH_HOME=str(tmp_path / "none"))
    assert again.returncode == 0 and "2 of them are there" in again.stdout
    names = {
        "cells": "cell_graphs",
        "tissue": "tissue_graphs",
        "assignments": "assignment_matrices",
    }
    folders = {kind: tmp_path / "out" / name for kind, name in names.items()}
    dgl_python = interpreter("DECOMP_DGL_PYTHON")
    call = words(folders, tmp_path / "graphs", "--shards", "1")
    done = run(dgl_python, "-m", "al.cli.import_graphs", *call)
    assert done.returncode == 0, done.stderr
    held = Graphs.of(tmp_path / "graphs")
    expected = json.loads((tmp_path / "expected.json").read_text())
    with (tmp_path / "list.csv").open() as file:
        stems = [Path(row["path"]).stem for row in csv.DictReader(file)]
    assert sorted(held.place) == sorted(stems)
    for stem in stems:
        graph = held.load(stem)
        assert len(graph.cells) == expected[stem]["nuclei"] and len(graph.tissue) > 1
        assert graph.cells.features.shape[1] == graph.tissue.features.shape[1] == 514
        np.testing.assert_allclose(
            graph.cells.features[:, 512:], expected[stem]["places"], atol=2e-2
        )
