"""Shard files: exact, compact, read no further than asked, and told apart when damaged."""

from __future__ import annotations

import errno
import json
import tracemalloc
import zipfile
import zlib
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from al.io.errors import DataError
from al.io.records import MAPS, Record, read_records, write_shard

SHAPES = [(1, 1), (5, 7), (1, 9), (3, 4, 5), (40, 33)]


def record(name: str, shape: tuple[int, ...], seed: int = 0) -> Record:
    rng = np.random.default_rng(seed)
    labels, uncertainty = rng.integers(0, 256, (2, *shape), dtype=np.uint8)
    counts = rng.integers(0, 2**40, (4, 3))
    return Record(name, 7, counts[0], counts[1:], rng.random(), labels, uncertainty)


def rois(name: str, count: int) -> Record:
    p = np.random.default_rng(0).dirichlet(np.ones(3), count).astype(np.float32)
    ids = tuple(f"r{k}" for k in range(count))
    return replace(record(name, (1,)), labels=None, uncertainty=p[:, 0], probabilities=p, rois=ids)


def pool() -> list[Record]:
    made = [record(f"i{k}", shape, k) for k, shape in enumerate(SHAPES)]
    made += [rois("some", 4), rois("none", 0)]
    made.append(replace(made[1], image="no maps", labels=None, uncertainty=None))
    turned = np.asfortranarray(made[3].labels)
    made.append(replace(made[3], image="turned", labels=turned, uncertainty=turned[::-1, :, ::-1]))
    numbers = {"unlabelled": np.int64(7), "mean_uncertainty": np.float32(0.1)}
    return [*made, replace(made[1], image="numbers of numpy", **numbers)]


def same(a: Record, b: Record) -> None:
    for field in fields(Record):
        x, y = getattr(a, field.name), getattr(b, field.name)
        if isinstance(x, np.ndarray):
            np.testing.assert_array_equal(x, y, strict=True)
        else:
            assert x == y


@pytest.mark.parametrize("threads", [1, 3])
def test_whatever_is_stored_comes_back(tmp_path: Path, threads: int) -> None:
    write_shard(tmp_path / "1.zip", iter(pool()), threads)
    write_shard(tmp_path / "2.zip", [], threads)
    write_shard(tmp_path / "3.zip", pool()[:2], threads)
    back = read_records([tmp_path / f"{k}.zip" for k in (1, 2, 3)], threads=threads)
    for old, new in zip(pool() + pool()[:2], back, strict=True):
        same(old, new)


def test_smooth_maps_are_small(tmp_path: Path) -> None:
    y, x = np.mgrid[:200, :300]
    waves = 128 + 100 * np.sin(y / 17) * np.cos(x / 23)
    smooth = replace(record("a", (1, 1)), labels=(waves > 128).astype(np.uint8))
    write_shard(tmp_path / "1.zip", [replace(smooth, uncertainty=None)])
    assert (tmp_path / "1.zip").stat().st_size < 0.1 * y.size
    write_shard(tmp_path / "2.zip", [replace(smooth, uncertainty=waves.astype(np.uint8))])
    assert (tmp_path / "2.zip").stat().st_size < 0.8 * y.size


def test_nothing_is_read_beyond_what_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shard(tmp_path / "1.zip", pool())
    read, real = [], zipfile.ZipFile.read
    monkeypatch.setattr(
        zipfile.ZipFile, "read", lambda self, name, *more: read.append(name) or real(self, name)
    )
    (found,) = read_records([tmp_path / "1.zip"], {"i2"})
    assert found.image == "i2" and read == ["index.json", "2/labels", "2/uncertainty"]
    read.clear()
    found = list(read_records([tmp_path / "1.zip"], maps=False))
    assert read == ["index.json"]
    for old, new in zip(pool(), found, strict=True):
        same(replace(old, **dict.fromkeys(MAPS)), new)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("flip", [1, 255])
