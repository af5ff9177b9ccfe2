"""Time of choosing windows on one large label map, one core.

    OMP_NUM_THREADS=1 python tests/benchmarks/selection.py

Compares ``decomp_regions`` with the same choice made by a numpy integral image per pick, whose
windows must be identical, and times the other two region selectors.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from decomp_core import Region, decomp_regions, random_regions, uncertain_regions
from decomp_core.draw import draw_class
from tests.benchmarks.machine import cpu_name


def label_map(height: int, width: int, classes: int, noise: float, seed: int) -> np.ndarray:
    """Return (H, W) uint8: cells around random points, a share ``noise`` of the pixels redrawn."""
    rng = np.random.default_rng(seed)
    rows, columns = np.ogrid[:height, :width]
    labels = np.zeros((height, width), np.uint8)
    nearest = np.full((height, width), np.inf, np.float32)
    for y, x in zip(rng.integers(height, size=60), rng.integers(width, size=60), strict=True):
        distance = np.square(rows - y, dtype=np.float32) + np.square(columns - x, dtype=np.float32)
        closer = distance < nearest
        labels[closer], nearest[closer] = rng.integers(classes), distance[closer]
    if noise:
        changed = rng.random(labels.shape) < noise
        labels[changed] = rng.integers(classes, size=int(changed.sum()), dtype=np.uint8)
    return labels


def numpy_regions(
    labels: np.ndarray, weights: np.ndarray, n: int, side: int, rng: np.random.Generator
) -> list[Region]:
    """Choose as ``decomp_regions`` does: an integral image of the drawn class for every pick.

    Each class must keep a free window that holds it; AssertionError where one does not.
    """
    live = sorted(int(c) for c in np.unique(labels))
    blocked = np.zeros([k - side + 1 for k in labels.shape], bool)
    chosen: list[Region] = []
    while len(chosen) < n:
        cls = draw_class(live, weights, rng)
        table = np.zeros((labels.shape[0] + 1, labels.shape[1] + 1), np.int32)
        table[1:, 1:] = (labels == cls).cumsum(0, dtype=np.int32).cumsum(1, dtype=np.int32)
        score = table[side:, side:] - table[:-side, side:] - table[side:, :-side]
        score += table[:-side, :-side]
        score[blocked] = -1
        y, x = (int(v) for v in np.unravel_index(score.argmax(), score.shape))
        assert score[y, x] > 0, f"class {cls} has no free window left; take another seed"
        chosen.append(Region((y, x), (side, side), cls, int(score[y, x])))
        blocked[max(0, y - side + 1) : y + side, max(0, x - side + 1) : x + side] = True
    return chosen


def milliseconds(call: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Return the median times of a call, by the clock and of the processor, after one uncounted.

    The second is the one to compare where other programs share the core.
    """
    call()
    times = []
    for _ in range(repeats):
        clock, processor = time.perf_counter(), time.process_time()
        call()
        times.append((time.perf_counter() - clock, time.process_time() - processor))
    elapsed, used = (1000 * statistics.median(column) for column in zip(*times, strict=True))
    return elapsed, used


def compare(noise: float, options: argparse.Namespace) -> list[str]:
    """Return one line of the table per selector for a map with this share of noise."""
    n, side = options.regions, options.side
    labels = label_map(options.height, options.width, options.classes, noise, options.seed)
    weights = np.random.default_rng(options.seed).dirichlet(np.ones(options.classes))
    uncertainty = np.random.default_rng(1).integers(0, 256, labels.shape, dtype=np.uint8)

    def rng() -> np.random.Generator:
        return np.random.default_rng(options.seed)

    window = (side, side)
    fast = decomp_regions(labels, weights, n, window, rng())
    slow = numpy_regions(labels, weights, n, side, rng())
    assert fast == slow, f"the windows differ: {fast} and {slow}"
    calls: dict[str, Callable[[], object]] = {
        "`decomp_regions`": lambda: decomp_regions(labels, weights, n, window, rng()),
        "numpy integral image per pick": lambda: numpy_regions(labels, weights, n, side, rng()),
        "`uncertain_regions`, uint8": lambda: uncertain_regions(uncertainty, n, window),
        "`random_regions`": lambda: random_regions(labels.shape, n, window, rng()),
    }
    name = f"{100 * noise:.0f} % noise" if noise else "smooth"
    lines = []
    for what, call in calls.items():
        elapsed, used = milliseconds(call, options.repeats)
        lines.append(f"| {name} | {what} | {elapsed:.1f} | {used:.1f} |")
    return lines


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in {
        "height": 1024, "width": 2048, "classes": 19, "regions": 10, "side": 128, "repeats": 15,
        "seed": 0,
    }.items():  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    print(
        f"{options.regions} windows of {options.side} x {options.side} on {options.height} x "
        f"{options.width}, {options.classes} classes; {cpu_name()}, one core\n"
    )
    print("| label map | selector | median ms | CPU ms |\n|---|---|---:|---:|")
    for noise in (0.0, 0.1):
        print("\n".join(compare(noise, options)), flush=True)


if __name__ == "__main__":
    main()
