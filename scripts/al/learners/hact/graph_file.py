"""Graphs of RoIs in shards: ``{part}-of-{parts}.safetensors``, read one RoI at a time.

A RoI's tensors are named ``{key}|cells.features`` and so on; what was done to make them stands in
the header. Nothing in such a file is code.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from al.io.errors import DataError
from al.io.files import atomic_path, check_keys, reading

VERSION = 1
NAME = "{part:03d}-of-{parts:03d}.safetensors"
KINDS = ("cells", "tissue")
NAMED = 5  # of what is wrong, in a message
PIECES = ("cells.features", "cells.edges", "tissue.features", "tissue.edges", "assignment")


@dataclass(frozen=True)
class Graph:
    """One graph.

    Attributes:
        features: (N, F) float32.
        edges: (2, E) int64, source and destination.
    """

    features: np.ndarray
    edges: np.ndarray

    def __len__(self) -> int:
        return len(self.features)


@dataclass(frozen=True)
class RoiGraph:
    """The cells and the tissue of a RoI.

    Attributes:
        cells: graph of N nuclei; N may be 0.
        tissue: graph of M superpixels, at least one.
        assignment: (N,) int64, the superpixel in which each nucleus lies.
    """

    cells: Graph
    tissue: Graph
    assignment: np.ndarray

    def check(self, name: str) -> None:
        """Raise DataError for shapes, indices or values that are no such graph."""
        for kind, graph in zip(KINDS, (self.cells, self.tissue), strict=True):
            if graph.features.ndim != 2 or not np.isfinite(graph.features).all():
                raise DataError(f"{name}: {kind}: features must be (N, F) finite numbers")
            wrong = graph.edges.shape[:1] != (2,) or graph.edges.ndim != 2
            if wrong or _outside(graph.edges, len(graph)):
                raise DataError(f"{name}: {kind}: edges must be (2, E), from 0 to {len(graph) - 1}")
        if not len(self.tissue):
            raise DataError(f"{name}: tissue: no superpixel; allowed: at least 1")
        if self.assignment.shape != (len(self.cells),) or _outside(
            self.assignment, len(self.tissue)
        ):
            raise DataError(
                f"{name}: assignment must be ({len(self.cells)},), from 0 to {len(self.tissue) - 1}"
            )


def _outside(indices: np.ndarray, n: int) -> bool:
    return bool(indices.size) and (indices.min() < 0 or indices.max() >= n)


def write_shard(
    path: str | Path, graphs: Mapping[str, RoiGraph], facts: Mapping[str, Any] | None = None
) -> None:
    """Write the graphs of a shard, by rename.

    Args:
        path: of the file.
        graphs: by key.
        facts: what JSON can hold, for the header, where ``nodes`` (of cells and of tissue by key),
            ``cells`` and ``tissue`` (number of nodes and edges, sum and sum of squares of node
            features) are added.

    Raises:
        DataError: naming the RoI whose graphs are none, or have other features than the rest.
    """
    tensors: dict[str, np.ndarray] = {}
    for key, graph in graphs.items():
        graph.check(key)
        arrays = (
            graph.cells.features.astype(np.float32),
            graph.cells.edges.astype(np.int32),
            graph.tissue.features.astype(np.float32),
            graph.tissue.edges.astype(np.int32),
            graph.assignment.astype(np.int32),
        )
        for piece, array in zip(PIECES, arrays, strict=True):
            tensors[f"{key}|{piece}"] = np.ascontiguousarray(array)
    held = {
        **(facts or {}),
        "nodes": {key: [len(graph.cells), len(graph.tissue)] for key, graph in graphs.items()},
        "cells": _sums({key: graph.cells for key, graph in graphs.items()}, "cells"),
        "tissue": _sums({key: graph.tissue for key, graph in graphs.items()}, "tissue"),
    }
    header = {
        "version": str(VERSION),
        "rois": json.dumps(list(graphs)),
        "facts": json.dumps(held, sort_keys=True),
    }
    with atomic_path(path) as temporary:
        save_file(tensors, temporary, header)


def _sums(graphs: Mapping[str, Graph], kind: str) -> dict[str, Any]:
    """Numbers of nodes and edges, sum and sum of squares of node features, in float64."""
    dim = one_width(kind, ((graph.features.shape[1], key) for key, graph in graphs.items()))
    count, edges, total, squares = 0, 0, np.zeros(dim), np.zeros(dim)
    for graph in graphs.values():
        values = graph.features.astype(np.float64)
        count += len(values)
        edges += graph.edges.shape[1]
        total += values.sum(0)
        squares += np.square(values).sum(0)
    return {"n": count, "edges": edges, "sum": total.tolist(), "sum_squares": squares.tolist()}


def one_width(kind: str, found: Iterable[tuple[int, str]]) -> int:
    """Return the number of features that all have, 0 of none; each stands with a RoI that has it.

    Raises:
        DataError: there are several.
    """
    seen: dict[int, str] = {}
    for width, key in found:
        seen.setdefault(width, key)
    if len(seen) > 1:
        told = ", ".join(f"{width} ({key})" for width, key in sorted(seen.items()))
        raise DataError(f"{kind}: different numbers of features: {told}; allowed: one number")
    return next(iter(seen), 0)


class Shard:
    """One file of graphs, mapped into memory; a RoI is read when it is asked for.

    Raises:
        DataError: for a file of another kind or version, or that is cut off.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with reading(path, "a shard of graphs"):
            self.file = safe_open(self.path, framework="numpy")
            header = self.file.metadata() or {}
            if header.get("version") != str(VERSION):
                raise ValueError(f"version {header.get('version')}; this project reads {VERSION}")
            self.keys: list[str] = json.loads(header["rois"])
            self.facts: dict[str, Any] = json.loads(header["facts"])
            check_keys(self.facts, dict.fromkeys(("nodes", *KINDS), dict))

    def load(self, key: str) -> RoiGraph:
        """Read the graphs of one RoI."""
        with reading(self.path, f"the graphs of {key}"):
            held = [self.file.get_tensor(f"{key}|{piece}") for piece in PIECES]
            return RoiGraph(
                Graph(held[0], held[1].astype(np.int64)),
                Graph(held[2], held[3].astype(np.int64)),
                held[4].astype(np.int64),
            )


