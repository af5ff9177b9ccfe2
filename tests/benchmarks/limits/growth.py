"""What choosing windows costs against image area, windows, classes and volume."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from decomp_core import Region, decomp_regions, uncertain_regions

from .harness import Options, Row, both_clocks, in_fresh_process, most_beyond_mb, stand_alone
from .maps import cells
from .windows_decomp import NUMPY, numpy_regions

Sizes = list[tuple[int, ...]]
VOLUMES: Sizes = [(35, 50, 35), (150, 128, 128), (300, 256, 256), (600, 512, 512)]
SIDES = {"image area": 32, "windows": 64, "classes": 128}
CELLS = 600
WINDOWS_3D, SIDE_3D = 15, 32
PLAIN, TAKEN, AXIS_2 = "plain", "a window taken in every second slice", "slices along axis 2"
FORTRAN, FEW = "Fortran order", "few slices"
CASES = (PLAIN, TAKEN, AXIS_2, FORTRAN, FEW)


def weights_of(classes: int) -> np.ndarray:
    """Return (C,) weights, none near 0."""
    return np.random.default_rng(0).dirichlet(np.full(classes, 5.0))


def decomp(labels: np.ndarray, classes: int, n: int, side: int) -> list[Region]:
    """Choose windows of an image, or of the slices of a volume."""
    axis = None if labels.ndim == 2 else 0
    rng = np.random.default_rng(0)
    return decomp_regions(labels, weights_of(classes), n, (side, side), rng, axis=axis)


def other(labels: np.ndarray, classes: int, n: int, side: int) -> list[Region]:
    """Choose the same with an integral image per pick."""
    return numpy_regions(labels, weights_of(classes), n, side, np.random.default_rng(0))


def point(
    panel: str, series: str, x: float, work: str, call: Callable[[], object], repeats: int
) -> Row:
    """Time one point of a curve."""
    found = both_clocks(call, repeats)
    return Row(
        work, 1e3 * found.cpu, None, "", "ms", "", None, ours_wall=1e3 * found.wall,
        panel=panel, series=series, x=x,
    )  # fmt: skip


def beside(row: Row, labels: np.ndarray, classes: int, n: int, side: int, repeats: int) -> Row:
    """Add what the integral images take, once the windows are the same."""
    assert decomp(labels, classes, n, side) == other(labels, classes, n, side), row.work
    found = both_clocks(lambda: other(labels, classes, n, side), min(repeats, 3))
    return replace(
        row, alternative=1e3 * found.cpu, alternative_wall=1e3 * found.wall, alternative_name=NUMPY
    )


def planes(options: Options) -> Iterator[tuple[str, float, tuple[int, int], int, int, bool]]:
    """Yield panel, place, shape, classes, windows, and whether the alternative is timed."""
    sides = (64, 128) if options.quick else (256, 512, 1024, 2048, 4096, 8192)
    for side in sides:
        yield "image area", side * side, (side, side), 19, 10, side <= 4096
    shape = (96, 160) if options.quick else (1024, 2048)
    for n in (1, 4) if options.quick else (1, 3, 10, 30, 100, 200):
        yield "windows", n, shape, 19, n, n <= 30
    for classes in (2, 5) if options.quick else (2, 5, 10, 19, 50, 100, 150):
        yield "classes", classes, shape, classes, 10, True


def images(options: Options) -> Iterator[Row]:
    """Time DECOMP and uncertain windows on images."""
    for panel, x, shape, classes, n, both in planes(options):
        side = 8 if options.quick else SIDES[panel]
        repeats = min(options.repeats, 3) if shape[0] > 4096 else options.repeats
        sizes = f"{n} of {side}² on {shape[0]} x {shape[1]}, {classes} classes"
        for name, noise in (("smooth", 0.0), ("10 % random", 0.1)):
            points = CELLS if panel == "classes" else None  # the same borders for all classes
            labels = cells(shape, classes, noise, 0, points)
            call = functools.partial(decomp, labels, classes, n, side)
            work = f"DECOMP windows, {sizes}, {name}"
            row = point(panel, f"DECOMP, {name}", x, work, call, repeats)
            wanted = both and name != "smooth"
            yield beside(row, labels, classes, n, side, repeats) if wanted else row
        if panel != "classes":
            values = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
            call = functools.partial(uncertain_regions, values, n, (side, side))
            work = f"uncertain windows, {sizes}, uint8"
            yield point(panel, "uncertain", x, work, call, repeats)


def volume_call(
    kind: str, shape: tuple[int, ...], side: int, case: str = PLAIN
) -> Callable[[], list[Region]]:
    """Return a choice of windows of a volume's slices, its map being made."""
    axis, taken = (2 if case == AXIS_2 else 0), []
    if case == TAKEN:
        taken = [Region((z, 0, 0), (1, side, side)) for z in range(0, shape[0], 2)]
    if kind == "DECOMP":
        values = cells(shape, 4, 0.1, 0)
    else:
        values = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
    if case == FORTRAN:
        values = np.asfortranarray(values)
    rest = {"taken": taken, "axis": axis}
    if kind == "DECOMP":
        draw, size = np.random.default_rng, (side, side)
        return lambda: decomp_regions(values, weights_of(4), WINDOWS_3D, size, draw(0), **rest)
    return lambda: uncertain_regions(values, WINDOWS_3D, (side, side), **rest)


