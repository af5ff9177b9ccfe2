"""Time of a training step of HACT-Net of the published sizes, and where it goes.

    OMP_NUM_THREADS=1 python tests/benchmarks/hact_net_step.py [--cells 1500 --tissue 200]

Forward pass, backward pass and Adam, float32, one thread: seconds without and with the profiler,
and the shares of its operators' own time; oneDNN's LSTM counts as matrix products, gates
included. ``processor`` is what this process alone used, whatever else the machine does.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from al.learners.hact.graph_file import Graph, RoiGraph
from al.learners.hact.network import HACT, collate
from tests.benchmarks.machine import cpu_name

FEATURES, CLASSES, NEIGHBOURS = 514, 7, 5
PRODUCTS = ("aten::mm", "aten::addmm", "aten::addmm_", "aten::bmm", "aten::mkldnn_rnn_layer",
            "aten::mkldnn_rnn_layer_backward")  # fmt: skip


def nearest(n: int, k: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return n random places and the (2, n k) edges from each to its k nearest others."""
    places = rng.random((n, 2))
    distances = np.linalg.norm(places[:, None] - places, axis=-1)
    np.fill_diagonal(distances, np.inf)
    nearby = distances.argsort(1)[:, :k]
    return places, np.stack([np.repeat(np.arange(n), k), nearby.ravel()])


def random_graph(cells: int, tissue: int, rng: np.random.Generator) -> RoiGraph:
    """Return a RoI: cells with their nearest ones, superpixels with those near either way."""
    places, edges = nearest(cells, NEIGHBOURS, rng)
    centres, near = nearest(tissue, NEIGHBOURS, rng)
    near = np.unique(np.concatenate([near, near[::-1]], 1), axis=1)
    assignment = np.linalg.norm(places[:, None] - centres, axis=-1).argmin(1)
    features = [rng.normal(size=(n, FEATURES)).astype(np.float32) for n in (cells, tissue)]
    return RoiGraph(Graph(features[0], edges), Graph(features[1], near), assignment)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in {"cells": 400, "tissue": 50, "batch": 16, "repeats": 5}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    batch = collate(
        [random_graph(options.cells, options.tissue, rng) for _ in range(options.batch)]
    )
    labels = torch.arange(options.batch) % CLASSES
    torch.manual_seed(0)
    network = HACT(FEATURES, FEATURES, CLASSES)
    optimizer = torch.optim.Adam(network.parameters(), lr=5e-4, weight_decay=5e-4)

    def step() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(*batch), labels).backward()
        optimizer.step()

    before = os.getloadavg()[0]
    step()
    elapsed, used = [], []
    for _ in range(options.repeats):
        start, processor = time.perf_counter(), time.process_time()
        step()
        elapsed.append(time.perf_counter() - start)
        used.append(time.process_time() - processor)
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        step()
    own = {event.key: event.self_cpu_time_total / 1e6 for event in profiler.key_averages()}
    total = sum(own.values())
    products = sum(own.get(name, 0.0) for name in PRODUCTS)
    print(
        f"HACT-Net, {options.batch} x ({options.cells} cells + {options.tissue} superpixels), "
        f"{cpu_name()}, 1 thread; PyTorch {torch.__version__}; load "
        f"{before:.1f} before, {os.getloadavg()[0]:.1f} after\n"
    )
    print(f"step: median {statistics.median(elapsed):.2f} s, least {min(elapsed):.2f} s; "
          f"processor: median {statistics.median(used):.2f} s")  # fmt: skip
    rest = 100 * (1 - products / total)
    print(f"profiled: {total:.2f} s, of it not matrix products: {rest:.0f} %\n")
    print("| operator | own s | share |\n|---|---:|---:|")
    for name in sorted(own, key=own.__getitem__, reverse=True)[:14]:
        print(f"| `{name}` | {own[name]:.3f} | {100 * own[name] / total:.1f} % |")


if __name__ == "__main__":
    main()