class Graphs:
    """The graphs of a dataset, in all shards of a folder.

    Raises:
        DataError: a shard is missing, or a RoI is in two.
    """

    def __init__(self, paths: Iterable[str | Path]) -> None:
        self.shards = [Shard(path) for path in paths]
        self.place: dict[str, Shard] = {}
        for shard in self.shards:
            for key in shard.keys:
                if key in self.place:
                    raise DataError(f"{key}: in {self.place[key].path} and in {shard.path}")
                self.place[key] = shard

    @classmethod
    def of(cls, folder: str | Path) -> Graphs:
        """Open the shards of a folder, all of them."""
        paths = sorted(Path(folder).glob("*-of-*.safetensors"))
        counts = {path.stem.partition("-of-")[2] for path in paths}
        if len(counts) != 1 or len(paths) != int(counts.pop()):
            raise DataError(f"{folder}: {len(paths)} shards of graphs, some missing or left over")
        return cls(paths)

    def widths(self) -> dict[str, int]:
        """Return the number of node features of ``cells`` and of ``tissue``, 0 without a RoI.

        Raises:
            DataError: there are several.
        """
        held = [shard for shard in self.shards if shard.keys]
        return {
            kind: one_width(kind, ((len(s.facts[kind]["sum"]), s.keys[0]) for s in held))
            for kind in KINDS
        }

    def load(self, key: str) -> RoiGraph:
        """Read the graphs of one RoI. Raises DataError where there are none."""
        if key not in self.place:
            raise DataError(f"no graphs of RoI {key}")
        return self.place[key].load(key)


def some(names: Sequence[str]) -> str:
    """Name a few of many."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
