"""One generator per (seed, cycle, image), so that shards and the order of jobs cannot matter."""

from __future__ import annotations

from hashlib import sha256

import numpy as np


def generator(seed: int, cycle: int, image: str | None = None) -> np.random.Generator:
    """Return the generator of one image in one cycle, or of the whole pool (``image=None``)."""
    entropy = [seed, cycle]
    if image is not None:
        entropy.append(int.from_bytes(sha256(image.encode()).digest()[:8], "big"))
    return np.random.default_rng(np.random.SeedSequence(entropy))
