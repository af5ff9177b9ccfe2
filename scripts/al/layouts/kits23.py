"""Layout ``kits23``: ``case_XXXXX/imaging.nii.gz`` with ``case_XXXXX/segmentation.nii.gz``."""

from __future__ import annotations

from pathlib import Path

from al.io.tables import PoolRow

from .base import NEEDED, Problems
from .volumes import Case, VolumeLayout


class Kits23(VolumeLayout):
    """The folder ``dataset`` of the KiTS23 repository, or the repository that holds it.

    Labels are exclusive as in the files: 0 background, 1 kidney, 2 tumour, 3 cyst; the nested
    classes of the challenge are made from them where scores are computed.
    """

    name = "kits23"
    MARKS = ("case_*/imaging.nii.gz", "dataset/case_*/imaging.nii.gz")

    def expects(self) -> str:
        """Say what is read."""
        return "case_XXXXX/imaging.nii.gz and case_XXXXX/segmentation.nii.gz"

    def list_rows(self, root: Path) -> list[PoolRow]:
        """Pair volumes and labels by case folder."""
        problems = Problems(f"kits23 in {root}")
        folder = root / "dataset" if (root / "dataset").is_dir() else root
        cases = []
        folders = [path for path in sorted(folder.glob("case_*")) if path.is_dir()]
        for case in folders:
            files = case / "imaging.nii.gz", case / "segmentation.nii.gz"
            labelled = files[1].exists()
            if files[0].exists() and (labelled or self.unlabelled):
                cases.append(Case(case.name, files[0], files[1] if labelled else None))
            elif case.name in self.excluded:
                continue
            elif files[0].exists():
                problems.add(f"{files[0]}: image without {files[1].name}; {NEEDED}")
            else:
                problems.add(f"{case}: no {files[0].name}")
        return self.rows_of(cases, {case.name for case in folders}, problems)
