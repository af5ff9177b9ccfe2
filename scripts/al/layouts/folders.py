"""Layout ``folders``: images and label images side by side, paired by name (CamVid)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from al.io.errors import ConfigError
from al.io.tables import PoolRow

from .base import Problems, names_option, nearest, note, paired, text_option
from .images import SUFFIXES, ImageLayout, Pair, id_table, is_picture

SPLITS = {"train": "train", "val": "val", "test": "test", "unsplit": ""}


def files_by_name(folder: Path, tail: str, problems: Problems, other: str = "") -> dict[str, Path]:
    """Return the image files of a folder by stem without ``tail``; files without it are left.

    So are those whose stems end with ``other``, unless that is empty.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if not is_picture(path) or (other and path.stem.endswith(other)):
            continue
        if path.stem.endswith(tail):
            note(found, path.stem.removesuffix(tail), path, problems)
    return found


class Folders(ImageLayout):
    """A folder of images and one of label images per split.

    Images that people are to annotate need no labels. For a folder of images and nothing else, as
    ``data_root``, three lines do::

        layout: folders
        layout_options: {splits: {unsplit: {images: "."}}}
        classes: [road, tree, car]

    Options:
        splits: {split: {images: folder, labels: folder}}, split being ``train``, ``val``,
            ``test`` or ``unsplit``; ``.`` is ``data_root`` itself. Where images without a label are
            listed, ``labels`` may be left out, or name a folder that has some.
        image_tail, label_tail: text at the end of the names that is not part of the identifier.
            Where both lie in one folder, what ends with ``label_tail`` is a label.
        void: ids that are no class; they become 255. Any other id that is no class is refused.
        ids: ids of the classes, in their order; ``null``: those that are not void, from 0 upwards.
        exclude: identifiers of images to leave out; what is not there is reported.
        downsample: see ``ImageLayout``.
    """

    name = "folders"
    DEFAULTS: ClassVar[dict[str, Any]] = {
        "splits": {
            "train": {"images": "train", "labels": "trainannot"},
            "test": {"images": "val", "labels": "valannot"},
        },
        "image_tail": "",
        "label_tail": "",
        "void": [255],
        "ids": None,
        "exclude": [],
        **ImageLayout.DEFAULTS,
    }

    def configure(self) -> None:
        """Validate the options and prepare the table of ids."""
        super().configure()
        splits = self.options["splits"]
        if not isinstance(splits, dict) or not splits:
            raise ConfigError(f"layout_options.splits of folders: {splits!r}; allowed: a mapping")
        for split, folders in splits.items():
            if split not in SPLITS:
                raise ConfigError(f"layout_options.splits of folders: {nearest(split, SPLITS)}")
            keys = set(folders) if isinstance(folders, dict) else set()
            allowed = [{"images", "labels"}, *([{"images"}] if self.unlabelled else [])]
            if keys not in allowed or not all(isinstance(f, str) for f in folders.values()):
                raise ConfigError(
                    f"layout_options.splits.{split} of folders: {folders!r}; allowed: images and "
                    "labels, a folder each; with annotator: human, images alone"
                )
        self.excluded = frozenset(names_option(self, "exclude"))
        void, ids = self.options["void"], self.options["ids"]
        for key, held in (("void", void), ("ids", [] if ids is None else ids)):
            if not isinstance(held, list) or not all(
                type(v) is int and 0 <= v <= 255 for v in held
            ):
                raise ConfigError(
                    f"layout_options.{key} of folders: {held!r}; allowed: a list of 0 to 255"
                )
        if ids is None:
            ids = [value for value in range(256) if value not in void][: len(self.classes)]
        elif len(ids) != len(self.classes) or len({*ids, *void}) < len(ids) + len({*void}):
            raise ConfigError(
                f"layout_options.ids of folders: {ids}; allowed: {len(self.classes)}, one for each "
                "class, each once and none of `void`"
            )
        self.table = id_table({value: index for index, value in enumerate(ids)}, void)

    def expects(self) -> str:
        """Say what is read."""
        places = (
            " with labels in ".join(
                "that folder itself" if folders[key] == "." else f"{folders[key]}/"
                for key in ("images", "labels")
                if key in folders
            )
            for folders in self.options["splits"].values()
        )
        return f"images ({', '.join(sorted(SUFFIXES))}) in {', '.join(places)}"

    def list_rows(self, root: Path) -> list[PoolRow]:
        """Pair images and labels by name."""
        problems = Problems(f"folders in {root}")
        image_tail = text_option(self, "image_tail")
        label_tail = text_option(self, "label_tail")
        pairs: list[Pair] = []
        seen: set[str] = set()
        for split, names in self.options["splits"].items():
            folders = [root / names[key] for key in ("images", "labels") if key in names]
            missing = [folder for folder in folders if not folder.is_dir()]
            problems.add(*[f"{folder}: no such folder (split {split})" for folder in missing])
            if missing:
                continue
            together = len({*folders}) < len(folders) and len(label_tail) > len(image_tail)
            images = files_by_name(folders[0], image_tail, problems, label_tail * together)
            labels = {}
            if "labels" in names:
                labels = files_by_name(folders[1], label_tail, problems)
                if images and not labels and self.unlabelled:
                    example = folders[1] / f"{min(images)}{label_tail}.png"
                    print(
                        f"folders: not one of {len(images)} images has a label in {folders[1]}; "
                        f"the name of one would be {example}",
                        flush=True,
                    )
            seen |= images.keys() | labels.keys()
            for held in (images, labels):
                for name in self.excluded & held.keys():
                    del held[name]
            both = paired(images, labels, folders, problems, self.unlabelled)
            pairs += [Pair(name, SPLITS[split], images[name], labels.get(name)) for name in both]
        if absent := self.excluded - seen:
            print(f"folders: to be excluded but not there: {sorted(absent)}", flush=True)
        problems.stop()
        return self.rows_of(pairs, root)
