"""The values in label files, and what is proposed for their classes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from al.io.errors import ConfigError, DataError
from al.io.tables import PoolRow

from .images import opened, read_ids
from .nifti import opened_whole

VOID_NAMES = ("void", "ignore")
APART = 8  # at most, values that number classes; greys that are to be told apart by eye are further


def read_values(rows: Sequence[PoolRow]) -> tuple[dict[int, int], dict[int, list[int]]]:
    """Return the pixels (voxels) of each value in label files, as in the files, and its colour.

    Colours are RGB of the first palette, for all that it has; of files without one none.

    Raises:
        DataError: a file cannot be read, or holds no ids; if they are colours, which.
    """
    counts: Counter[int] = Counter()
    colours: dict[int, list[int]] = {}
    for row in rows:
        values, numbers = np.unique(_ids(row), return_counts=True)
        counts.update(dict(zip(values.tolist(), numbers.tolist(), strict=True)))
        if len(row.shape) == 2 and not colours:
            with opened(row.label_path) as image:
                flat = (image.mode == "P" and image.getpalette("RGB")) or []
            colours = {n: flat[3 * n : 3 * n + 3] for n in range(len(flat) // 3)}
    if len(counts) > 254:
        raise DataError(
            f"{rows[0].label_path} and others: {len(counts)} label values; allowed: 254 classes "
            "(are these numbers of objects?)"
        )
    if odd := [value for value in counts if value % 1 != 0]:  # NaN as well
        raise DataError(f"{rows[0].label_path}: label values {odd[:8]}; allowed: whole numbers")
    return {int(value): counts[value] for value in sorted(counts)}, colours


def _ids(row: PoolRow) -> np.ndarray:
    if len(row.shape) == 3:
        with opened_whole(row.label_path) as volume:
            return np.asanyarray(volume.dataobj)
    try:
        return read_ids(row.label_path)
    except DataError as error:
        with opened(row.label_path) as image:
            found = image.convert("RGB").getcolors(64) if len(image.getbands()) > 1 else None
        if not found:
            raise
        shown = ", ".join(str(colour) for _, colour in sorted(found, reverse=True))
        raise DataError(f"{error}. Here: {shown} (Colours)") from None


def name_values(
    values: Sequence[int], names: Sequence[str]
) -> tuple[list[str], list[int], list[int]]:
    """Return classes, the value of each in label files, and the values that are void.

    255 is void behind values that look like numbers of classes, as in 0, 1, 255, and unless it ends
    greys, as in 0, 255 or 0, 127, 255 or 0, 64, 255.

    Args:
        values: sorted, those in label files.
        names: one for each value, ``void`` for what is no class; or for all that are not void; or
            for 0 upwards, where some do not occur; or none.

    Raises:
        ConfigError: names that are none of these.
    """
    steps = np.diff(values)
    numbers = len(steps) > 1 and steps[:-1].max() <= APART and steps[-1] > 2 * steps[:-1].max()
    ids = list(values[:-1] if values[-1] == 255 and numbers else values)
    if len(names) == len(values):
        ids = list(values)
    elif len(names) > ids[-1]:
        ids = list(range(len(names)))
    elif names and len(names) != len(ids):
        raise ConfigError(
            f"classes: {len(names)} ({', '.join(names)}); label files hold the values "
            f"{', '.join(map(str, values))}; allowed: a name for each, `void` for what is no class"
        )
    names = names or [f"class {value}" for value in ids]
    held = {value: n for value, n in zip(ids, names, strict=True) if n not in VOID_NAMES}
    return list(held.values()), list(held), [value for value in values if value not in held]
