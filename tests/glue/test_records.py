"""Shard files: exact, compact, read no further than asked, and told apart when damaged."""

from __future__ import annotations

import errno
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from al.io.differences import add_up, differences
from al.io.errors import DataError
from al.io.records import COUNTS, MAPS, Record, read_records, write_shard

SHAPES = [(1, 1), (5, 7), (1, 9), (9, 1), (3, 4, 5), (1, 6, 2), (40, 33)]


def record(name: str, shape: tuple[int, ...], seed: int = 0) -> Record:
    rng = np.random.default_rng(seed)
    labels, uncertainty = rng.integers(0, 256, (2, *shape), dtype=np.uint8)
    counts = rng.integers(0, 2**40, (4, 3))
    return Record(name, 7, counts[0], counts[1:], rng.random(), labels, uncertainty)


def pool() -> list[Record]:
    made = [record(f"i{k}", shape, k) for k, shape in enumerate(SHAPES)]
    made.append(replace(made[1], image="no maps", labels=None, uncertainty=None))
    turned = np.asfortranarray(made[4].labels)
    made.append(replace(made[4], image="turned", labels=turned, uncertainty=turned[::-1, :, ::-1]))
    return made


def same(a: Record, b: Record) -> None:
    for name in ("image", "unlabelled", "mean_uncertainty", "rois"):
        assert getattr(a, name) == getattr(b, name)
    for name in (*COUNTS, *MAPS):
        x, y = getattr(a, name), getattr(b, name)
        assert (x is None) == (y is None)
        if x is not None:
            assert x.dtype == y.dtype
            np.testing.assert_array_equal(x, y, strict=True)


def slow_differences(values: np.ndarray) -> np.ndarray:
    """Each value less the sum, over corners before it, of signed values: in Python's integers."""
    out = np.zeros(values.shape, np.uint8)
    for at in np.ndindex(values.shape):
        total = 0
        for back in np.ndindex((2,) * values.ndim):
            if all(i >= b for i, b in zip(at, back, strict=True)):
                corner = tuple(i - b for i, b in zip(at, back, strict=True))
                total += (-1) ** sum(back) * int(values[corner])
        out[at] = total % 256
    return out


@pytest.mark.parametrize("shape", [(6,), (0, 3), (2, 0), *SHAPES])
def test_differences_are_the_slow_ones_and_come_back(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(1).integers(0, 256, shape, dtype=np.uint8)
    before = values.copy()
    found = differences(values)
    np.testing.assert_array_equal(found, slow_differences(values))
    add_up(found)
    np.testing.assert_array_equal(found, values)
    np.testing.assert_array_equal(before, values)


@pytest.mark.parametrize("threads", [1, 3])
def test_whatever_is_stored_comes_back(tmp_path: Path, threads: int) -> None:
    write_shard(tmp_path / "1.zip", iter(pool()), threads)
    write_shard(tmp_path / "2.zip", pool()[:2], threads)
    back = list(read_records([tmp_path / "1.zip", tmp_path / "2.zip"], threads=threads))
    for old, new in zip(pool() + pool()[:2], back, strict=True):
        same(old, new)


def test_rois_and_floats_come_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(3), 4).astype(np.float32)
    counts = rng.integers(0, 9, (2, 3))
    old = Record("a", 4, counts[0], counts, 0.1 + 0.2, None, p[:, 0].copy(), p, tuple("wxyz"))
    write_shard(tmp_path / "1.zip", [old])
    same(old, *read_records([tmp_path / "1.zip"]))


def test_a_shard_without_images(tmp_path: Path) -> None:
    write_shard(tmp_path / "1.zip", [])
    assert list(read_records([tmp_path / "1.zip"])) == []


def test_the_same_records_give_the_same_checksums(tmp_path: Path) -> None:
    for name, threads in (("1.zip", 1), ("2.zip", 4)):
        write_shard(tmp_path / name, pool(), threads)
    kept = []
    for name in ("1.zip", "2.zip"):
        with zipfile.ZipFile(tmp_path / name) as archive:
            kept.append([(i.filename, i.CRC, i.file_size) for i in archive.infolist()])
    assert kept[0] == kept[1]


