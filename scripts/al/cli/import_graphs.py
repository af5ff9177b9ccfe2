"""Import the cell and tissue graphs that HACT-Net's authors published, or that their code made.

    python -m al.cli.import_graphs --cells cell_graphs --tissue tissue_graphs \\
        --assignments assignment_matrices --out graphs

The three folders hold ``NAME.bin``, ``NAME.bin`` and ``NAME.h5``, in any subfolders. What is
written are shards of graphs (``learners.hact.graph_file``) under those names. A finished shard is
kept: after a kill, the same command goes on. Needs the package dgl; no pickle is read.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from al.io.errors import ConfigError, DataError
from al.io.files import sweep
from al.io.storage import explain
from al.learners.hact.graph_file import NAME, RoiGraph, Shard, refuse_widths, write_shard
from al.learners.hact.published import convert, read_assignment, read_bin
from al.learners.locking import LockedError, locked

FORMAT = 1  # another one makes shards anew: what is done to the graphs has changed
PACKAGES = ("dgl", "torch", "numpy", "h5py", "safetensors")
NAMED = 5  # of what is wrong, in a message
TELL_EVERY = 20.0  # seconds
PNG_START = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Source:
    """The files of one RoI, by kind: ``cells``, ``tissue``, ``assignments``."""

    name: str
    files: Mapping[str, Path]


def main(arguments: list[str]) -> int:
    """Import graphs; returns the exit code: 0, or 2 where something was refused."""
    parser = argparse.ArgumentParser(prog="import_graphs.py", description=__doc__.split("\n")[0])
    for kind, held in (("cells", "NAME.bin"), ("tissue", "NAME.bin"), ("assignments", "NAME.h5")):
        parser.add_argument(f"--{kind}", type=Path, required=True, help=f"folder of {held}")
    parser.add_argument("--out", type=Path, required=True, help="folder of the shards")
    parser.add_argument("--shards", type=int, default=16, help="files to write (default: 16)")
    sizes = parser.add_mutually_exclusive_group()
    sizes.add_argument("--images", type=Path, help="folder of NAME.png, for features without place")
    sizes.add_argument("--sizes", type=Path, help="CSV of name,width,height, for the same")
    own = parser.parse_args(arguments)
    try:
        folders = {kind: getattr(own, kind) for kind in ("cells", "tissue", "assignments")}
        import_graphs(folders, own.out, own.shards, Sizes(own.images, own.sizes))
    except (DataError, ConfigError, LockedError) as refusal:
        print(f"cannot import: {refusal}", file=sys.stderr)
        return 2
    except OSError as error:
        if (told := explain(error)) is None:
            raise
        print(f"cannot import: {told}", file=sys.stderr)
        return 2
    return 0


class Sizes:
    """Width and height of RoIs, from the headers of their PNG files or from a table.

    Args:
        images: folder with ``NAME.png`` in any subfolders.
        table: CSV with the columns name, width and height (pixels).

    Raises:
        DataError: for a table that is none, or images of the same name.
    """

    def __init__(self, images: Path | None = None, table: Path | None = None) -> None:
        self.images, self.table = images, table

    @cached_property
    def _known(self) -> dict[str, Any]:
        if self.images is not None:
            return dict(_by_stem(self.images, ".png"))
        return {} if self.table is None else read_sizes(self.table)

    def of(self, name: str) -> tuple[int, int] | None:
        """Return (width, height) in pixels; ``None`` where nothing tells it."""
        held = self._known.get(name)
        return png_size(held) if isinstance(held, Path) else held


def read_sizes(path: Path) -> dict[str, tuple[int, int]]:
    """Read a table of name, width, height. Raises DataError for another."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [(r["name"], int(r["width"]), int(r["height"])) for r in csv.DictReader(file)]
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: no table of name,width,height: {error!r}") from error
    if any(min(width, height) < 1 for _, width, height in rows):
        raise DataError(f"{path}: a width or height below 1")
    return {name: (width, height) for name, width, height in rows}


def png_size(path: Path) -> tuple[int, int]:
    """Return (width, height) in pixels from the header alone. Raises DataError for no PNG."""
    with path.open("rb") as file:
        head = file.read(24)
    if len(head) < 24 or not head.startswith(PNG_START) or head[12:16] != b"IHDR":
        raise DataError(f"{path}: no PNG file")
    return int.from_bytes(head[16:20], "big"), int.from_bytes(head[20:24], "big")


def find_sources(folders: Mapping[str, Path]) -> list[Source]:
    """Match the files of the three kinds by their names.

    Returns:
        One source per RoI, by name.

    Raises:
        DataError: no files, two of a name, or names without a file of some kind.
    """
    found = {
        kind: _by_stem(folder, ".h5" if kind == "assignments" else ".bin")
        for kind, folder in folders.items()
    }
    names = sorted(set().union(*found.values()))
    problems = [
        f"none in {folders[kind]} ({kind}) of {_some([n for n in names if n not in files])}"
        for kind, files in found.items()
        if files.keys() != set(names)
    ]
    if problems:
        raise DataError("every RoI needs a file of each kind; " + "; ".join(problems))
    return [Source(name, {kind: files[name] for kind, files in found.items()}) for name in names]


