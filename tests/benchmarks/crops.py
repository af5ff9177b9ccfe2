"""Score against pixels seen: training on crops around sparse labels, or on full images.

    OMP_NUM_THREADS=1 python tests/benchmarks/crops.py --data ../shared/data/camvid

CamVid at half resolution. A few random windows of some training images are revealed; training
images that are not among these score the model. Settings see equally many pixels, so that they
cost about the same time. The validation images are not read.
"""

from __future__ import annotations

import argparse
import math
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))

from al.io.labels import UNKNOWN, write_label
from al.io.tables import LabelRow, PoolRow
from al.layouts import get_layout
from al.learners import FitJob, get_learner
from al.learners.cache import Cache
from decomp_core import random_regions
from tests.benchmarks.machine import cpu_name

ROOT = Path(__file__).resolve().parents[2]
SETTINGS: dict[str, dict[str, Any]] = {
    "crops of 48 x 48, batch 8": {"crop": [48, 48], "batch": 8},
    "crops of 96 x 96, batch 8": {"crop": [96, 96], "batch": 8},
    "full images, batch 2": {"crop": None, "batch": 2},
}


class Pool:
    """Training images of CamVid: some with sparse labels, others held out."""

    def __init__(self, data: Path, revealed: int, held_out: int) -> None:
        config = yaml.safe_load((ROOT / "config/datasets/camvid.yaml").read_text())
        self.classes: list[str] = config["classes"]
        options = {**config["layout_options"], "downsample": 2}
        options["splits"] = {"train": options["splits"]["train"]}
        self.layout = get_layout(config["layout"], options, self.classes)
        self.rows = self.layout.index(data)
        if revealed + held_out > len(self.rows):
            raise SystemExit(f"{data}: {len(self.rows)} images; asked: {revealed} + {held_out}")
        # The held-out images stand together: neighbours in a video are nearly the same image.
        self.candidates, self.held_out = self.rows[:-held_out], self.rows[-held_out:]
        self.revealed, self.cache = revealed, Cache(1 << 30, lambda image: image.nbytes)

    def open_image(self, row: PoolRow) -> np.ndarray:
        """Return an image, decoded once."""
        return self.cache.get(row.image, lambda: self.layout.open_image(row))

    def reveal(self, folder: Path, seed: int, regions: int, side: int) -> list[LabelRow]:
        """Write the labels of random windows of random images."""
        rng = np.random.default_rng(seed)
        numbers = np.sort(rng.choice(len(self.candidates), self.revealed, replace=False))
        found = []
        for row in (self.candidates[n] for n in numbers):
            truth = self.layout.open_label(row)
            label = np.full_like(truth, UNKNOWN)
            for region in random_regions(truth.shape, regions, (side, side), rng):
                part = tuple(
                    slice(s, s + n) for s, n in zip(region.start, region.size, strict=True)
                )
                label[part] = truth[part]
            path = folder / f"{row.image}.png"
            write_label(path, label)
            found.append(LabelRow(row.image, "", str(path), None))
        return found

    def score(self, model: Path, settings: dict[str, Any]) -> float:
        """Return the mean IoU over the held-out images, of the classes that occur in them."""
        count = len(self.classes)
        matrix = np.zeros((count, count), np.int64)
        trained = get_learner("convnet").open(model, self, settings)
        for row in self.held_out:
            truth = self.layout.open_label(row)
            found = trained.segment(row)[truth != UNKNOWN]
            pairs = truth[truth != UNKNOWN].astype(np.int64) * count + found
            matrix += np.bincount(pairs, minlength=count * count).reshape(count, count)
        true, union = matrix.sum(1), matrix.sum(1) + matrix.sum(0) - np.diag(matrix)
        return float((np.diag(matrix)[true > 0] / union[true > 0]).mean())


def train(
    pool: Pool, labels: list[LabelRow], settings: dict[str, Any], steps: int, seed: int, out: Path
) -> float:
    """Train a model into ``out`` / model and return the seconds it took."""
    rows = {row.image: row for row in pool.rows}
    began = time.perf_counter()
    places = {"out": out / "model", "work": out / "work"}
    fixed = {"settings": settings, "classes": pool.classes, "task": "2d"}
    job = FitJob(pool, rows, labels, seed=seed, steps=steps, **places, **fixed)
    get_learner("convnet").fit(job)
    return time.perf_counter() - began


def line(pool: Pool, name: str, pixels: float, options: argparse.Namespace) -> str:
    """Train and score one setting for every seed and return its line of the table."""
    settings = {**SETTINGS[name], "device": options.device}
    settings["crop"] = settings["crop"] or list(pool.rows[0].shape)
    per_step = math.prod(settings["crop"]) * settings["batch"]
    steps = max(1, round(pixels / per_step))
    seconds, scores = [], []
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory() as folder:
            labels = pool.reveal(Path(folder), seed, options.regions, options.side)
            seconds.append(train(pool, labels, settings, steps, seed, Path(folder)))
            scores.append(pool.score(Path(folder) / "model", settings))
    shown = " ".join(f"{s:.3f}" for s in scores)
    seen = steps * per_step / 1e6
    return f"| {name} | {steps} | {seen:.1f} M | {np.mean(seconds):.0f} | {shown} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared/data/camvid")
    parser.add_argument("--pixels", type=float, nargs="+", default=[5e6, 10e6, 20e6])
    parser.add_argument("--device", default="cpu")
    numbers = {"seeds": 2, "images": 60, "held-out": 60, "regions": 5, "side": 24}
    for key, value in numbers.items():
        parser.add_argument(f"--{key}", type=int, default=value)
    options = parser.parse_args()
    pool = Pool(options.data, options.images, options.held_out)
    head = "| settings | steps | pixels seen | seconds | mIoU per seed |\n|---|---:|---:|---:|---|"
    table = [f"{cpu_name()}, device {options.device}\n", head]
    for pixels in options.pixels:
        for name in SETTINGS:
            table.append(line(pool, name, pixels, options))
            print(table[-1], file=sys.stderr, flush=True)
    print("\n" + "\n".join(table))


if __name__ == "__main__":
    main()
