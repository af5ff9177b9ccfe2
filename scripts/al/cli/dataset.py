"""Look at a folder and propose a dataset's file for it: ``make dataset FOLDER=... [NAME=...]``.

python -m al.cli.dataset FOLDER [--name NAME] [--replace] [classes=road,tree] [annotator=human]
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from al.config.checks import layout_of
from al.config.room import room_warnings
from al.config.settings import HUMAN, load_settings, read_yaml
from al.io.errors import ConfigError, DataError, nearest, shortened
from al.io.files import write_text
from al.io.pool import assign_splits, by_image, grouped
from al.io.tables import PoolRow
from al.layouts import get_layout
from al.layouts.dataset_json import NAME, read_dataset_json
from al.layouts.label_values import name_values, read_values
from al.layouts.recognise import Found, recognise, spread
from al.paths import CONSTRAINTS, ROOT

WORDS = ("classes", "annotator")
# What the project's own files say of datasets whose classes are fixed
KNOWN = ("bracs", "cityscapes", "kits23", "voc")
KEPT = ("classes", "class_colours", "background", "groups", "random_centres")
VOC_NAME = re.compile(r"\d{4}_\d{6}")  # of images of VOC itself
MOST = {"2d": (200, 300_000_000), "3d": (20, 100_000_000), "roi": (500, 1 << 40)}  # files, pixels
FEW = 20  # images without a label that are left out by name
CYCLES = 6
CELLS = 40_000_000  # of the features of all images: minutes on two cores
GROUP = r"^(.*?\d[^ _.-]*)[ _.-]"  # up to the first part of a name with a digit: p01 of p01_s3_7


class Proposal:
    """What is proposed for a folder.

    Attributes:
        settings: of the dataset's file; ``why`` has reasons by key, ``about`` words by class.
        told: what was found, was guessed or is odd, in lines.
        rows: of the pool.
    """

    def __init__(self, root: Path, people: bool, names: Sequence[str]) -> None:
        """Look at a folder; ``names``: of the classes, or none.

        Raises:
            DataError, ConfigError: nothing can be proposed.
        """
        found = recognise(root)
        self.why: dict[str, str] = {}
        self.about: dict[str, str] = {}
        self.told, self.root = found.told, root
        known = self._known(found, names)
        opened = get_layout(found.layout, found.options, known.get("classes") or ["any"], True)
        self.rows = opened.index(root)
        if found.layout == "voc" and not names and VOC_NAME.fullmatch(self.rows[0].image):
            known = _kept("voc")
        people = people or self._lack_labels("exclude" in opened.DEFAULTS, found.options)
        self.settings: dict[str, Any] = {"data_root": str(root)}
        self.settings |= {"annotator": HUMAN} if people else {}
        self.settings |= {"learner": "pixels", "task": opened.task, "layout": found.layout}
        self.settings["layout_options"] = found.options
        labelled = [row for row in self.rows if row.label_path]
        files, pixels = MOST[opened.task]
        largest = max((prod(row.shape) for row in labelled), default=1)
        some = spread(labelled, max(3, min(files, pixels // largest)))
        self.settings |= known or (self._read(some, names) if some else self._ask(names))
        self.settings |= {"background": 0} if self.settings["classes"][0] == "background" else {}
        self._split(people)
        self._size(4 if people else 8)
        self._check(some or self.rows[:3])

    def _known(self, found: Found, names: Sequence[str]) -> dict[str, Any]:
        """Return what is known of the classes before a label is read, and set its options."""
        self.why["learner"] = "trained in seconds (docs/pixels.md); or convnet, mmseg, nnunet, hact"
        if found.layout == "bracs":
            found.options["check_counts"] = "report"
        if found.layout in KNOWN and found.layout != "voc":
            self.told.append(f"config/datasets/{found.layout}.yaml has the published protocol")
            return {"classes": list(names)} if names else _kept(found.layout)
        if found.layout == "nnunet_raw" and (self.root / NAME).is_file():
            held = read_dataset_json(self.root / NAME)
            if len(held.channels) > 1:
                found.options["channel"] = min(held.channels)
                self.why["layout_options"] = f"one channel is read, of {held.channels}"
            self.why["classes"] = f"from {NAME}"
            return {"classes": list(names) or held.classes}
        return {"classes": list(names) or found.classes} if found.classes else {}

    def _lack_labels(self, leaves_out: bool, options: dict[str, Any]) -> bool:
        """Whether so many images have no label that people are needed; a few are left out."""
        bare = [row.image for row in self.rows if not row.label_path]
        if not bare:
            return False
        told = f"{len(bare)} of {len(self.rows)} have no label ({', '.join(shortened(bare, 3))})"
        if not leaves_out or len(bare) > min(FEW, len(self.rows) / 4):
            self.told.append(f"{told}: people are to annotate (docs/annotate.md)")
            return True
        self.told.append(f"{told}: left out by name")
        self.rows = [row for row in self.rows if row.label_path]
        options["exclude"] = bare
        return False

    def _ask(self, names: Sequence[str]) -> dict[str, Any]:
        if not names:
            self.told.append("what the classes are nothing says: write them into the file")
        return {"classes": list(names) or ["background", "object"]}

    def _read(self, some: Sequence[PoolRow], names: Sequence[str]) -> dict[str, Any]:
        """Return classes and colours by what label files hold, and set the options of values."""
        counts, colours = read_values(some)
        classes, ids, void = name_values(list(counts), names)
        options, layout = self.settings["layout_options"], self.settings["layout"]
        if layout != "folders" and ids != (whole := list(range(ids[-1] + 1))):
            named = dict(zip(ids, classes, strict=True))
            classes, ids = [named.get(value, f"class {value}") for value in whole], whole
        if not names and ids[0] == 0 and (self.settings["task"] == "3d" or len(ids) == 2):
            classes[0] = "background"
        shares = {value: f"{n / sum(counts.values()):.2%}" for value, n in counts.items()}
        about = {
            v: f"value {v}, {shares.get(v, 'nothing')} of what was read" for v in [*ids, *void]
        }
        self.about = {name: about[value] for name, value in zip(classes, ids, strict=True)}
        self.why["classes"] = f"{len(some)} label files were read, spread over all"
        if layout == "folders":
            options["void"] = void
            if ids != [value for value in range(256) if value not in void][: len(ids)]:
                options["ids"] = ids
        elif void and (layout == "nnunet_raw" or void != [255]):
            options["void"] = void[0]
        self.told += [f"{about[value]}, is taken for void" for value in void]
        if len(classes) > 30 and not names:
            self.told.append("so many values may be numbers of objects, which are no classes")
        if not names:
            self.told.append("names of classes are guessed: ARGS='--replace classes=...' gives "
                             f"{len(counts)}, by value, `void` for what is no class")  # fmt: skip
        found = [colours.get(value) for value in ids]
        return {"classes": classes} | ({"class_colours": found} if all(found) else {})

    def _split(self, people: bool) -> None:
        """Propose shares where the dataset has no splits, and what belongs together."""
        images = sorted({row.image: row.split for row in self.rows}.items())
        own = all(split for _, split in images)
        if not own:
            self.settings["split"] = {"train": 0.7, "val": 0, "test": 0.3}
            self.why["split"] = "shares of the images, drawn by seed; or {folds: 5}"
        matches = [re.match(GROUP, name) for name, _ in images]
        groups = {match[1]: match.string for match in matches if match}
        if not all(matches) or not 3 <= len(groups) <= 2 * len(images) / 3 or self.rows[0].group:
            return
        name, image = next(iter(groups.items()))
        told = f"names look like {len(groups)} groups (patients? videos?), {image!r} is of {name!r}"
        rows = grouped(self.rows, GROUP)
        try:
            assign_splits(rows, self.settings.get("split"), 0)
        except DataError as error:
            self.told.append(f"a guess: {told}; {error} (and `group` is not set)")
            return
        sure = not own and not people and len(groups) >= 5
        self.settings["group" if sure else "# group"] = GROUP
        self.why["group" if sure else "# group"] = "a guess: what it finds stays in one split"
        self.told.append(f"a guess: {told}: `group`" + ("" if sure else ", which is commented out"))
        self.rows = rows if sure else self.rows

    def _size(self, parts: int) -> None:
        """Propose budget and regions, ``parts`` of which are as long as images, with reasons."""
        rows = assign_splits(self.rows, self.settings.get("split"), 0)
        images = list(by_image(row for row in rows if row.split == "train").values())
        if not images:
            raise DataError(f"{self.root}: no image is in a split to train on")
        if self.settings["task"] == "roi":
            many, each = max(1, len(images) // 4), sum(map(len, images)) / 3 / CYCLES
            budget = f"{many}x{max(1, round(each / many))}"
            self.why["budget"] = (
                f"a quarter of {len(images)} images; a third of the RoIs in the end"
            )
        else:
            side = median(
                min(n for axis, n in enumerate(row.shape) if axis != row.axis) for row, *_ in images
            )
            self.settings["region"] = [min(128, max(8, round(side / parts / 8) * 8))] * 2
            self.why["region"] = f"about 1/{parts} of the shorter side of images, {side:g} pixels"
            budget = f"{min(25, max(2, len(images) // 20), len(images))}x5"
            self.why["budget"] = f"images a cycle, a twentieth of {len(images)}, x regions in each"
        self.settings |= {"budget": budget, "cycles": CYCLES, "seeds": 2}
        if sum(min(600_000, prod(row.shape)) for row in self.rows) > CELLS:
            self.settings["pixels"] = {"cells": max(20_000, CELLS // len(self.rows))}
            self.why["pixels"] = f"so that features of {len(self.rows)} images take minutes"
        self.why |= {"cycles": "may be raised later", "seeds": "3 to 5 for what is published"}

    def _check(self, some: Sequence[PoolRow]) -> None:
        """Resolve what is proposed as a run does, list the images and open some of them."""
        proposed = {k: value for k, value in self.settings.items() if not k.startswith("#")}
        defaults = read_yaml(ROOT / "config/config.yaml")
        settings = load_settings(defaults | proposed | {"dataset": "proposed"}, ROOT)
        layout = get_layout(**layout_of(settings))
        layout.index(self.root)
        self.told += room_warnings(settings, self.rows)
        try:
            held = sum(layout.check(some))
        except DataError as error:
            self.told.append(f"a run will refuse: {error}")
            return
        absent = [name for name, n in zip(layout.classes, held, strict=False) if not n]
        if absent and some[0].label_path:
            self.told.append(f"in no label that was read: {', '.join(shortened(absent))}")

    def lines(self) -> Iterator[str]:
        """Give the dataset's file in lines."""
        for key, value in self.settings.items():
            why = f"   # {self.why[key]}" if key in self.why else ""
            if not value or key not in ("classes", "class_colours", "layout_options"):
                yield f"{key}: {_inline(value)}{why}"
                continue
            yield f"{key}:{why}"
            for entry in value:
                about = f"   # {self.about[entry]}" if key == "classes" and self.about else ""
                if key == "layout_options":
                    yield f"  {entry}: {_inline(value[entry])}"
                else:
                    yield f"  - {_inline(entry)}{about}"


