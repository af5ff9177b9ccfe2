"""Images as the page shows them."""

from __future__ import annotations

import numpy as np

from al.annotators.page import views


def test_levels_of_an_image_are_means_in_tiles() -> None:
    rng = np.random.default_rng(3)
    for shape in ((1, 1), (512, 512), (3, 1025), (1100, 2049)):
        image = rng.integers(0, 256, (*shape, 3)).astype(np.uint8)
        pyramid, tiles = views.pyramid_of(image), views.tiles_of(shape)
        assert len(pyramid.levels) == len(tiles) and max(shape) <= 512 * 2 ** (len(tiles) - 1)
        assert np.array_equal(pyramid.levels[0], image)
        for k, (level, (rows, columns)) in enumerate(zip(pyramid.levels, tiles, strict=True)):
            lines = [[pyramid.tile(k, i, j) for j in range(columns)] for i in range(rows)]
            assert max(max(tile.shape) for line in lines for tile in line) <= 512
            whole = np.concatenate([np.concatenate(line, axis=1) for line in lines])
            assert np.array_equal(whole, level)
            blocks = [np.arange(0, n, 2**k) for n in shape]
            counts = [np.diff([*at, n]) for at, n in zip(blocks, shape, strict=True)]
            means = np.add.reduceat(
                np.add.reduceat(image.astype(float), blocks[0], 0), blocks[1], 1
            )
            means /= np.outer(*counts)[..., None]
            inner = tuple(slice(n >> k) for n in shape)  # at the edge, of what was rounded
            assert level.shape == means.shape and np.abs(level - means)[inner].max(initial=0) <= k