def test_smooth_maps_are_small(tmp_path: Path) -> None:
    y, x = np.mgrid[:200, :300]
    waves = 128 + 100 * np.sin(y / 17) * np.cos(x / 23)
    smooth = replace(record("a", (1, 1)), labels=(waves > 128).astype(np.uint8))
    write_shard(tmp_path / "1.zip", [replace(smooth, uncertainty=None)])
    assert (tmp_path / "1.zip").stat().st_size < 0.1 * y.size
    write_shard(tmp_path / "2.zip", [replace(smooth, uncertainty=waves.astype(np.uint8))])
    assert (tmp_path / "2.zip").stat().st_size < 0.6 * y.size


def test_nothing_is_read_beyond_what_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shard(tmp_path / "1.zip", pool())
    read, real = [], zipfile.ZipFile.read
    monkeypatch.setattr(
        zipfile.ZipFile, "read", lambda self, name, *more: read.append(name) or real(self, name)
    )
    index = ["index.json", "predicted", "confident"]
    (found,) = read_records([tmp_path / "1.zip"], {"i2"})
    assert found.image == "i2" and read == [*index, "2/labels", "2/uncertainty"]
    read.clear()
    found = list(read_records([tmp_path / "1.zip"], maps=False))
    assert read == index and all(getattr(r, name) is None for r in found for name in MAPS)
    np.testing.assert_array_equal(found[3].confident, pool()[3].confident)


@pytest.mark.parametrize("threads", [1, 3])
def test_a_shard_of_the_earlier_format_is_read(tmp_path: Path, threads: int) -> None:
    with zipfile.ZipFile(tmp_path / "1.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        index = []
        for number, r in enumerate(pool()):
            held = [name for name in (*COUNTS, *MAPS) if getattr(r, name) is not None]
            for name in held:
                with archive.open(f"{number}/{name}.npy", "w") as file:
                    np.lib.format.write_array(file, np.ascontiguousarray(getattr(r, name)))
            entry = {k: getattr(r, k) for k in ("image", "unlabelled", "mean_uncertainty")}
            index.append({**entry, "rois": [], "arrays": held})
        archive.writestr("index.json", json.dumps(index))
    for old, new in zip(pool(), read_records([tmp_path / "1.zip"], threads=threads), strict=True):
        same(old, new)
    (bare,) = read_records([tmp_path / "1.zip"], {"i2"}, maps=False)
    assert bare.labels is None and bare.predicted.tolist() == pool()[2].predicted.tolist()


@pytest.mark.parametrize("threads", [1, 3])
def test_damage_is_told_with_the_file(tmp_path: Path, threads: int) -> None:
    path = tmp_path / "1.zip"
    write_shard(path, [record("a", (60, 70))])
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    broken = [whole[:cut] for cut in (0, 10, len(whole) // 2, len(whole) - 1)]
    at = rng.integers(60, 4000, 20)  # within the first map
    broken += [whole[:k] + bytes([whole[k] ^ 1]) + whole[k + 1 :] for k in at.tolist()]
    for data in broken:
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"1\.zip: predictions cannot be read"):
            list(read_records([path], threads=threads))
    with pytest.raises(FileNotFoundError):
        list(read_records([tmp_path / "2.zip"]))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format": 3}, "format 3, expected 2"),
        ({"counts": {}}, "predicted"),
        ({"images": [{"image": "a"}]}, "arrays"),
        ({"dtype": "|O", "shape": [525]}, "OBJECT"),
        ({"shape": [61, 70]}, "4200 bytes, expected 4270"),
        ({"shape": [59, 70]}, "4200 bytes, expected 4130"),
        ({"shape": [-60, -70, 2]}, "expected 8400"),
    ],
)
def test_an_index_that_does_not_fit_is_refused(tmp_path: Path, change: dict, told: str) -> None:
    write_shard(tmp_path / "1.zip", [record("a", (60, 70))])
    with (
        zipfile.ZipFile(tmp_path / "1.zip") as old,
        zipfile.ZipFile(tmp_path / "2.zip", "w") as new,
    ):
        index = json.loads(old.read("index.json"))
        kind = index["images"][0]["arrays"]["labels"]
        kind[:] = [change.pop("dtype", kind[0]), change.pop("shape", kind[1])]
        for name in old.namelist():
            held = json.dumps(index | change) if name == "index.json" else old.read(name)
            new.writestr(name, held)
    with pytest.raises(DataError, match=told):
        list(read_records([tmp_path / "2.zip"]))


