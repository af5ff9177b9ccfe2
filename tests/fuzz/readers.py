"""Readers that share nothing with the project's: slow, or of another library."""

from __future__ import annotations

import struct
import zlib

import numpy as np

DEPTHS = {0: (1, 2, 4, 8, 16), 3: (1, 2, 4, 8)}


def png_ids(content: bytes) -> np.ndarray:
    """Decode a PNG of one channel, grey or palette, that is not interlaced: (H, W) whole numbers.

    Written from the standard; raises ValueError where the file breaks it.
    """
    if content[:8] != b"\x89PNG\r\n\x1a\n":
        raise ValueError("signature")
    at, header, packed = 8, b"", b""
    while True:
        size, kind = struct.unpack(">I4s", content[at : at + 8])
        data = content[at + 8 : at + 8 + size]
        (crc,) = struct.unpack(">I", content[at + 8 + size : at + 12 + size])
        if zlib.crc32(kind + data) != crc:
            raise ValueError(f"checksum of {kind!r}")
        at += 12 + size
        header = data if kind == b"IHDR" else header
        packed += data if kind == b"IDAT" else b""
        if kind == b"IEND":
            break
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    if interlaced or depth not in DEPTHS.get(colour, ()):
        raise ValueError("not one of those this reader knows")
    lines = _unfiltered(
        zlib.decompress(packed), height, (width * depth + 7) // 8, max(1, depth // 8)
    )
    if depth == 16:
        return lines.view(">u2").astype(np.uint16)
    bits = np.unpackbits(lines, axis=1).reshape(height, -1, depth)[:, :width]
    return (bits * 2 ** np.arange(depth)[::-1]).sum(2).astype(np.uint8)


def _unfiltered(raw: bytes, height: int, width: int, step: int) -> np.ndarray:
    """Undo the filters of a PNG: (height, width) bytes, ``step`` bytes a pixel."""
    if len(raw) < height * (width + 1):
        raise ValueError("too few bytes")
    above, lines = [0] * width, []
    for row in range(height):
        kind, *line = raw[row * (width + 1) : (row + 1) * (width + 1)]
        for i in range(width):
            left = line[i - step] if i >= step else 0
            corner = above[i - step] if i >= step else 0
            line[i] = (line[i] + _guess(kind, left, above[i], corner)) % 256
        lines.append(line)
        above = line
    return np.array(lines, np.uint8).reshape(height, width)


def _guess(kind: int, left: int, up: int, corner: int) -> int:
    if kind > 4:
        raise ValueError(f"filter {kind}")
    nearest = min((left, up, corner), key=lambda value: abs(left + up - corner - value))
    return (0, left, up, (left + up) // 2, nearest)[kind]


def bmp_rgb(content: bytes) -> np.ndarray:
    """Decode a BMP of 8 or 24 bits without compression, bottom row first: (H, W, 3) uint8."""
    (offset, _, width, height, _, bits, packed), used = struct.unpack("<IIiiHHI", content[10:34]), 0
    (used,) = struct.unpack("<I", content[46:50])
    if content[:2] != b"BM" or bits not in (8, 24) or packed or height <= 0:
        raise ValueError("not one of those this reader knows")
    line = (width * bits // 8 + 3) // 4 * 4
    rows = [content[offset + y * line :][: width * bits // 8] for y in range(height)][::-1]
    pixels = np.frombuffer(b"".join(rows), np.uint8)
    if bits == 24:
        return pixels.reshape(height, width, 3)[..., ::-1]
    table = np.frombuffer(content[54 : 54 + 4 * (used or 256)], np.uint8).reshape(-1, 4)
    return table[pixels.reshape(height, width)][..., 2::-1]
