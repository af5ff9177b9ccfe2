"""Whether image files are whole: Pillow decodes them without a look at checksums and lengths."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from PIL import Image, TiffImagePlugin

from .errors import DataError

PART = 1 << 20
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # of a PNG's kinds of colour
DEFLATED = frozenset({8, 32946})  # TIFF's numbers of zlib streams
OFFSETS = {273: 279, 324: 325}  # tags: where strips and tiles begin, and their bytes
# Sizes and colours; of those that cannot be read, and of bits, Pillow takes defaults.
NEEDED = frozenset({256, 257, 262})


def check_whole(path: str | Path) -> None:
    """Compare what a PNG, TIFF or BMP says of itself with what it holds; others pass.

    Raises:
        DataError: checksums differ, or there are fewer bytes than the sizes need.
    """
    try:
        compare_sums(path)
    except MemoryError:
        raise
    except Exception as error:  # there are a dozen kinds for damaged bytes
        raise DataError(f"{path}: unreadable or truncated image ({error})") from error


def compare_sums(path: str | Path) -> None:
    """Do what ``check_whole`` does, with whatever error comes of it."""
    with Path(path).open("rb") as file:
        start = file.read(8)
        if start == b"\x89PNG\r\n\x1a\n":
            _check_png(file)
        elif start[:2] == b"BM":
            if file.seek(0, os.SEEK_END) < int.from_bytes(start[2:6], "little"):
                raise OSError("BMP file is truncated")
        elif start[:2] in (b"II", b"MM"):
            file.seek(0)
            with Image.open(file, formats=["TIFF"]) as image:
                _check_tiff(image, file)


def _check_png(file: BinaryIO) -> None:
    """Read all chunks from the first on, and decompress the pixels, a part in memory at a time."""
    stream, found, needed, kind = _Inflated(), 0, 0, b""
    while kind != b"IEND":
        size, kind = struct.unpack(">I4s", file.read(8))
        data, checksum = file.read(size), file.read(4)
        if zlib.crc32(kind + data) != int.from_bytes(checksum, "big"):
            raise OSError(f"checksum of {kind!r}")
        if kind == b"IHDR":
            width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", data)
            line = (width * depth * CHANNELS[colour] + 7) // 8
            # seven small images where it is interlaced, of which lines are filled up to bytes
            needed = height * line if interlaced else height * (line + 1)
        elif kind == b"IDAT":
            found += stream.count(data)
            if found > 2 * needed + PART:
                break
    if not needed <= found <= 2 * needed + PART or not stream.ended:
        raise OSError(f"{found} bytes of pixels, the header needs {needed}")


def _check_tiff(image: TiffImagePlugin.TiffImageFile, file: BinaryIO) -> None:
    """Look at the tags and at the checksums of deflated strips."""
    _check_directory(file)
    tags = image.tag_v2
    places = [
        (tags[at], tags[sizes]) for at, sizes in OFFSETS.items() if {at, sizes} <= tags.keys()
    ]
    whole = tags.keys() >= NEEDED and bool(places)
    if not whole or not all(type(v) is int for v in [*places[0][0], *places[0][1]]):
        raise OSError("TIFF tags of sizes, colours or strips are damaged or missing")
    packed = tags.get(259, 1) != 1 or sum(places[0][1]) == image.height * -(-image.width // 8)
    if 258 not in tags and not packed:  # it may be missing where a pixel is a bit
        raise OSError("TIFF tag of bits is damaged or missing")
    covered = sum((x1 - x0) * (y1 - y0) for _, (x0, y0, x1, y1), *_ in image.tile)
    if covered < image.width * image.height:  # the rest would be zeros
        raise OSError(f"TIFF strips of {covered} pixels for {image.width} x {image.height}")
    if tags.get(259) in DEFLATED:
        for start, size in zip(*places[0], strict=True):
            file.seek(start)
            strip = _Inflated()
            strip.count(file.read(size))
            if not strip.ended:
                raise OSError("TIFF strip is truncated")


def _check_directory(file: BinaryIO) -> None:
    """Look at the entries of a TIFF's directory: Pillow passes over those it cannot read."""
    file.seek(0)
    order = "<" if (head := file.read(8))[:2] == b"II" else ">"
    version, start = struct.unpack(f"{order}HI", head[2:])
    if version != 42:  # BigTIFF
        return
    file.seek(start)
    (count,) = struct.unpack(f"{order}H", file.read(2))
    for tag, kind, _, _ in struct.iter_unpack(f"{order}HHII", file.read(12 * count)):
        count -= 1
        if not 1 <= kind <= 13:
            raise OSError(f"TIFF tag {tag} of an unknown type {kind}")
    if count:
        raise OSError("TIFF directory is truncated")


class _Inflated:
    """Decompresses a zlib stream to its checksum and counts what it holds."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj()

    @property
    def ended(self) -> bool:
        """Whether the end was reached."""
        return self._stream.eof

    def count(self, packed: bytes) -> int:
        """Return how many bytes the next part of the stream holds."""
        found = 0
        while packed and not self._stream.eof:
            found += len(self._stream.decompress(packed, PART))
            packed = self._stream.unconsumed_tail
        return found