def test_records_cannot_be_written_to(tmp_path: Path) -> None:
    write_shard(tmp_path / "1.zip", pool()[:1])
    (found,) = read_records([tmp_path / "1.zip"])
    for name in ("labels", "uncertainty"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(found, name)[0, 0] = 1


def test_what_cannot_be_stored_leaves_no_file(tmp_path: Path) -> None:
    one = record("a", (2, 2))
    for other in (
        replace(one, predicted=np.zeros(5, np.int64)),
        replace(one, labels=np.array([[None]])),
    ):
        with pytest.raises(ValueError, match="same shape|Python objects"):
            write_shard(tmp_path / "1.zip", [one, other])
    assert list(tmp_path.iterdir()) == []


def earlier(path: Path, records: list[Record]) -> None:
    """Write a shard of format 1."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        index = []
        for number, r in enumerate(records):
            held = [name for name in (*COUNTS, *MAPS) if getattr(r, name) is not None]
            for name in held:
                with archive.open(f"{number}/{name}.npy", "w") as file:
                    np.lib.format.write_array(file, getattr(r, name))
            entry = {k: getattr(r, k) for k in ("image", "unlabelled", "mean_uncertainty")}
            index.append({**entry, "rois": [], "arrays": held})
        archive.writestr("index.json", json.dumps(index))


@pytest.mark.parametrize("flip", [1, 255])
@pytest.mark.parametrize("write", [write_shard, earlier])
def test_a_flipped_byte_is_told_or_changes_nothing(
    tmp_path: Path, write: Callable[[Path, list[Record]], None], flip: int
) -> None:
    path, records = tmp_path / "1.zip", [record("a", (3, 4)), record("b", (2, 2, 2), 1)]
    write(path, records)
    whole, told = path.read_bytes(), 0
    for k in range(len(whole)):
        path.write_bytes(whole[:k] + bytes([whole[k] ^ flip]) + whole[k + 1 :])
        try:
            found = list(read_records([path]))
        except DataError as error:
            assert str(error).startswith(f"{path}: ")
            told += 1
            continue
        for old, new in zip(records, found, strict=True):
            same(old, new)
    assert len(whole) / 3 < told < len(whole)  # dates, for one, mean nothing


@pytest.mark.parametrize(
    "index",
    [
        [{"image": "a"}], [{"arrays": []}], ["a"], [1], [{"image": [], "arrays": []}], {}, 1, None,
        {"format": 2, "counts": {}, "images": 1}, {"format": 2, "counts": {}, "images": [{}]},
        {"format": 2, "counts": [], "images": []},
    ],
)  # fmt: skip
@pytest.mark.parametrize("images", [None, {"a"}])
def test_an_index_of_another_kind_is_told(
    tmp_path: Path, index: object, images: set | None
) -> None:
    with zipfile.ZipFile(tmp_path / "1.zip", "w") as archive:
        archive.writestr("index.json", json.dumps(index))
    with pytest.raises(DataError, match=r"1\.zip: predictions cannot be read"):
        list(read_records([tmp_path / "1.zip"], images))


@pytest.mark.parametrize("after", [0, 3, 12])
def test_a_disk_error_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    write_shard(tmp_path / "1.zip", [record("a", (3, 4))])
    left = [after]

    class Failing(io.BufferedReader):
        def read(self, *size: int) -> bytes:
            left[0] -= 1
            if left[0] < 0:
                raise OSError(errno.EIO, "Input/output error")
            return super().read(*size)

    made = lambda path, mode: Failing(io.FileIO(path, mode))  # noqa: E731
    monkeypatch.setattr("al.io.records.open", made, raising=False)
    with pytest.raises(OSError, match="Input/output error"):
        list(read_records([tmp_path / "1.zip"]))


def test_numbers_of_numpy_are_stored(tmp_path: Path) -> None:
    one = record("a", (2, 2))
    mean = np.float32(0.1)
    write_shard(tmp_path / "1.zip", [replace(one, unlabelled=np.int64(7), mean_uncertainty=mean)])
    (found,) = read_records([tmp_path / "1.zip"])
    assert (found.unlabelled, found.mean_uncertainty) == (7, float(mean))
    assert type(found.unlabelled) is int and type(found.mean_uncertainty) is float
