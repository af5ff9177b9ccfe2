"""What is refused, and in which words; what is returned and imported."""

from __future__ import annotations

import doctest
import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch

import decomp_core as core
from decomp_core import Region

ROOT = Path(core.__file__).resolve().parents[1]
RNG = np.random.default_rng(0)
NAN = float("nan")
MAP, VOLUME = np.zeros((4, 5), np.uint8), np.zeros((3, 4, 5), np.uint8)
PAIR = [Region((0,), (1,)), Region((1,), (1,))]
ONES, SOFTMAX = np.ones(2), np.full((2, 4, 5), 0.5, np.float32)
TRUTH = {"truth_of": lambda image: MAP + 2, "shapes": [(4, 5)], "patches": [(1, 1)]}

# A call that is taken, by function.
CALLS = {
    "best_region": {"labels": MAP, "cls": 0, "shape": (1, 1), "taken": (), "valid": MAP == 0},
    "decomp_regions": {"labels": MAP, "weights": ONES, "n": 1, "shape": (1, 1), "rng": RNG}
    | {"taken": (), "axis": None, "min_slice_gap": 0, "annotatable": MAP == 0},
    "uncertain_regions": {"uncertainty": MAP, "n": 1, "shape": (1, 1), "taken": (), "axis": None}
    | {"annotatable": MAP == 0, "rng": RNG},
    "random_regions": {"image_shape": (4, 5), "n": 1, "shape": (1, 1), "rng": RNG, "taken": ()}
    | {"centres": MAP == 0, "axis": None, "annotatable": MAP == 0},
    "pseudo_labels": {"probabilities": SOFTMAX},
    "class_counts": {"labels": MAP, "confidence": MAP + 0.5, "n_classes": 2, "tau": 0.7}
    | {"valid": MAP == 0},
    "class_confidence": {"predicted": [1, 2], "confident": [1, 2]},
    "sampling_weights": {"confidence": [0.5, 1], "emphasis": [1, 2]},
    "decomp_image_scores": {"predicted": [[1, 2]], "weights": ONES, "cap": 1},
    "select_images": {"scores": ONES, "n": 1, "eligible": [True, True], "rng": RNG},
    "rotate_images": {"scores": ONES, "n": 1, "openings": [0, 0], "available": [True, True]}
    | {"rng": RNG},
    "decomp_rois": {"probabilities": [[0.5, 0.5]], "weights": ONES, "n": 1, "rng": RNG}
    | {"taken": ()},
    "uncertain_rois": {"uncertainty": ONES, "n": 1, "taken": (), "rng": RNG},
    "random_rois": {"n_rois": 2, "n": 1, "rng": RNG, "taken": ()},
    "beta_schedule": {"step": 0, "steps": 5, "first": 1.0, "last": 100.0},
    "clasp_quotas": {"n": 1, "classes": [1], "share": 0.5, "rng": RNG},
    "clasp_candidates": {"probabilities": SOFTMAX, "patch": (1, 1), "n": 1, "classes": [1]}
    | {"rng": RNG, "taken": (), "stride": 1, "beta": 1.0, "share": 0.5, "per_image": 2}
    | {"uncertainty": MAP, "annotatable": MAP == 0},
    "clasp_merge": {"found": {}, "n": 1, "quotas": {1: 1}},
    "pool_uncertain": {"images": lambda: [("a", MAP, (1, 1), ())], "n": 1},
    "spatially_diverse": {"images": lambda: [("a", MAP, (1, 1), ())], "n": 1, "weight": 1}
    | {"sigma": 1},
    "spatially_diverse_features": {"regions": PAIR, "group": [0, 1], "features": np.ones((2, 1))}
    | {"n": 1, "weight": 1.0, "sigma": 1.0, "rng": RNG},
    "choose": {"features": np.eye(2), "priority": ONES, "group": [0, 1], "n": 1, "per_group": 1}
    | {"rng": RNG, "method": "badge", "residuals": np.eye(2)},
    "random_foreground": TRUTH
    | {"n": 1, "classes": [1], "rng": RNG, "taken": [[]], "chances": (0, 1, 0)},
    "starting_patches": TRUTH | {"n": 1, "n_classes": 3, "background": 0, "rng": RNG},
    "footprint": {"kind": "annulus", "size": (3, 3), "hole": 0.5},
}

