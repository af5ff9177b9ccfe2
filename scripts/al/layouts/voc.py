"""Layout ``voc``: the folders and lists of PASCAL VOC 2012 segmentation, images of many sizes."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar

from al.io.errors import DataError
from al.io.tables import PoolRow

from .base import NEEDED, Problems, choice, text_option
from .images import ImageLayout, Pair, id_table

FILE = re.compile(r"\S+\.(jpg|png)(\s|$)")  # begins a line of files
VOID = 255
VAL_LIST, LABELS = "val", "SegmentationClass"
PLACES = ("", "VOC2012", "VOCdevkit/VOC2012")


class Voc(ImageLayout):
    """The official folders of VOC 2012, read by the lists in ``ImageSets/Segmentation``.

    VOC has 20 classes and background; own data in its folders may have others.

    Labels are class indices, 0 background, 255 void: the official palette PNGs are, and so are the
    8-bit PNGs of the SBD-augmented training set (``train_list: train_aug`` and ``train_labels:
    SegmentationClassAug``). Images that no list names are left alone. Where images without a label
    are listed, ``val.txt`` may be missing.

    Options:
        train_list: list of the training images, without ``.txt``.
        train_labels: folder of their labels. Those of the validation images are always in
            ``SegmentationClass``.
        val_as: split that the official validation images go to, ``test`` or ``val``.
        downsample: see ``ImageLayout``.
    """

    name = "voc"
    MARKS = tuple(str(PurePosixPath(p, "ImageSets/Segmentation/*.txt")) for p in PLACES)
    DEFAULTS: ClassVar[dict[str, Any]] = {
        "train_list": "train",
        "train_labels": LABELS,
        "val_as": "test",
        **ImageLayout.DEFAULTS,
    }

    def configure(self) -> None:
        """Validate the options."""
        super().configure()
        choice(self, "val_as", ("test", "val"))
        for key in ("train_list", "train_labels"):
            text_option(self, key)
        self.table = id_table({n: n for n in range(len(self.classes))}, [VOID])

    def expects(self) -> str:
        """Say what is read."""
        lists = f"{{{self.options['train_list']},{VAL_LIST}}}.txt"
        labels = sorted({self.options["train_labels"], LABELS})
        folders = " and ".join(f"{folder}/*.png" for folder in labels)
        return f"VOC2012 with JPEGImages/*.jpg, {folders}, ImageSets/Segmentation/{lists}"

    def list_rows(self, root: Path) -> list[PoolRow]:
        """Pair the images and labels of both lists."""
        base = self._locate(root)
        problems = Problems(f"voc in {base}")
        parts = (
            (self.options["train_list"], self.options["train_labels"], "train"),
            (VAL_LIST, LABELS, self.options["val_as"]),
        )
        names = {
            split: _listed(base, file, problems, self.unlabelled and file == VAL_LIST)
            for file, _, split in parts
        }
        if parts[0][1] != LABELS and not (base / parts[0][1]).is_dir():
            problems.add(f"{base / parts[0][1]}: no such folder (layout_options.train_labels)")
        train, val = (set(found) for found in names.values())
        problems.add(
            *[
                f"{name}: in {self.options['train_list']}.txt and in {VAL_LIST}.txt; "
                "allowed: one of them"
                for name in sorted(train & val)
            ]
        )
        pairs = [
            pair
            for _, folder, split in parts
            for name in names[split]
            if (pair := self._pair(base, folder, name, split, problems)) is not None
        ]
        problems.stop()
        return self.rows_of(pairs, root)

    def _pair(
        self, base: Path, folder: str, name: str, split: str, problems: Problems
    ) -> Pair | None:
        """Return the files of an identifier, if those that it needs are there."""
        image, label = base / "JPEGImages" / f"{name}.jpg", base / folder / f"{name}.png"
        there = image.is_file(), label.is_file()
        if there == (True, True):
            return Pair(name, split, image, label)
        if there == (True, False) and self.unlabelled:
            return Pair(name, split, image, None)
        if there == (True, False):
            problems.add(f"{image}: image without its label {label}; {NEEDED}")
        elif there == (False, True):
            problems.add(f"{label}: label without its image {image}")
        else:
            problems.add(f"{image}: no such image, and no {label}; a list names them")
        return None

    def _locate(self, root: Path) -> Path:
        """Return the folder that holds ``JPEGImages``: ``root`` or VOC2012 below it."""
        places = [root / place for place in PLACES]
        for place in places:
            if (place / "JPEGImages").is_dir():
                return place
        raise DataError(f"data_root: no folder JPEGImages in {root}; expected {self.expects()}")


def _listed(base: Path, name: str, problems: Problems, optional: bool) -> list[str]:
    """Return the identifiers of a list: its lines, whatever dots and spaces they hold.

    Lines of file names, an image and maybe its label, count by the stem of the first, as in some
    copies.
    """
    file = base / "ImageSets" / "Segmentation" / f"{name}.txt"
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        if optional:
            return []
        there = ", ".join(sorted(p.name for p in file.parent.glob("*.txt"))) or "none"
        problems.add(f"{file}: no such list; found: {there}")
        return []
    except (OSError, ValueError) as error:
        problems.add(f"{file}: unreadable list ({error})")
        return []
    found = [
        PurePosixPath(line.split()[0]).stem if "/" in line or FILE.match(line) else line
        for line in map(str.strip, lines)
        if line
    ]
    if not found:
        problems.add(f"{file}: no image in this list; allowed: one or more")
    return found
