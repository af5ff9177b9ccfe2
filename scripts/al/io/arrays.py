"""Arrays in npz files, read back within bounds."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

from .files import atomic_path, reading

_HEAD = 1 << 12  # bytes that the head of an array has at most


def write_arrays(path: str | Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays to an npz file, by rename."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def read_arrays(path: str | Path, most: int | None = None) -> dict[str, np.ndarray]:
    """Read the arrays of an npz file.

    Args:
        path: of the file.
        most: bytes that they may have together, of which larger ones are not read; ``None``: those
            of the file, in which nothing is compressed.

    Raises:
        DataError: the file is not there, is damaged, or larger.
    """
    with reading(path), zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        size = sum(member.file_size for member in members)
        if most is None:
            most = Path(path).stat().st_size
        if size > most + _HEAD * len(members):
            raise ValueError(f"{size} bytes of arrays, expected {most}")
        for member in members:  # numpy allocates what the head of an array says
            with archive.open(member) as file:
                told = _bytes_of(file)
            if told != member.file_size:
                raise ValueError(f"{member.filename}: {member.file_size} bytes, expected {told}")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}


def _bytes_of(file: IO[bytes]) -> int:
    """Bytes of an array in numpy's format, its head included, by its head."""
    form = np.lib.format
    heads = {(1, 0): form.read_array_header_1_0, (2, 0): form.read_array_header_2_0}
    shape, _, kind = heads[form.read_magic(file)](file)
    return file.tell() + math.prod(shape) * kind.itemsize
