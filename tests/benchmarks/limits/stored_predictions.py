"""Bytes per pixel of stored predictions, and the time to write and read them.

On made-up maps, and on predictions of CamVid's training images (``DECOMP_CAMVID``, or
``../shared/data/camvid``) by the small convnet after a short training.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.ndimage import gaussian_filter

from al.io.labels import write_label
from al.io.records import Record, read_records, write_shard
from al.io.tables import LabelRow
from al.layouts import get_layout

from . import ROOT
from .harness import Options, Row, Skip, both_clocks, stand_alone
from .maps import label_map
from .pool_of_shards import street

CAMVID = Path(os.environ.get("DECOMP_CAMVID", ROOT.parent / "shared/data/camvid"))
STEPS, TRAINED_ON, PREDICTED = 300, 100, 100
RAW = "raw uint8 label map"
NPZ = "`np.savez_compressed` and `np.load`"
MEGA = 1024 * 2048  # pixels: times are given for as many
Maps = list[tuple[np.ndarray, np.ndarray]]


def entropy_of(labels: np.ndarray, classes: int) -> np.ndarray:
    """Return (H, W) uint8 normalised entropy of the classes' shares around each pixel."""
    total = np.zeros(labels.shape, np.float32)
    for cls in range(classes):
        share = gaussian_filter((labels == cls).astype(np.float32), 3)
        total -= share * np.log(np.maximum(share, 1e-9))
    return np.rint(255 * total / np.log(classes)).clip(0, 255).astype(np.uint8)


def _size(path: Path, maps: Maps, uncertain: bool) -> float:
    """Bytes per pixel of a shard, whose maps come back as they were."""
    write_shard(path, _records(maps, uncertain))
    for (labels, uncertainty), back in zip(maps, read_records([path]), strict=True):
        assert np.array_equal(labels, back.labels)
        assert not uncertain or np.array_equal(uncertainty, back.uncertainty)
    return path.stat().st_size / sum(labels.size for labels, _ in maps)


def _records(maps: Maps, uncertain: bool) -> Iterator[Record]:
    counts = np.zeros((4, 19), np.int64)
    for k, (labels, uncertainty) in enumerate(maps):
        held = {"labels": labels, "uncertainty": uncertainty if uncertain else None}
        yield Record(f"i{k}", labels.size, counts[0], counts[1:], 0.0, **held)


def _sizes(name: str, maps: Maps, note: str = "", aims: bool = True) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as made:
        for uncertain, aim in ((False, 0.1), (True, 0.6)):
            found = _size(Path(made, "1.zip"), maps, uncertain)
            what = "label maps and uncertainty" if uncertain else "label maps"
            yield Row(
                f"{what}, {name}", found, 1.0, RAW, "bytes per pixel",
                f"under {aim}" if aims else "", found < aim if aims else None, note,
            )  # fmt: skip


def _times(name: str, maps: Maps, options: Options) -> Iterator[Row]:
    """Milliseconds for the pixels of one map of 1024 x 2048, both of its arrays."""
    factor = 1e3 * MEGA / sum(labels.size for labels, _ in maps)
    with tempfile.TemporaryDirectory() as made:
        path = Path(made, "1.zip")
        files = [Path(made, f"{k}.npz") for k in range(len(maps))]

        def save() -> None:
            for file, (labels, uncertainty) in zip(files, maps, strict=True):
                np.savez_compressed(file, labels=labels, uncertainty=uncertainty)

        def load() -> None:
            for file in files:
                with np.load(file, allow_pickle=False) as held:
                    held["labels"], held["uncertainty"]

        save()
        for file, both in zip(files, maps, strict=True):
            with np.load(file, allow_pickle=False) as held:
                assert all(map(np.array_equal, (held["labels"], held["uncertainty"]), both)), file
        calls = {
            "write": (lambda: write_shard(path, _records(maps, True)), save),
            "read": (lambda: sum(1 for _ in read_records([path])), load),
        }
        for verb, (ours, other) in calls.items():
            a, b = both_clocks(ours, options.repeats), both_clocks(other, min(options.repeats, 3))
            yield Row(
                f"{verb} label map and uncertainty of 1024 x 2048 pixels, {name}", factor * a.cpu,
                factor * b.cpu, NPZ, "ms", "", None,
                ours_wall=factor * a.wall, alternative_wall=factor * b.wall,
            )  # fmt: skip


def _trained(folder: Path, quick: bool) -> Maps:
    """Train on whole label maps of some images, predict others."""
    from al.learners import FitJob, Request, get_learner

    config = yaml.safe_load((ROOT / "config/datasets/camvid.yaml").read_text())
    options: dict[str, Any] = dict(config["layout_options"])
    options["splits"] = {"train": options["splits"]["train"]}
    layout = get_layout(config["layout"], options, config["classes"])
    known = layout.index(CAMVID)
    some = 2 if quick else TRAINED_ON
    labels = []
    for row in known[:some]:
        path = folder / f"{row.image}.png"
        write_label(path, layout.open_label(row))
        labels.append(LabelRow(row.image, "", str(path), None))
    settings = {"crop": [32, 32] if quick else [128, 128], "device": "cpu"}
    learner = get_learner("convnet")
    job = FitJob(
        layout, {row.key: row for row in known}, labels, folder / "model", folder / "work", 0,
        1 if quick else STEPS, settings, config["classes"], "2d",
    )  # fmt: skip
    learner.fit(job)
    wanted: Sequence[Any] = known[-2 if quick else -PREDICTED :]
    request = Request(frozenset({"labels", "uncertainty"}), (0.7,))
    found = learner.predict(folder / "model", layout, wanted, {}, request, settings)
    return [(record.labels, record.uncertainty) for record in found]


def rows(options: Options) -> Iterator[Row]:
    """Measure made-up maps, then real predictions."""
    count, shape = (2, (96, 160)) if options.quick else (10, (1024, 2048))
    classes = 19
    smooth = [label_map(*shape, classes, 0.0, seed) for seed in range(count)]
    ragged = [street(*shape, 0.0, seed) for seed in range(count)]
    made = {"straight borders": smooth, "ragged borders": ragged}
    told = "made up; uncertainty is the entropy of the classes' shares around a pixel"
    for name, maps in made.items():
        yield from _sizes(f"{name}", [(m, entropy_of(m, classes)) for m in maps], told)
    noisy = [street(*shape, 0.1, seed) for seed in range(count)]
    bound = "10 % random pixels of 19 classes alone are 0.11 bytes per pixel, however stored"
    yield list(_sizes("10 % random pixels", [(m, m) for m in noisy], bound, aims=False))[0]
    if not CAMVID.is_dir():
        raise Skip(f"no CamVid in {CAMVID}")
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):
        maps = _trained(Path(folder), options.quick)
    told = (
        f"convnet after {STEPS} steps on {TRAINED_ON} images, {len(maps)} others predicted; "
        "less trained networks give more ragged maps"
    )
    yield from _sizes("CamVid, predicted", maps, told)
    yield from _times("CamVid, predicted", maps, options)


if __name__ == "__main__":
    stand_alone(rows)