# What every function refuses that has the argument.
ALWAYS = [
    ("rng", 7, "rng is 7.*Generator"),
    ("n", -1, "n is -1.*at least 0"),
    ("n", 1.5, "n is 1.5.*integer"),
    ("weights", [0.5, NAN], r"weights\[1\] is nan.*finite"),
    ("weights", [-0.5, 1], r"weights\[0\] is -0.5.*at least 0"),
    ("shape", (5, 5), r"shape\[0\] is 5.*at most 4"),
    ("shape", (0, 5), r"shape\[0\] is 0.*at least 1"),
    ("shape", (1, 1, 1), r"shape is \(1, 1, 1\).*2 integers"),
    ("shape", np.ones((2, 2)), "shape has dtype float64.*boolean"),
    ("shape", np.zeros((2, 2), bool), "shape is a footprint.*without any True"),
    ("axis", 0, "axis is 0.*None"),
    ("valid", MAP, "valid has dtype uint8.*boolean"),
    ("valid", MAP.T == 0, r"valid has shape \(5, 4\).*\(4, 5\)"),
    ("annotatable", MAP, "annotatable has dtype uint8.*boolean"),
    ("annotatable", MAP.T == 0, r"annotatable has shape \(5, 4\).*\(4, 5\)"),
    ("classes", [1, 1], r"classes is \[1, 1\].*once"),
    ("classes", [255], r"classes\[0\] is 255.*at most"),
    ("share", 1.5, "share is 1.5.*0 to 1"),
    ("weight", -1, "weight is -1.*from 0"),
    ("sigma", 0, "sigma is 0.*from 1e-06"),
    ("features", np.full((2, 2), NAN), r"features\[0, 0\] is nan.*finite"),
    ("features", np.eye(2, dtype=int), "features has dtype int64.*float32 or float64"),
    ("features", np.ones((2, 0)), r"features has shape \(2, 0\).*a value per row"),
    ("group", [0], r"group has shape \(1,\).*\(2\)"),
    ("group", ONES, "group has dtype float64.*integer"),
    ("images", [], "images is list.*when called"),
    ("images", lambda: [("a", MAP, (1, 1))], "images holds a tuple"),
    ("images", lambda: [("a", MAP, (1, 1), ())] * 2, "images holds the key 'a' twice"),
    ("images", lambda: [("a", MAP, (1,), ())], r"size is \(1,\).*2 integers"),
    ("images", lambda: [("a", MAP * 1.0, (5, 1), ())], r"size\[0\] is 5.*at most 4"),
    ("images", lambda: [("a", MAP + 1, (1, 1), PAIR)], r"taken\[0\] is.*2 axes"),
    ("images", lambda: [("a", MAP * NAN, (1, 1), ())], r"uncertainty\[0, 0\] is nan.*finite"),
    ("patches", [], "patches has length 0.*1"),
    ("patches", [(1, 7)], r"patches\[0\]\[1\] is 7.*at most 5"),
    ("shapes", [(4, 0)], r"shapes\[0\]\[1\] is 0.*at least 1"),
    ("truth_of", lambda image: MAP.T, r"truth_of\(0\) has shape \(5, 4\).*\(4, 5\)"),
    ("truth_of", lambda image: MAP > 0, r"truth_of\(0\) has dtype bool"),
]
BOXES = [([Region((0,), (1,))], r"taken\[0\] is.*2 axes"), ([(0, 0)], r"taken\[0\] is.*Region")]
SEARCHES = ("best_region", "decomp_regions", "uncertain_regions", "random_regions")
# What one function refuses.
ONCE = [
    *((name, "taken", *case) for name in (*SEARCHES, "clasp_candidates") for case in BOXES),
    *((name, "taken", [9], r"taken\[0\] is 9.*at most") for name in CALLS if "rois" in name),
    ("best_region", "labels", MAP * 1.0, "labels has dtype float64.*integer"),
    ("best_region", "labels", MAP.astype(int) + 256, "labels holds 256.*0 to 254, or 255"),
    ("decomp_regions", "labels", MAP.astype(int) - 1, "labels holds -1.*0 to 254, or 255"),
    ("best_region", "labels", VOLUME, r"labels has shape \(3, 4, 5\).*2 axes"),
    ("best_region", "cls", 255, "cls is 255.*at most 254"),
    ("decomp_regions", "labels", MAP + 2, "labels holds 2.*0 to 1"),
    ("decomp_regions", "labels", VOLUME, "axis is None.*0, 1 or 2"),
    ("decomp_regions", "min_slice_gap", 1, "min_slice_gap is 1.*without axis"),
    ("decomp_regions", "min_slice_gap", -1, "min_slice_gap is -1.*at least 0"),
    ("uncertain_regions", "uncertainty", MAP.astype(int), "uncertainty.*dtype int64"),
    ("uncertain_regions", "uncertainty", MAP * NAN, r"uncertainty\[0, 0\] is nan"),
    ("uncertain_regions", "uncertainty", ONES, r"uncertainty has shape \(2,\)"),
    ("random_regions", "image_shape", 4, "image_shape is 4"),
    ("random_regions", "image_shape", (4, 0), r"image_shape\[1\] is 0"),
    ("random_regions", "centres", MAP, "centres has dtype uint8"),
    ("random_regions", "centres", MAP.T > 0, r"centres has shape \(5, 4\)"),
    ("pseudo_labels", "probabilities", SOFTMAX * 4, r"probabilities\[0, 0, 0\] is 2.0.*0 to 1"),
    ("pseudo_labels", "axis", 3, r"shape \(2, 4, 5\) and axis is 3.*axis of 1 to 255 classes"),
    ("class_counts", "confidence", np.ones((5, 4)), r"confidence has shape \(5, 4\)"),
    ("class_counts", "confidence", MAP * NAN, r"confidence\[0, 0\] is nan"),
    ("class_counts", "labels", MAP + 2, "labels holds 2.*0 to 1"),
    ("class_counts", "n_classes", 0, "n_classes is 0"),
    ("class_counts", "tau", 1.7, "tau is 1.7.*0 to 1"),
    ("class_confidence", "confident", [1, 3], r"confident\[1\] is 3.*at most that predicted"),
    ("class_confidence", "predicted", [1, -2], "predicted holds -2"),
    ("sampling_weights", "confidence", [0.5, NAN], r"confidence\[1\] is nan"),
    ("sampling_weights", "confidence", [], r"confidence has shape \(0,\)"),
    ("sampling_weights", "emphasis", [1], r"emphasis has shape \(1,\)"),
    ("sampling_weights", "emphasis", [-1, 1], r"emphasis\[0\] is -1"),
    ("sampling_weights", "emphasis", [0, 0], "emphasis is.*not be 0 throughout"),
    ("decomp_image_scores", "weights", [1], r"weights has shape \(1,\)"),
    ("decomp_image_scores", "cap", 0, "cap holds 0.*above 0"),
    ("decomp_image_scores", "predicted", [[-1, 2]], "predicted holds -1"),
    ("select_images", "eligible", [1, 1], "eligible has dtype int64.*boolean"),
    ("rotate_images", "openings", [0, -1], "openings holds -1"),
    ("decomp_rois", "probabilities", [[0.5, 2.0]], r"probabilities\[0, 1\] is 2.0"),
    ("uncertain_rois", "uncertainty", [0, np.inf], r"uncertainty\[1\] is inf.*finite"),
    ("uncertain_rois", "taken", [-1], r"taken\[0\] is -1"),
    ("random_rois", "n_rois", -1, "n_rois is -1"),
    ("beta_schedule", "step", -1, "step is -1.*at least 0"),
    ("beta_schedule", "steps", 0, "steps is 0.*at least 1"),
    ("beta_schedule", "first", 0.0, "first is 0.0"),
    ("beta_schedule", "last", NAN, "last is nan"),
    ("clasp_candidates", "probabilities", SOFTMAX[0, 0], r"probabilities has shape \(5,\)"),
    ("clasp_candidates", "probabilities", SOFTMAX[:, :0], r"shape \(2, 0, 5\)"),
    ("clasp_candidates", "probabilities", SOFTMAX + 1, r"probabilities\[0, 0, 0\] is 1.5"),
    ("clasp_candidates", "probabilities", SOFTMAX.astype(int), "dtype int64"),
    ("clasp_candidates", "patch", (5, 5), r"patch\[0\] is 5.*at most 4"),
    ("clasp_candidates", "patch", (1,), "patch is.*2 integers"),
    ("clasp_candidates", "classes", [2], r"classes\[0\] is 2.*at most 1"),
    ("clasp_candidates", "beta", 0.0, "beta is 0.0"),
    ("clasp_candidates", "per_image", 0, "per_image is 0"),
    ("clasp_candidates", "stride", 0, r"stride\[0\] is 0"),
    ("clasp_candidates", "uncertainty", MAP * NAN, r"uncertainty\[0, 0\] is nan"),
    ("clasp_candidates", "uncertainty", MAP.T, r"uncertainty has shape \(5, 4\)"),
    ("clasp_merge", "quotas", {1: -1}, r"quotas\[1\] is -1"),
    ("clasp_merge", "quotas", {"a": 1}, "is 'a'"),
    ("clasp_merge", "found", {0: (PAIR, [])}, r"found\[0\] holds.*score"),
    ("spatially_diverse_features", "regions", [(0,), (1,)], r"regions\[0\] is \(0,\).*Region"),
    ("choose", "priority", [1], r"priority has shape \(1,\).*\(2\)"),
    ("choose", "per_group", 0, "per_group is 0.*at least 1"),
    ("choose", "method", "kmeans", "method is 'kmeans'.*cluster"),
    ("choose", "method", "cluster", "residuals is given.*None with 'cluster', only badge"),
    ("choose", "residuals", None, r"residuals is None; method 'badge' needs an array \(2, C\)"),
    ("choose", "residuals", np.eye(3), r"residuals has shape \(3, 3\).*\(2, any\)"),
    ("choose", "centres", np.eye(2), "centres is given.*None with 'badge', only coreset"),
    ("random_foreground", "taken", [], "taken has length 0"),
    ("random_foreground", "chances", (0, 0, 0), "chances is.*not be 0"),
    ("starting_patches", "background", 3, "background is 3.*at most 2"),
    ("starting_patches", "n_classes", 2, r"truth_of\(0\) holds 2.*0 to 1"),
    ("footprint", "kind", "star", "kind is 'star'.*square, disc, annulus"),
    ("footprint", "kind", "disc", r"options holds \['hole'\].*disc: none"),
    ("footprint", "size", (0, 3), r"size\[0\] is 0"),
    ("footprint", "size", (3,), "size is.*2 integers"),
    ("footprint", "hole", 1, "hole is 1"),
    ("footprint", "hole", 0.99, r"hole is 0.99.*no pixel.*\(3, 3\)"),
]
REFUSED = ONCE + [(name, *case) for name in CALLS for case in ALWAYS if case[0] in CALLS[name]]