def _inline(value: Any) -> str:
    held = yaml.safe_dump(
        [value], default_flow_style=True, width=1 << 20, sort_keys=False, allow_unicode=True
    )
    return held.strip()[1:-1]


def _kept(dataset: str) -> dict[str, Any]:
    held = read_yaml(ROOT / f"config/datasets/{dataset}.yaml")
    return {key: held[key] for key in KEPT if key in held}


def _innermost(root: Path) -> Path:
    """Return the first folder below that holds more than a folder, as of an unpacked archive."""
    held = [path for path in root.iterdir() if not path.name.startswith((".", "__MACOSX"))]
    return _innermost(held[0]) if len(held) == 1 and held[0].is_dir() else root


def make_dataset(
    given: str, name: str | None, words: Sequence[str], place: Path, replace: bool
) -> list[str]:
    """Write ``place/NAME.yaml`` for a folder, by rename, and return what is to be said.

    Raises:
        DataError, ConfigError: nothing can be proposed, or the file is there already.
    """
    wanted = dict(word.partition("=")[::2] for word in words)
    if odd := [key for key in wanted if key not in WORDS]:
        raise ConfigError(f"ARGS: unknown {odd[0]!r}; {nearest(odd[0], WORDS)}")
    folder = Path(given).expanduser().resolve()
    if not given or not folder.is_dir():
        raise DataError(f"FOLDER: {given!r}; allowed: a folder of images, with labels or without")
    name = name or re.sub(r"[^A-Za-z0-9_.-]+", "-", folder.name).strip("-._")
    if not re.fullmatch(CONSTRAINTS["run"], name):
        raise ConfigError(f"NAME: {name!r}; allowed: letters, digits, `_`, `-` and `.`")
    file = place / f"{name}.yaml"
    if file.exists() and not replace:
        raise ConfigError(f"{file} is there already; allowed: NAME=..., or ARGS=--replace")
    names = [part.strip() for part in wanted.get("classes", "").split(",") if part.strip()]
    found = Proposal(_innermost(folder), wanted.get("annotator") == HUMAN, names)
    head = f"# {name}, proposed by `make dataset` from what lies in data_root"
    write_text(file, "\n".join([head, *found.lines(), ""]))
    settings, splits = found.settings, [row.split or "to be split" for row in found.rows]
    shown = ", ".join(f"{splits.count(split)} {split}" for split in dict.fromkeys(splits))
    people = settings.get("annotator") == HUMAN
    return [
        f"{settings['data_root']}: layout {settings['layout']}, task {settings['task']}, {shown}",
        f"{len(settings['classes'])} classes: {', '.join(shortened(settings['classes'], 20))}",
        *[f"- {line}" for line in dict.fromkeys(found.told)],
        f"{file} is to be read, and changed where it is wrong; then:",
        f'  make run ARGS="dataset={name}{f" run={name}" if people else ""}"',
        *([f"  make annotate RUN={name}"] if people else []),
    ]


def main(arguments: Sequence[str] | None = None, place: Path = ROOT / "config/datasets") -> int:
    """Read the command line; 1 where nothing is written, and why."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder")
    parser.add_argument("--name", help="of the file; that of the folder by default")
    parser.add_argument("--replace", action="store_true", help="a file of that name")
    parser.add_argument("words", nargs="*", help="classes=road,tree or annotator=human")
    given = parser.parse_intermixed_args(arguments)
    try:
        print("\n".join(make_dataset(given.folder, given.name, given.words, place, given.replace)))
    except ConfigError as error:
        print(f"dataset: {error}", file=sys.stderr)
        return 1
    except DataError as error:
        print(f"dataset: {error}\nHow a folder may look: docs/own-data.md", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
