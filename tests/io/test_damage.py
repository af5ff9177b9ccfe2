"""Damaged files of a run: each is told with its name and what to do, and none fills the memory."""

from __future__ import annotations

import io
import json
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from al.io.arrays import read_arrays, write_arrays
from al.io.errors import DataError
from al.io.files import file_name, read_json, short_name, write_json
from al.io.images_csv import read_statistics
from al.io.labels import read_label, write_label
from al.io.records import read_records
from al.io.tables import (
    LabelRow,
    PoolRow,
    RegionRow,
    read_labels,
    read_pool,
    read_regions,
    write_labels,
    write_pool,
    write_regions,
)
from al.io.truth import read_truth
from al.strategies.batch import read_candidates

ROW = RegionRow(1, "a", "window", None, 3, 4, None, 5, 6, "", 2, 0.5, 0)


def make(folder: Path) -> dict[str, Callable[[], Any]]:
    """Write a file of each kind; returns how each is read."""
    write_pool(folder / "pool.csv", [PoolRow("a", "", "train", "a.png", "b.png", (5, 6))])
    write_regions(folder / "history.csv", [ROW])
    write_labels(folder / "labels.csv", [LabelRow("a", "", "labels/a.png", None)])
    (folder / "images.csv").write_text(
        "image,unlabelled,uncertainty,predicted[x],confident>0.7[x]\na,3,0.5,2,1\n"
    )
    write_json(folder / "truth.json", {"a": [3, 4]})
    write_json(folder / "training.json", {"steps": 3, "seconds": 0.5})
    write_label(folder / "a.png", np.zeros((5, 6), np.uint8))
    write_label(folder / "a.npz", np.zeros((4, 5, 6), np.uint8))
    write_arrays(folder / "features.npz", {"features": np.eye(1, dtype=np.float32)})
    return {
        "pool.csv": lambda: read_pool(folder / "pool.csv"),
        "history.csv": lambda: read_regions(folder / "history.csv"),
        "labels.csv": lambda: read_labels(folder / "labels.csv"),
        "images.csv": lambda: read_statistics(folder / "images.csv", ["x"], 0.7),
        "truth.json": lambda: read_truth(folder / "truth.json", 1, ["a"]),
        "training.json": lambda: read_json(folder / "training.json", steps=int, seconds=float),
        "a.png": lambda: read_label(folder / "a.png", (5, 6)),
        "a.npz": lambda: read_label(folder / "a.npz", (4, 5, 6)),
        "features.npz": lambda: read_candidates([ROW], folder / "features.npz", {}),
    }


def test_whatever_is_cut_or_of_another_form_is_told(tmp_path: Path) -> None:
    readers = make(tmp_path)
    for name, read in readers.items():
        read()
        path = tmp_path / name
        whole = path.read_bytes()
        # Lines that are lost whole cannot be seen, nor the last bytes of an object or a PNG.
        for cut in range(len(whole) - {".png": 12, ".json": 1}.get(path.suffix, 0)):
            if path.suffix == ".csv" and whole[:cut].endswith(b"\n"):
                continue
            path.write_bytes(whole[:cut])
            with pytest.raises(DataError, match=rf"{name}: .*To do: "):
                read()
        for other in (b"[]\n", b"null\n", b"hello\n", bytes(range(256)), b"{}\n"):
            path.write_bytes(other)
            with pytest.raises(DataError, match=rf"{name}: .*To do: "):
                read()
        path.unlink()
        with pytest.raises(DataError, match=rf"{name}: .*not there.*To do: "):
            read()


@pytest.mark.parametrize(
    ("column", "values"),
    [("y", ["", "-1", "x", "1e3", " 1", "²"]), ("kind", ["box", ""]), ("height", ["0", ""])],
)
def test_regions_that_are_none_are_told(tmp_path: Path, column: str, values: list[str]) -> None:
    write_regions(tmp_path / "regions.csv", [ROW])
    head, line = (text.split(",") for text in (tmp_path / "regions.csv").read_text().splitlines())
    for value in values:
        cells = [value if name == column else cell for name, cell in zip(head, line, strict=True)]
        (tmp_path / "regions.csv").write_text(f"{','.join(head)}\n{','.join(cells)}\n")
        with pytest.raises(DataError, match=r"regions\.csv: "):
            read_regions(tmp_path / "regions.csv")


def bombs(folder: Path) -> dict[str, Callable[[], Any]]:
    """Small files that say they are 6 GB, each of its kind."""
    with zipfile.ZipFile(folder / "deflated.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("index.json", b" " * (1 << 27))
    entry = {"image": "a", "unlabelled": 1, "predicted": [1], "confident": [[1]], "rois": []}
    entry |= {"mean_uncertainty": 0.5, "maps": {"labels": ["|u1", [1 << 13, 1 << 14]]}}
    with zipfile.ZipFile(folder / "maps.zip", "w") as archive:
        archive.writestr("index.json", json.dumps([entry]))
        archive.writestr("0/labels", zlib.compress(bytes(1 << 27)))
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "|u1", "fortran_order": False, "shape": (6 << 30,)}
    )
    with zipfile.ZipFile(folder / "head.npz", "w") as archive:
        archive.writestr("labels.npy", head.getvalue())
    for name in ("zeros.npz", "more.npz"):
        np.savez_compressed(folder / name, labels=np.zeros((1 << 9, 1 << 9, 1 << 9), np.uint8))
    Image.new("L", (1 << 13, 1 << 14)).save(folder / "large.png")
    shapes = {"a": (5, 6)}
    return {
        "deflated.zip": lambda: list(read_records([folder / "deflated.zip"])),
        "maps.zip": lambda: list(read_records([folder / "maps.zip"], shapes=shapes)),
        "head.npz": lambda: read_arrays(folder / "head.npz"),
        "more.npz": lambda: read_arrays(folder / "more.npz"),
        "zeros.npz": lambda: read_label(folder / "zeros.npz", (5, 6, 7)),
        "large.png": lambda: read_label(folder / "large.png", (5, 6)),
    }


def test_what_a_file_says_of_its_size_is_not_believed(tmp_path: Path) -> None:
    for name, read in bombs(tmp_path).items():
        assert (tmp_path / name).stat().st_size < 1 << 20
        tracemalloc.start()
        with pytest.raises(DataError, match=f"{name}: "):
            read()
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert most < 1 << 24, name


@given(st.lists(st.text(min_size=1, max_size=300), max_size=5, unique=True))
def test_any_text_has_a_file_name_of_its_own(names: list[str]) -> None:
    names = [n for n in names if n.isprintable()] + ["河" * 90 + "1", "河" * 90 + "2", "a/b", "a b"]
    made = {file_name(name) for name in names}
    assert len(made) == len(set(names))
    assert all(len(name) <= 200 and "/" not in name and name.isascii() for name in made)
    assert file_name("a b.c") == "a%20b.c" and len(short_name("é" * 150).encode()) <= 200