@pytest.mark.parametrize("name", CALLS)
def test_refused_with_argument_value_and_what_is_allowed(name):
    getattr(core, name)(**CALLS[name])
    for _, argument, value, message in (case for case in REFUSED if case[0] == name):
        with pytest.raises(ValueError, match=message):
            getattr(core, name)(**CALLS[name] | {argument: value})


def test_every_function_has_its_refusals():
    assert {*CALLS, "Region"} == set(core.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'$"):
        _ = core.nothing
    with pytest.raises(AttributeError, match="'decomp_region'; the nearest is 'decomp_regions'"):
        _ = core.decomp_region


def test_regions_that_are_none_are_refused():
    for start, size, message in (
        ((0, 0), (1,), r"size is \(1,\).*as many axes"),
        ((-1, 0), (1, 1), r"start is \(-1, 0\).*at least 0"),
        ((0, 0), (1, 0), r"size is \(1, 0\).*at least 1"),
    ):
        with pytest.raises(ValueError, match=message):
            Region(start, size)
    sizes = [PAIR[0], Region((1,), (2,))]
    with pytest.raises(ValueError, match=r"regions\[1\].*\(1,\).*group 3"):
        core.spatially_diverse_features(sizes, [3, 3], np.ones((2, 1)), 1, 1.0, 1.0, RNG)


def test_region_holds_plain_integers():
    region = Region(np.array([1, 2]), [np.int64(3), 4])
    assert region == Region((1, 2), (3, 4))
    assert {type(v) for v in region.start + region.size} == {int}
    assert region.stop == (4, 6) and MAP[region.slices].shape == (3, 3)
    assert region.overlaps(Region((3, 5), (1, 1)))
    assert not region.overlaps(Region((4, 2), (1, 1)))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_tensors_and_any_integers_choose_what_arrays_choose(dtype):
    softmax = torch.rand((2, 6, 7), generator=torch.Generator().manual_seed(0)).softmax(0)
    softmax = softmax.to(getattr(torch, dtype)).requires_grad_()
    labels, confidence = core.pseudo_labels(softmax)
    assert labels.dtype == np.uint8 and (labels == softmax.argmax(0).numpy()).all()
    assert (confidence == softmax.amax(0).detach().float().numpy()).all()
    turned = core.pseudo_labels(softmax.permute(1, 2, 0), axis=-1)
    assert all((a == b).all() for a, b in zip(turned, (labels, confidence), strict=True))
    wanted = core.decomp_regions(labels, ONES, 3, (2, 2), np.random.default_rng(0))
    counts = core.class_counts(labels, confidence, 2, 0.7)
    for given in (softmax.argmax(0), labels.astype(">u2"), labels.astype("int8")):
        weights = torch.ones(2)
        assert core.decomp_regions(given, weights, 3, (2, 2), np.random.default_rng(0)) == wanted
        told = core.class_counts(given, softmax.amax(0), 2, 0.7)
        assert all((a == b).all() for a, b in zip(told, counts, strict=True))


def test_results_hold_plain_numbers():
    for region in core.decomp_regions(MAP, ONES, 2, (2, 2), RNG):
        assert {type(v) for v in (*region.start, *region.size, region.cls, region.score)} == {int}
    for values in (MAP, MAP * 1.0):
        (region,) = core.uncertain_regions(values, 1, (2, 2))
        assert {type(v) for v in region.start} == {int} and type(region.score) is float
    assert all(type(i) is int for i in core.random_rois(3, 3, RNG) + core.uncertain_rois(ONES, 2))


def test_examples_in_the_docstrings():
    for path in Path(core.__file__).parent.glob("*.py"):
        name = "" if path.stem == "__init__" else f".{path.stem}"
        assert doctest.testmod(import_module(f"decomp_core{name}")).failed == 0


def test_region_and_scores_do_without_numba():
    code = (
        "import sys, decomp_core; assert 'numpy' not in sys.modules;"
        "from decomp_core import Region, sampling_weights, decomp_rois;"
        "assert 'numba' not in sys.modules"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