def test_a_flipped_byte_is_told_or_changes_nothing(tmp_path: Path, flip: int, threads: int) -> None:
    path, records = tmp_path / "1.zip", [record("a", (3, 4)), record("b", (2, 2, 2), 1)]
    write_shard(path, records)
    whole, told = path.read_bytes(), 0
    for k in range(0, len(whole), 1 if threads == 1 else 7):
        path.write_bytes(whole[:k] + bytes([whole[k] ^ flip]) + whole[k + 1 :])
        try:
            found = list(read_records([path], threads=threads))
        except DataError as error:
            assert str(error).startswith(f"{path}: predictions cannot be read")
            told += k % 7 == 0
            continue
        for old, new in zip(records, found, strict=True):
            same(old, new)
    assert len(whole) / 7 / 3 < told < len(whole) / 7  # dates, for one, mean nothing


def test_a_cut_file_is_told_and_a_missing_one_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "1.zip"
    write_shard(path, [record("a", (60, 70))])
    whole = path.read_bytes()
    for cut in (0, 10, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        with pytest.raises(DataError, match=r"1\.zip: predictions cannot be read"):
            list(read_records([path]))
    path.unlink()
    with pytest.raises(DataError, match=r"1\.zip: predictions cannot be read, not there"):
        list(read_records([path]))


ENTRY = {
    "image": "a", "unlabelled": 1, "predicted": [1], "confident": [[1]], "mean_uncertainty": 0.5,
    "rois": [], "maps": {"labels": ["|u1", [60, 70]]},
}  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [
        {"dtype": "|O", "shape": [525]},
        {"shape": [61, 70]},
        {"shape": [59, 70]},
        {"shape": [-60, -70, 2]},
        {"shape": [-1]},
        {"entries": [{"image": "a"}]},
        {"entries": ["a"]},
        {"entries": 1},
        {"entries": [{**ENTRY, "predicted": "a"}]},
        {"entries": [{**ENTRY, "maps": {"image": ["|u1", [60, 70]]}}]},
        {"data": zlib.compress(bytes(4201))},
    ],
)
def test_an_index_that_does_not_fit_is_refused(tmp_path: Path, change: dict) -> None:
    kind = [change.get("dtype", "|u1"), change.get("shape", [60, 70])]
    entries = change.get("entries", [{**ENTRY, "maps": {"labels": kind}}])
    with zipfile.ZipFile(tmp_path / "1.zip", "w") as archive:
        archive.writestr("0/labels", change.get("data", zlib.compress(bytes(4200))))
        archive.writestr("index.json", json.dumps(entries))
    with pytest.raises(DataError, match=r"1\.zip: predictions cannot be read"):
        list(read_records([tmp_path / "1.zip"]))


def test_no_more_is_inflated_than_the_index_says(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "1.zip", "w") as archive:
        archive.writestr("0/labels", zlib.compress(bytes(1 << 25)))
        archive.writestr("index.json", json.dumps([ENTRY]))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="expected 4200"):
            list(read_records([tmp_path / "1.zip"]))
        assert tracemalloc.get_traced_memory()[1] < 1 << 22
    finally:
        tracemalloc.stop()


def test_a_disk_error_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_shard(tmp_path / "1.zip", [record("a", (3, 4))])

    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(zipfile.ZipExtFile, "read", fail)
    with pytest.raises(OSError, match="Input/output error"):
        list(read_records([tmp_path / "1.zip"]))


def test_records_cannot_be_written_to(tmp_path: Path) -> None:
    write_shard(tmp_path / "1.zip", pool()[:1])
    (found,) = read_records([tmp_path / "1.zip"])
    for name in ("labels", "uncertainty"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(found, name)[0, 0] = 1


def test_a_failing_predictor_leaves_no_file(tmp_path: Path) -> None:
    def failing() -> object:
        yield record("a", (2, 2))
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        write_shard(tmp_path / "1.zip", failing())
    assert list(tmp_path.iterdir()) == []
