"""Layout ``cityscapes``: ``leftImg8bit`` and the fine ``gtFine`` labels, 19 classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from al.io.errors import ConfigError
from al.io.tables import PoolRow

from .base import Problems, choice, note, paired
from .images import ImageLayout, Pair, id_table, is_picture

IMAGE_TAIL = "_leftImg8bit"
LABEL_TAIL = "_gtFine_labelIds"
# Position in this list = trainId, as in cityscapesScripts' helpers/labels.py.
LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
N_IDS = 34


class Cityscapes(ImageLayout):
    """The official folders, ``SPLIT/CITY/NAME_leftImg8bit.png`` with ``..._gtFine_labelIds.png``.

    The official test split has no public labels and is not read. Where images without a label are
    listed, folders may be missing, such as ``gtFine/train`` or ``leftImg8bit/val``.

    Options:
        val_as: split that the official validation images go to, ``test`` or ``val``.
        downsample: see ``ImageLayout``.
    """

    name = "cityscapes"
    MARKS = ("leftImg8bit/*/*/*_leftImg8bit.png",)
    DEFAULTS: ClassVar[dict[str, Any]] = {"val_as": "test", **ImageLayout.DEFAULTS}

    def configure(self) -> None:
        """Validate the options; ids that are not evaluated become void, -1 is 255 in the files."""
        super().configure()
        choice(self, "val_as", ("test", "val"))
        if len(self.classes) != len(LABEL_IDS):
            raise ConfigError(
                f"classes of layout cityscapes: {len(self.classes)} names; allowed: 19"
            )
        void = [value for value in range(N_IDS) if value not in LABEL_IDS]
        self.table = id_table({value: n for n, value in enumerate(LABEL_IDS)}, [*void, 255])

    def expects(self) -> str:
        """Say what is read."""
        return "leftImg8bit/{train,val}/CITY/*_leftImg8bit.png and gtFine/.../*_gtFine_labelIds.png"

    def list_rows(self, root: Path) -> list[PoolRow]:
        """Pair images and labels by name."""
        problems = Problems(f"cityscapes in {root}")
        pairs: list[Pair] = []
        for folder, split in (("train", "train"), ("val", self.options["val_as"])):
            places = root / "leftImg8bit" / folder, root / "gtFine" / folder
            images, labels = (
                _files(place, tail, problems, self.unlabelled)
                for place, tail in zip(places, (IMAGE_TAIL, LABEL_TAIL), strict=True)
            )
            both = paired(images, labels, places, problems, self.unlabelled)
            pairs += [Pair(name, split, images[name], labels.get(name)) for name in both]
        problems.stop()
        return self.rows_of(pairs, root)


def _files(folder: Path, tail: str, problems: Problems, optional: bool) -> dict[str, Path]:
    if not folder.is_dir():
        if not optional:
            problems.add(f"{folder}: no such folder")
        return {}
    found: dict[str, Path] = {}
    for path in sorted(folder.glob(f"*/*{tail}.png")):
        if is_picture(path):
            note(found, path.stem.removesuffix(tail), path, problems)
    return found
