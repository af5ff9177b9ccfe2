"""RoIs that look like stained breast tissue, in the layout of the latest BRACS release."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

from .tissue import CODES, draw_roi

# Share of each class, about as uneven as in BRACS.
SHARES = (0.12, 0.26, 0.13, 0.17, 0.08, 0.15, 0.09)
OWN_CLASS = 0.55


def write(root: Path, seed: int, train: int = 24, val: int = 7, test: int = 14) -> None:
    """Write slides of 3 to 12 RoIs each, 64 to 96 pixels a side.

    About half of a slide's RoIs are of one class; slides differ in staining.
    """
    slide = 1000
    for number, (split, count) in enumerate((("train", train), ("val", val), ("test", test))):
        rng = np.random.default_rng([seed, number])
        for code_folder in (f"{n}_{code}" for n, code in enumerate(CODES)):
            (root / split / code_folder).mkdir(parents=True)
        own = np.concatenate([rng.permutation(len(CODES)) for _ in range(count // len(CODES) + 1)])
        for main in own[:count]:
            slide += int(rng.integers(1, 20))
            write_slide(root / split, slide, int(main), np.random.default_rng([seed, slide]))


def write_slide(folder: Path, slide: int, main: int, rng: np.random.Generator) -> None:
    """Write the RoIs of one slide."""
    stain = rng.normal(0, 1, 4)
    seen: Counter[int] = Counter()
    for _ in range(rng.integers(3, 13)):
        cls = main if rng.random() < OWN_CLASS else int(rng.choice(len(CODES), p=SHARES))
        seen[cls] += 1
        name = f"BRACS_{slide}_{CODES[cls]}_{seen[cls]}.png"
        Image.fromarray(draw_roi(rng, cls, stain)).save(folder / f"{cls}_{CODES[cls]}" / name)
