"""What is refused, and in which words; what is imported, and where code is cached."""

from __future__ import annotations

import doctest
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import decomp_core as core
from decomp_core import Region

ROOT = Path(core.__file__).resolve().parents[1]
RNG = np.random.default_rng(0)
MAP = np.zeros((4, 5), np.uint8)
VOLUME = np.zeros((3, 4, 5), np.uint8)
ONES = np.ones(2)
TRUE = np.ones(2, bool)
NAN, INF = float("nan"), float("inf")

REFUSED = [
    # label maps and classes
    (core.best_region, (MAP.astype(int), 0, (1, 1)), "labels has dtype int64.*uint8"),
    (core.best_region, (VOLUME, 0, (1, 1)), r"labels has shape \(3, 4, 5\).*2 axes"),
    (core.best_region, (MAP, 255, (1, 1)), "cls is 255.*at most 254"),
    # shapes
    (core.best_region, (MAP, 0, (5, 5)), r"shape is \(5, 5\).*fit.*\(4, 5\)"),
    (core.best_region, (MAP, 0, (0, 5)), r"shape\[0\] is 0.*at least 1"),
    (core.best_region, (MAP, 0, np.ones((2, 2))), "shape has dtype float64.*boolean"),
    (core.best_region, (MAP, 0, np.zeros((2, 2), bool)), "footprint.*without any True"),
    # regions in the way
    (core.best_region, (MAP, 0, (1, 1), [Region((0,), (1,))]), r"taken\[0\] is.*2 axes"),
    (core.best_region, (MAP, 0, (1, 1), [(0, 0)]), r"taken\[0\] is \(0, 0\).*Region"),
    (core.best_region, (MAP, 0, (1, 1), (), MAP), "valid has dtype uint8.*boolean"),
    # weights
    (core.decomp_regions, (MAP, [0.5, NAN], 1, (1, 1), RNG), r"weights\[1\] is nan.*finite"),
    (core.decomp_regions, (MAP, [-0.5, 1], 1, (1, 1), RNG), r"weights\[0\] is -0.5.*at least 0"),
    (core.decomp_regions, (MAP + 2, ONES, 1, (1, 1), RNG), "labels holds 2.*0 to 1"),
    (core.decomp_regions, (MAP, ONES, -1, (1, 1), RNG), "n is -1.*at least 0"),
    (core.decomp_regions, (MAP, ONES, 1, (1, 1), 7), "rng is 7.*Generator"),
    # slice axes
    (core.decomp_regions, (VOLUME, ONES, 1, (1, 1), RNG), "axis is None.*0, 1 or 2"),
    (core.decomp_regions, (VOLUME, ONES, 1, (1, 1), RNG, (), 3), "axis is 3.*at most 2"),
    (core.decomp_regions, (MAP, ONES, 1, (1, 1), RNG, (), 0), "axis is 0.*None"),
    # uncertainty
    (core.uncertain_regions, (MAP.astype(int), 1, (1, 1)), "uncertainty.*dtype int64"),
    (core.uncertain_regions, (np.full((2, 2), NAN), 1, (1, 1)), r"uncertainty\[0, 0\] is nan"),
    (core.uncertain_regions, (np.ones(3), 1, (1, 1)), r"uncertainty has shape \(3,\)"),
    # random
    (core.random_regions, (4, 1, (1, 1), RNG), "image_shape is 4"),
    (core.random_regions, ((4, 0), 1, (1, 1), RNG), r"image_shape\[1\] is 0"),
    (core.random_regions, ((4, 5), 1, (1, 1), RNG, (), MAP), "centres has dtype uint8"),
    (core.random_regions, ((4, 6), 1, (1, 1), RNG, (), MAP > 0), r"centres has shape \(4, 5\)"),
    # counts and scores
    (core.class_counts, (MAP, np.ones((5, 4)), 2, 0.7), r"confidence has shape \(5, 4\)"),
    (core.class_counts, (MAP, np.full((4, 5), NAN), 2, 0.7), r"confidence\[0, 0\] is nan"),
    (core.class_counts, (MAP + 2, np.ones((4, 5)), 2, 0.7), "labels holds 2.*0 to 1"),
    (core.class_counts, (MAP, np.ones((4, 5)), 0, 0.7), "n_classes is 0"),
    (core.class_counts, (MAP, np.ones((4, 5)), 2, 1.7), "tau is 1.7.*0 to 1"),
    (core.class_confidence, ([1, 2], [1, 3]), r"confident\[1\] is 3.*at most predicted, 2"),
    (core.class_confidence, ([1, -2], [1, -3]), "predicted holds -2"),
    (core.sampling_weights, ([0.5, NAN],), r"confidence\[1\] is nan"),
    (core.sampling_weights, ([],), r"confidence has shape \(0,\)"),
    (core.sampling_weights, ([0.5, 1], [1]), r"emphasis has shape \(1,\)"),
    (core.sampling_weights, ([0.5, 1], [-1, 1]), r"emphasis\[0\] is -1"),
    (core.sampling_weights, ([0.5, 1], [0, 0]), "emphasis.*not be 0 for every"),
    (core.decomp_image_scores, ([[1, 2]], [1], 1), r"weights has shape \(1,\)"),
    (core.decomp_image_scores, ([[1, 2]], ONES, 0), "cap holds 0.*above 0"),
    (core.decomp_image_scores, ([[-1, 2]], ONES, 1), "predicted holds -1"),
    # images and RoIs
    (core.select_images, (ONES, 1, [1, 1], RNG), "eligible has dtype int64.*boolean"),
    (core.rotate_images, (ONES, 1, [0, -1], TRUE, RNG), "openings holds -1"),
    (core.decomp_rois, ([[0.5, 2.0]], ONES, 1, RNG), r"probabilities\[0, 1\] is 2.0"),
    (core.decomp_rois, ([[0.5, 0.5]], ONES, 1, RNG, [1]), r"taken\[0\] is 1.*at most 0"),
    (core.uncertain_rois, ([1.0], 1, [-1]), r"taken\[0\] is -1"),
    (core.random_rois, (-1, 1, RNG), "n_rois is -1"),
    # regions
    (Region, ((0, 0), (1,)), r"size is \(1,\).*as many axes"),
    (Region, ((-1, 0), (1, 1)), r"start is \(-1, 0\).*at least 0"),
    (Region, ((0, 0), (1, 0)), r"size is \(1, 0\).*at least 1"),
]


