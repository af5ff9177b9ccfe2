"""What a first cycle reveals, by how it is chosen: nothing is trained.

    python -m tests.benchmarks.starts DATASET data_root=FOLDER seeds=20 [key=value ...]

Prints, over the seeds, how many classes the annotated pixels (RoIs) have, how evenly these are
spread over the classes (entropy, 1 where all have as many), and the share of the rarest class.
"""

from __future__ import annotations

import sys
import tempfile
import time
from itertools import product
from typing import Any

import numpy as np

from al.config.checks import layout_of
from al.io.labels import UNKNOWN
from al.io.pool import assign_splits
from al.io.tables import write_pool
from al.layouts import get_layout
from al.strategies.choose import choose
from al.strategies.files import query_of
from tests.config.kit import load, typed


def counts(layout: Any, query: Any) -> np.ndarray:
    """Return the (C,) pixels (RoIs) of each class in what is chosen."""
    found = np.zeros(UNKNOWN + 1, np.int64)
    for region in choose(query).rows:
        row = next(r for r in query.groups[region.image] if r.roi == region.roi)
        label = layout.open_label(row)
        values = label if row.roi else label[region.region.slices]
        found += np.bincount(np.ravel(values), minlength=len(found))
    return found[: len(query.classes)]


def measure(dataset: str, changes: dict[str, Any]) -> None:
    """Print a line for each way to choose images, and regions in them."""
    settings = load(dataset, **changes)
    layout = get_layout(**layout_of(settings))
    rows = layout.index(settings["data_root"])
    keys = ("task", "region", "patch", "footprint", "background", "thresholds")
    science = {key: settings[key] for key in keys}
    science |= {"layout": layout_of(settings), "centres": settings["random_centres"]}
    for images, regions in product(("random", "diverse"), repeat=2):
        science["definition"] = {"images": images, "regions": regions, "spread": 1}
        shares, began = [], time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            for seed in settings["seeds"]:
                write_pool(
                    pool := f"{folder}/{seed}.csv", assign_splits(rows, settings["split"], seed)
                )
                query = query_of(pool, science, settings["budget"][0], seed, 1)
                held = counts(layout, query)
                shares.append(held / held.sum())
        print(f"{dataset}: images {images}, regions {regions}: {told(np.array(shares))}", end="")
        print(f", {(time.monotonic() - began) / len(shares):.1f} s a seed", flush=True)


def told(shares: np.ndarray) -> str:
    """Put (seeds, C) shares of the classes into words."""
    logs = np.log(shares, where=shares > 0, out=np.zeros_like(shares))
    evenness = -(shares * logs).sum(axis=1) / np.log(shares.shape[1])
    return (
        f"{(shares > 0).sum(axis=1).mean():.2f} classes, entropy {evenness.mean():.3f} "
        f"(sd {evenness.std():.3f}), rarest class {100 * shares.min(axis=1).mean():.2f} %"
    )


if __name__ == "__main__":
    measure(sys.argv[1], typed(dict(word.split("=", 1) for word in sys.argv[2:])))
