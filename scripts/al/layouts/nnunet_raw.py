"""Layout ``nnunet_raw``: ``imagesTr/CASE_0000.nii.gz`` with ``labelsTr/CASE.nii.gz``.

``dataset_json.py`` reads the dataset's ``dataset.json`` when the configuration is resolved.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

from al.io.errors import ConfigError
from al.io.tables import PoolRow

from .base import Problems, note, paired
from .dataset_json import NAME, read_dataset_json
from .volumes import Case, VolumeLayout

IMAGE = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})\.nii(\.gz)?")
RENAMES = "(nnUNetv2_convert_MSD_dataset renames those of the Decathlon)"
LABEL = re.compile(r"(?P<case>.+)\.nii(\.gz)?")


class NnunetRaw(VolumeLayout):
    """A dataset folder of nnU-Net's raw format, its training cases.

    Where images without a label are listed, ``labelsTr`` may hold some labels or be missing.

    Options:
        channel: which channel to read where there are several; ``null``: there must be one.
        void: value of voxels without a label; ``null``: what ``dataset.json`` calls ``ignore``.
        exclude, on_mismatch: see ``VolumeLayout``.
    """

    name = "nnunet_raw"
    MARKS = ("imagesTr/*.nii.gz", "imagesTr/*.nii")
    DEFAULTS: ClassVar[dict[str, Any]] = {"channel": None, "void": None, **VolumeLayout.DEFAULTS}

    def configure(self) -> None:
        """Validate the options."""
        super().configure()
        channel = self.options["channel"]
        if channel is not None and (type(channel) is not int or channel < 0):
            raise ConfigError(
                f"layout_options.channel of nnunet_raw: {channel!r}; allowed: null, 0, 1, ..."
            )
        self.void = self.options["void"]
        n = len(self.classes)
        if self.void is not None and (type(self.void) is not int or self.void < n):
            raise ConfigError(
                f"layout_options.void of nnunet_raw: {self.void!r}; allowed: null, or from {n}"
            )

    def expects(self) -> str:
        """Say what is read."""
        return "imagesTr/CASE_0000.nii.gz and labelsTr/CASE.nii.gz (or .nii)"

    def list_rows(self, root: Path) -> list[PoolRow]:
        """Pair volumes and labels by case."""
        problems = Problems(f"nnunet_raw in {root}")
        folders = root / "imagesTr", root / "labelsTr"
        for folder in folders[:1] if self.unlabelled else folders:
            if not folder.is_dir():
                problems.add(f"{folder}: no such folder")
        problems.stop()
        labels: dict[str, Path] = {}
        for path in sorted(folders[1].iterdir()) if folders[1].is_dir() else ():
            match = LABEL.fullmatch(path.name)
            if match and not path.name.startswith("."):
                note(labels, match["case"], path, problems)
        _refuse_label_names(root / "imagesTr", labels, problems)
        images = self._images(root / "imagesTr", problems)
        _tell_missing(root, len(images))
        if not images and (labels or self.unlabelled):
            problems.add(
                f"{root / 'imagesTr'}: no file is called CASE_0000.nii.gz or CASE_0000.nii "
                f"{RENAMES}"
            )
            problems.stop()
        seen = images.keys() | labels.keys()
        kept = [
            {case: path for case, path in held.items() if case not in self.excluded}
            for held in (images, labels)
        ]
        both = paired(*kept, folders, problems, self.unlabelled)
        cases = [Case(case, images[case], labels.get(case)) for case in both]
        return self.rows_of(cases, seen, problems)

    def _images(self, folder: Path, problems: Problems) -> dict[str, Path]:
        channels: dict[str, dict[int, Path]] = {}
        for path in sorted(folder.iterdir()):
            match = IMAGE.fullmatch(path.name)
            if match and not path.name.startswith("."):
                held = channels.setdefault(match["case"], {})
                note(held, int(match["channel"]), path, problems)
        chosen: dict[str, Path] = {}
        wanted = self.options["channel"]
        for case, paths in channels.items():
            if case in self.excluded:
                chosen[case] = paths[min(paths)]
            elif wanted is None and len(paths) > 1:
                problems.add(
                    f"{case}: channels {sorted(paths)}; allowed: one, or name it in "
                    "layout_options.channel"
                )
            elif wanted is not None and wanted not in paths:
                problems.add(f"{case}: channels {sorted(paths)}; layout_options.channel: {wanted}")
            else:
                chosen[case] = paths[min(paths) if wanted is None else wanted]
        return chosen


def _refuse_label_names(folder: Path, labels: dict[str, Path], problems: Problems) -> None:
    """Refuse images that are called as their labels: of CASE_0001 the end would be a channel."""
    same = sorted({path.name for path in labels.values()} & {p.name for p in folder.iterdir()})
    if same:
        problems.add(
            f"{folder / same[0]}: named as its label, as {len(same)} are: the suffix _0000 is "
            f"missing; allowed: CASE_0000.nii.gz of CASE.nii.gz {RENAMES}"
        )
        problems.stop()


def _tell_missing(root: Path, found: int) -> None:
    """Say where ``dataset.json`` counts other cases than are there, as of a copy cut short."""
    file = root / NAME
    if not file.is_file():
        return
    told = read_dataset_json(file).training
    if told not in (None, found):
        print(f"nnunet_raw: numTraining in {file} is {told}, {found} cases are there", flush=True)