def _by_stem(folder: Path, suffix: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    places = os.walk(folder, followlinks=True)
    for path in sorted(Path(place, name) for place, _, names in places for name in names):
        if path.suffix != suffix or path.name.startswith("."):  # what a killed writer left
            continue
        if path.stem in found:
            raise DataError(f"two files of the same name: {found[path.stem]}, {path}")
        found[path.stem] = path
    if not found:
        raise DataError(f"{folder}: no file *{suffix} in this folder or below")
    return found


def import_graphs(folders: Mapping[str, Path], out: Path, shards: int, sizes: Sizes) -> list[Path]:
    """Write the shards that are missing or out of date; returns the paths of all.

    Args:
        folders: of ``cells``, ``tissue`` and ``assignments``.
        out: folder of the shards.
        shards: their number; no more than there are RoIs are written.
        sizes: of the images, needed where features lack coordinates.

    Raises:
        ConfigError: dgl or h5py is missing, or a number of shards below 1.
        DataError: for files that are not what is needed; shards of another number in ``out``.
        LockedError: while another import writes there.
    """
    if shards < 1:
        raise ConfigError(f"--shards {shards}; allowed: 1 or more")
    sources = find_sources(folders)
    parts = min(shards, len(sources))
    paths = [out / NAME.format(part=part + 1, parts=parts) for part in range(parts)]
    with locked(out):
        sweep(out)
        others = sorted(p.name for p in out.glob("*-of-*.safetensors") if p not in paths)
        if others:
            raise DataError(f"{out}: shards of another import: {_some(others)}; remove them")
        print(f"{len(sources)} RoIs in {parts} shards", flush=True)
        known: dict[str, tuple[int, str]] = {}
        for part, path in enumerate(paths):
            _import_shard(path, sources[part::parts], folders, sizes, known)
    return paths


def _import_shard(
    path: Path,
    sources: Sequence[Source],
    folders: Mapping[str, Path],
    sizes: Sizes,
    known: dict[str, tuple[int, str]],
) -> None:
    stamp = _stamp(sources, folders)
    if (facts := finished(path, stamp, sizes)) is not None:
        for kind in ("cells", "tissue"):
            known.setdefault(kind, (len(facts[kind]["sum"]), sources[0].name))
        print(f"{path.name}: {len(sources)} RoIs are there", flush=True)
        return
    graphs: dict[str, RoiGraph] = {}
    used: dict[str, tuple[int, int]] = {}
    start = told = time.monotonic()
    for source in sources:
        raw = [read_bin(source.files[kind]) for kind in ("cells", "tissue")]
        matrix = read_assignment(source.files["assignments"])
        graph, size = convert(source.name, raw[0], raw[1], matrix, sizes.of)
        graphs[source.name] = graph
        if size is not None:
            used[source.name] = size
        for kind, part in (("cells", graph.cells), ("tissue", graph.tissue)):
            width, first = known.setdefault(kind, (part.features.shape[1], source.name))
            refuse_widths(kind, {width: first, part.features.shape[1]: source.name})
        if time.monotonic() - told > TELL_EVERY:
            told = time.monotonic()
            print(f"{path.name}: {len(graphs)} of {len(sources)} RoIs", flush=True)
    write_shard(path, graphs, {**stamp, "image_sizes": used, "versions": _versions()})
    seconds = time.monotonic() - start
    print(f"{path.name}: {len(graphs)} RoIs imported in {seconds:.0f} s", flush=True)


def _stamp(sources: Sequence[Source], folders: Mapping[str, Path]) -> dict[str, Any]:
    """What a shard is made from: names, sizes in bytes and times of change, as JSON has them."""

    def facts(source: Source) -> dict[str, list[Any]]:
        held = {}
        for kind, path in source.files.items():
            told = path.stat()
            name = path.relative_to(folders[kind]).as_posix()
            held[kind] = [name, told.st_size, told.st_mtime_ns]
        return held

    files = {source.name: facts(source) for source in sources}
    return {"source": "dgl", "format": FORMAT, "rois": len(sources), "files": files}


def finished(path: Path, stamp: Mapping[str, Any], sizes: Sizes) -> dict[str, Any] | None:
    """Return the facts of a shard that was made from just these files; ``None`` for another."""
    if not path.exists():
        return None
    try:
        shard = Shard(path)
    except (DataError, KeyError, json.JSONDecodeError):
        return None
    facts = shard.facts
    same = all(facts.get(key) == value for key, value in stamp.items())
    for name, size in facts.get("image_sizes", {}).items() if same else ():
        now = sizes.of(name)
        same = same and (now is None or list(now) == size)
    return facts if same and shard.keys == list(stamp["files"]) else None


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "unknown"
    return found


def _some(names: Iterable[str]) -> str:
    """Name a few of many."""
    held = list(names)
    more = f" and {len(held) - NAMED} more" if len(held) > NAMED else ""
    return ", ".join(held[:NAMED]) + more


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