@pytest.mark.parametrize(("function", "arguments", "message"), REFUSED)
def test_refused_with_a_message(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)


def test_slice_gap_needs_slices():
    with pytest.raises(ValueError, match=r"min_slice_gap is 1.*without axis"):
        core.decomp_regions(MAP, ONES, 1, (1, 1), RNG, min_slice_gap=1)
    with pytest.raises(ValueError, match=r"min_slice_gap is -1.*at least 0"):
        core.decomp_regions(VOLUME, ONES, 1, (1, 1), RNG, axis=0, min_slice_gap=-1)


def test_region_holds_plain_integers():
    region = Region(np.array([1, 2]), [np.int64(3), 4])
    assert region == Region((1, 2), (3, 4))
    assert {type(v) for v in region.start + region.size} == {int}
    assert region.stop == (4, 6) and MAP[region.slices].shape == (3, 3)
    assert region.overlaps(Region((3, 5), (1, 1)))
    assert not region.overlaps(Region((4, 2), (1, 1)))


def test_results_hold_plain_numbers():
    for region in core.decomp_regions(MAP, ONES, 2, (2, 2), RNG):
        assert {type(v) for v in (*region.start, *region.size, region.cls, region.score)} == {int}
    (region,) = core.uncertain_regions(MAP, 1, (2, 2))
    assert {type(v) for v in region.start} == {int} and type(region.score) is float
    assert all(type(i) is int for i in core.random_rois(3, 3, RNG) + core.uncertain_rois(ONES, 2))


@pytest.mark.parametrize(
    "name", sorted(p.stem for p in Path(core.__file__).parent.glob("*.py") if p.stem != "__init__")
)
def test_examples_in_the_docstrings(name):
    result = doctest.testmod(import_module(f"decomp_core.{name}"))
    assert result.failed == 0


def test_every_export_is_importable():
    assert all(callable(getattr(core, name)) for name in core.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = core.nothing


def python(code, **environment):
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_region_and_scores_do_without_numba():
    code = "import sys; from decomp_core import Region, sampling_weights, decomp_rois; "
    done = python(code + "sys.exit('numba' in sys.modules)")
    assert done.returncode == 0, done.stderr
    allowed = python("import sys, decomp_core; sys.exit('numpy' in sys.modules)")
    assert allowed.returncode == 0, allowed.stderr
