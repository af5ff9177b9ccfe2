"""Layout ``bracs``: RoIs of breast tissue, ``SPLIT/3_FEA/BRACS_SLIDE_CLASS_NUMBER.png``.

Both public releases (https://www.bracs.icar.cnr.it): the earlier one of the papers
(``3_ADH, 4_FEA``) and the latest (``3_FEA, 4_ADH``).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

from al.io.errors import ConfigError, DataError
from al.io.tables import SPLITS, PoolRow

from .base import Problems, choice, described, nearest
from .images import is_picture
from .rois import RoiLayout, roi_row

ORDERS = {
    "earlier": ("N", "PB", "UDH", "ADH", "FEA", "DCIS", "IC"),
    "latest": ("N", "PB", "UDH", "FEA", "ADH", "DCIS", "IC"),
}
PLACES = {
    "earlier": ("previous_versions/Version1_MedIA/Images", "Version1_MedIA/Images", "Images"),
    "latest": ("latest_version",),
}
ROIS = {
    "earlier": {"train": 3163, "val": 602, "test": 626},
    "latest": {"train": 3657, "val": 312, "test": 570},
}
SLIDES = {"earlier": {"train": 193, "val": 68, "test": 59}}
GROUPS = {"N": 0, "PB": 0, "UDH": 0, "ADH": 1, "FEA": 1, "DCIS": 2, "IC": 2}
NAME = re.compile(r"BRACS_(?P<slide>\d+)_(?P<code>[A-Z]+)_(?P<number>\d+)")
FINGERPRINT_BYTES = 1 << 16


def folders_of(release: str) -> set[str]:
    """Return the class folders of a release, such as ``3_FEA``."""
    return {f"{number}_{code}" for number, code in enumerate(ORDERS[release])}


class Bracs(RoiLayout):
    """RoIs with their slide as the image; the class is taken from the file name.

    With 7 ``classes`` these are the codes (N, PB, UDH, ADH, FEA, DCIS, IC) in any order; with 3
    they are, in this order, benign (N, PB, UDH), atypical (ADH, FEA) and malignant (DCIS, IC).

    A RoI's identifier is a fingerprint of its file: the file's name holds the class, which must
    not show in what a strategy sees. It also means that no RoI is without its class: those that
    people are to annotate are for the layout ``table``.

    Options:
        release: ``earlier``, ``latest``, or ``auto`` (what the folders say).
        check_counts: compare the numbers of RoIs and slides with those published: ``true``
            refuses others, ``report`` prints them.
    """

    name = "bracs"
    MARKS = tuple(
        f"{home}{place}train/0_N"
        for home in ("", "BRACS_RoI/")
        for place in ("", *(f"{p}/" for places in PLACES.values() for p in places))
    )
    DEFAULTS: ClassVar[dict[str, Any]] = {"release": "auto", "check_counts": False}

    def configure(self) -> None:
        """Validate the options and map codes to classes."""
        choice(self, "release", ("auto", "earlier", "latest"))
        choice(self, "check_counts", (False, "report", True))
        if len(self.classes) == 3:
            self.code_class = dict(GROUPS)
            return
        for code in self.classes:
            if code not in GROUPS:
                raise ConfigError(f"classes of layout bracs: {nearest(code, GROUPS)}")
        if len(self.classes) != len(GROUPS):
            raise ConfigError(f"classes of layout bracs: {self.classes}; allowed: 7 or 3 names")
        self.code_class = {code: number for number, code in enumerate(self.classes)}

    def expects(self) -> str:
        """Say what is read."""
        return "{train,val,test}/{0_N,1_PB,...}/BRACS_SLIDE_CLASS_NUMBER.png"

    def list_rows(self, root: Path) -> list[PoolRow]:
        """List the RoIs of all splits."""
        base, release = self._locate(root)
        problems = Problems(f"bracs ({release} release) in {base}")
        files: list[tuple[str, Path]] = []
        for split in SPLITS:
            if not (base / split).is_dir():
                problems.add(f"{base / split}: no such folder")
                continue
            for folder in sorted(p for p in (base / split).iterdir() if p.is_dir()):
                if folder.name not in folders_of(release):
                    problems.add(
                        f"{folder}: class folder {nearest(folder.name, folders_of(release))}"
                    )
                pictures = [
                    path
                    for path in sorted(folder.rglob("*"))
                    if is_picture(path)
                    and not any(part[0] in ".@" for part in path.relative_to(folder).parts)
                ]
                read = [p for p in pictures if p.parent == folder and p.suffix.lower() == ".png"]
                files += [(split, path) for path in read]
                for path in sorted(set(pictures) - set(read)):
                    problems.add(f"{path}: is not read; allowed: PNG files in {folder} itself")
        rows = _distinct(problems.without(described(_row_of, files)))
        problems.add(*_slides_in_two_splits(rows))
        wrong = _wrong_counts(rows, release) if self.options["check_counts"] else []
        if self.options["check_counts"] == "report":
            for line in wrong:
                print(f"bracs: {line}", flush=True)
        else:
            problems.add(*wrong)
        problems.stop()
        return rows

    def _read_label(self, row: PoolRow) -> int:
        """Return the class index of a RoI, from the name of its file."""
        match = NAME.fullmatch(Path(row.label_path).stem)
        if match is None or match["code"] not in self.code_class:
            raise DataError(f"{row.label_path}: name; allowed: BRACS_SLIDE_CLASS_NUMBER.png")
        return self.code_class[match["code"]]

    def _locate(self, root: Path) -> tuple[Path, str]:
        """Return the folder that holds the splits, and which release it is."""
        wanted = self.options["release"]
        places = [root]
        for release in ("earlier", "latest") if wanted == "auto" else (wanted,):
            places += [root / part for part in PLACES[release]]
            places += [root / "BRACS_RoI" / part for part in PLACES[release]]
        base = next((place for place in places if (place / "train").is_dir()), None)
        if base is None:
            raise DataError(f"data_root: no folder 'train' in {root}; expected {self.expects()}")
        names = {p.name for split in SPLITS for p in (base / split).glob("*") if p.is_dir()}
        votes = {release: len(names & folders_of(release)) for release in ORDERS}
        release = max(votes, key=lambda name: votes[name])
        if votes["earlier"] == votes["latest"] and wanted != "auto":
            release = wanted
        if wanted not in ("auto", release):
            raise DataError(
                f"{base}: class folders of the {release} release ({', '.join(sorted(names))}); "
                f"layout_options.release is {wanted}"
            )
        return base, release


def _row_of(file: tuple[str, Path]) -> PoolRow:
    split, path = file
    match = NAME.fullmatch(path.stem)
    if match is None or match["code"] not in GROUPS:
        raise DataError(
            f"{path}: name; allowed: BRACS_SLIDE_CLASS_NUMBER.png, CLASS of {', '.join(GROUPS)}"
        )
    folder = path.parent.name.partition("_")[2]
    if folder != match["code"]:
        raise DataError(f"{path}: class {match['code']} in the name, folder {path.parent.name}")
    try:
        with path.open("rb") as content:
            start = content.read(FINGERPRINT_BYTES)
        mark = sha256(start + str(path.stat().st_size).encode()).hexdigest()[:10]
    except OSError as error:
        raise DataError(f"{path}: unreadable image ({error})") from error
    return roi_row(f"BRACS_{match['slide']}", mark, split, path, path)


def _distinct(rows: list[PoolRow]) -> list[PoolRow]:
    """Number RoIs of one slide that have the same fingerprint (copies of one file)."""
    seen: Counter[str] = Counter()
    result = []
    for row in rows:
        seen[row.key] += 1
        copy = seen[row.key]
        result.append(row if copy == 1 else replace(row, roi=f"{row.roi}-{copy}"))
    return result


def _slides_in_two_splits(rows: list[PoolRow]) -> list[str]:
    splits: dict[str, set[str]] = {}
    for row in rows:
        splits.setdefault(row.image, set()).add(row.split)
    return [
        f"{slide}: RoIs in {' and '.join(sorted(names))}; allowed: one split"
        for slide, names in sorted(splits.items())
        if len(names) > 1
    ]


def _wrong_counts(rows: list[PoolRow], release: str) -> list[str]:
    problems = []
    for split, expected in ROIS[release].items():
        found = sum(row.split == split for row in rows)
        if found != expected:
            problems.append(f"{split}: {found} RoIs; the {release} release has {expected}")
    for split, expected in SLIDES.get(release, {}).items():
        found = len({row.image for row in rows if row.split == split})
        if found != expected:
            problems.append(f"{split}: {found} slides; the {release} release has {expected}")
    return problems
