"""RoIs per minute and core from which graphs are built, and peak memory.

    OMP_NUM_THREADS=1 python tests/benchmarks/hact_graphs.py --sides 1000 1500 2000 4000

Generated tissue, enlarged to nuclei of the size at 40x, with handcrafted features; nuclei per
second of a ResNet-18 (random weights). Each size runs in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from al.generators.tissue import CODES, draw_roi
from al.learners.hact.building import build_graph, load_network
from al.learners.hact.settings import GraphSettings
from tests.benchmarks.machine import cpu_name

ENLARGED = 6


def tissue(side: int, seed: int = 0) -> np.ndarray:
    """Return (side, side, 3) uint8: generated RoIs, enlarged, next to each other."""
    rng = np.random.default_rng(seed)
    cell = 64 * ENLARGED
    image = np.empty((-(-side // cell) * cell,) * 2 + (3,), np.uint8)
    variety = []
    for number in range(28):  # drawing takes longer than building graphs
        roi = Image.fromarray(draw_roi(rng, number % len(CODES), np.zeros(4))[:64, :64])
        variety.append(np.asarray(roi.resize((cell, cell), Image.Resampling.BICUBIC)))
    for y in range(0, len(image), cell):
        for x in range(0, len(image), cell):
            image[y : y + cell, x : x + cell] = variety[rng.integers(len(variety))]
    return np.ascontiguousarray(image[:side, :side])


def random_resnet(path: Path) -> None:
    """Write a ResNet-18 of random weights."""
    import torch

    from al.learners.torchvision_cpu import import_torchvision

    import_torchvision()
    from torchvision.models import resnet18

    torch.manual_seed(0)
    torch.save(resnet18(weights=None).state_dict(), path)


def measure(side: int, network: bool) -> dict[str, Any]:
    """Build graphs of an image; return seconds of the processor and what was found."""
    image, settings = tissue(side), GraphSettings()
    if not network:
        build_graph(image[:300, :300], settings)
        began = time.process_time()
        graph = build_graph(image, settings)
    else:
        import torch

        torch.set_num_threads(1)
        with tempfile.TemporaryDirectory() as folder:
            random_resnet(Path(folder) / "resnet18.pth")
            settings = GraphSettings(weights=f"{folder}/resnet18.pth")
            load_network(settings, "cpu")
        began = time.process_time()
        graph = build_graph(image, settings)
    seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "seconds": seconds, "nuclei": len(graph.cells), "superpixels": len(graph.tissue),
        "peak_mb": round(peak),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sides", type=int, nargs="+", default=[1000, 1500, 2000, 4000])
    parser.add_argument("--network-side", type=int, default=800)
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(int(given.one[0]), given.one[1] == "network")))
        return
    print(cpu_name())
    cases = [(side, "handcrafted") for side in given.sides] + [(given.network_side, "network")]
    for side, kind in cases:
        words = [sys.executable, __file__, "--one", str(side), kind]
        made = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True)
        found = json.loads(made.stdout.splitlines()[-1])
        print(
            f"{kind:12} {side:6d} px: {60 / found['seconds']:7.1f} RoIs/min, "
            f"{found['nuclei'] / found['seconds']:8.1f} nuclei/s; {found['nuclei']:7d} nuclei, "
            f"{found['superpixels']:6d} superpixels, {found['peak_mb']:6d} MB",
            flush=True,
        )


if __name__ == "__main__":
    main()