def memory_of(kind: str, shape: list[int], side: int, case: str) -> float:
    """Return the MB that a choice needs beyond its map; all is compiled before.

    The larger of what the system and what the allocator counts: the system does not see memory
    used again that was freed before.
    """
    volume_call(kind, (40, 40, 40), side, case)()
    return most_beyond_mb(volume_call(kind, tuple(shape), side, case))


def memory(kind: str, shape: tuple[int, ...], side: int) -> Row:
    """Measure what a choice needs beyond its map in several cases, and take the worst share."""
    found = {}
    for case in CASES:
        sizes = (min(30, shape[0] // 2), *shape[1:]) if case == FEW else shape
        held = float(np.prod(sizes) / 2**20)
        found[case] = in_fresh_process(memory_of, kind, list(sizes), side, case), held, sizes
    worst = max(found, key=lambda case: found[case][0] / found[case][1])
    beyond, held, sizes = found[worst]
    name = "label map" if kind == "DECOMP" else "uncertainty map"
    shares = ", ".join(f"{case} {100 * b / m:.1f} %" for case, (b, m, _) in found.items())
    named = {case: " x ".join(map(str, v)) for case, (_, _, v) in found.items()}
    return Row(
        f"memory of choosing {kind} windows in a volume of {named[PLAIN]}, beyond its {name}, the "
        "worst of five cases", beyond, held, f"the {name} itself", "MB", "a tenth of the map",
        bool(beyond <= held / 10),
        f"{WINDOWS_3D} windows of {side}²; of the map: {shares} ({named[FEW]}); the figures are of "
        f"the worst, {worst}",
        aim_factor=10,
    )  # fmt: skip


def volumes(options: Options) -> Iterator[Row]:
    """Time windows of slices, then measure their memory in processes of their own."""
    side = 8 if options.quick else SIDE_3D
    shapes = [(8, 40, 40), (12, 48, 48)] if options.quick else VOLUMES
    for shape in shapes:
        sizes = " x ".join(map(str, shape))
        for kind in ("DECOMP", "uncertain"):
            call = volume_call(kind, shape, side)
            work = f"{kind} windows, {WINDOWS_3D} of {side}² in slices of {sizes}"
            repeats = min(options.repeats, 5)
            series = "DECOMP, 10 % random" if kind == "DECOMP" else kind
            yield point("volume", series, float(np.prod(shape)), work, call, repeats)
    for kind in ("DECOMP", "uncertain"):
        yield memory(kind, shape, side)


def rows(options: Options) -> Iterator[Row]:
    """Time everything."""
    yield from images(options)
    yield from volumes(options)


if __name__ == "__main__":
    stand_alone(rows)
