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
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from al.io.errors import ConfigError, DataError
from al.io.files import sweep
from al.io.locking import LockedError, locked
from al.io.storage import explain
from al.layouts.images import image_size
from al.learners.hact.graph_file import NAME, Graphs, Shard, some, write_shard
from al.learners.hact.published import convert, read_assignment, read_bin

FORMAT = 1  # another one makes shards anew: what is done to the graphs has changed
Sizes = Mapping[str, tuple[int, int]]  # width and height by RoI, pixels
Sources = Mapping[str, Mapping[str, Path]]  # files by RoI and kind: cells, tissue, assignments


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
        import_graphs(folders, own.out, own.shards, read_sizes(own.images, own.sizes))
    except (DataError, ConfigError, LockedError) as refusal:
        print(f"cannot import: {refusal}", file=sys.stderr)
        return 2
    except OSError as error:
        if (told := explain(error)) is None:
            raise
        print(f"cannot import: {told}", file=sys.stderr)
        return 2
    return 0


def read_sizes(images: Path | None = None, table: Path | None = None) -> Sizes:
    """Return the sizes of RoIs by name.

    Args:
        images: folder with ``NAME.png`` in any subfolders, whose headers tell.
        table: CSV with the columns name, width and height (pixels).

    Raises:
        DataError: for a table or an image that is none, or images of the same name.
    """
    if images is not None:
        sizes = {name: image_size(path) for name, path in _by_stem(images, ".png").items()}
        return {name: (width, height) for name, (height, width) in sizes.items()}
    if table is None:
        return {}
    try:
        with table.open(newline="", encoding="utf-8") as file:
            return {r["name"]: (int(r["width"]), int(r["height"])) for r in csv.DictReader(file)}
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(f"{table}: no table of name,width,height: {error!r}") from error


def find_sources(folders: Mapping[str, Path]) -> Sources:
    """Match the files of the three kinds by their names.

    Raises:
        DataError: no files, two of a name, or names without a file of some kind.
    """
    found = {
        kind: _by_stem(folder, ".h5" if kind == "assignments" else ".bin")
        for kind, folder in folders.items()
    }
    names = sorted(set().union(*found.values()))
    problems = [
        f"none in {folders[kind]} ({kind}) of {some([n for n in names if n not in files])}"
        for kind, files in found.items()
        if files.keys() != set(names)
    ]
    if problems:
        raise DataError("every RoI needs a file of each kind; " + "; ".join(problems))
    return {name: {kind: files[name] for kind, files in found.items()} for name in names}


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


def import_graphs(folders: Mapping[str, Path], out: Path, shards: int, sizes: Sizes) -> None:
    """Write the shards that are missing or out of date.

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
            raise DataError(f"{out}: shards of another import: {some(others)}; remove them")
        print(f"{len(sources)} RoIs in {parts} shards", flush=True)
        for part, path in enumerate(paths):
            own = {name: sources[name] for name in list(sources)[part::parts]}
            _import_shard(path, own, folders, sizes)
        Graphs(paths).widths()


def _import_shard(path: Path, sources: Sources, folders: Mapping[str, Path], sizes: Sizes) -> None:
    stamp = _stamp(sources, folders, sizes)
    if is_finished(path, stamp):
        print(f"{path.name}: {len(sources)} RoIs are there", flush=True)
        return
    graphs = {}
    for name, files in sources.items():
        cells, tissue = read_bin(files["cells"]), read_bin(files["tissue"])
        matrix = read_assignment(files["assignments"])
        graphs[name] = convert(name, cells, tissue, matrix, sizes.get(name))
    write_shard(path, graphs, stamp)
    print(f"{path.name}: {len(graphs)} RoIs imported", flush=True)


def _stamp(sources: Sources, folders: Mapping[str, Path], sizes: Sizes) -> dict[str, Any]:
    """What a shard is made from, as JSON gives it back: files with sizes and times, image sizes."""
    files: dict[str, list[Any]] = {}
    for name, held in sources.items():
        files[name] = [list(sizes.get(name, ()))]
        for kind, path in held.items():
            about = path.stat()
            place = path.relative_to(folders[kind]).as_posix()
            files[name].append([place, about.st_size, about.st_mtime_ns])
    return {"format": FORMAT, "files": files}


def is_finished(path: Path, stamp: Mapping[str, Any]) -> bool:
    """Whether a whole shard that was made from just these files is there."""
    try:
        facts = Shard(path).facts
    except DataError:
        return False
    return all(facts.get(key) == value for key, value in stamp.items())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
