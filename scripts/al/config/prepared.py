"""What a learner prepares once per dataset, and where it lies: shared by all runs alike."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from al.config.checks import layout_of
from al.config.settings import data_root_of, job_settings
from al.io.errors import DataError
from al.io.files import read_json, reading, write_json
from al.io.fingerprints import within
from al.io.tables import FileRow, PoolRow
from al.layouts import Layout, get_layout
from al.learners import describe_learner
from al.paths import first_root

IMAGES = "images.json"  # of which images it is
ELSEWHERE = (
    "Put the files back, or copy the data into another folder and begin another run on it "
    "(data_root=..., run=...): what is prepared is named after the folder"
)


class Preparation(NamedTuple):
    """A preparation that runs share.

    Attributes:
        folder: ``data/prepared/{dataset}-{learner}-{digits}``; the digits change with all of below.
        layout: name, options and classes of the layout, on the grid that the learner prepares.
        settings: those of the learner that decide what is prepared.
    """

    folder: str
    layout: dict[str, Any]
    settings: dict[str, Any]


def preparation(settings: Mapping[str, Any]) -> Preparation | None:
    """Return what the learner of a resolved configuration prepares; ``None`` where it does not.

    What differs between runs on the same data (grid, seeds, budget, steps) changes nothing.
    """
    learner = describe_learner(settings["learner"])
    if not learner.prepares:
        return None
    grid = {"grid"} if learner.prepares_on_file_grid else set()
    options = {key: held for key, held in settings["layout_options"].items() if key not in grid}
    layout = {**layout_of(settings), "options": options}
    chosen = learner.of(settings.get(settings["learner"]) or {}).preparation()
    root, made_by = first_root(settings), learner.made_by()
    decides = [settings["layout"], options, settings["classes"], root, chosen, made_by]
    if settings["generate"]:  # another seed makes other data in the same folder
        decides.append(settings["generate"])
    if "unlabelled" in layout:  # it may hold images that simulations do not have
        decides.append("unlabelled")
    digits = sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:10]
    folder = f"data/prepared/{settings['dataset']}-{settings['learner']}-{digits}"
    return Preparation(folder, layout, chosen)


def claim(
    made: Preparation, rows: Sequence[PoolRow], files: Sequence[FileRow], settings: dict[str, Any]
) -> None:
    """Note of which images a preparation is, or refuse it where it is of others.

    Of learners that prepare each image by itself, others may be added. Nothing is known of images
    that were generated just now.

    Raises:
        DataError: other images lay in the folder that it is named after.
    """
    if not files:
        return
    root, note = Path(settings["data_root"]), Path(made.folder) / IMAGES
    marks = {file.path: file.sha256 for file in files}
    held = {row.key: marks.get(within(row.path, root)) for row in rows}
    if note.exists():
        with reading(note):
            before = read_json(note)["images"]
        if before == held:
            return
        alone = describe_learner(settings["learner"]).prepares_each_image
        if alone and all(held.get(key, mark) == mark for key, mark in before.items()):
            write_json(note, {"images": {**before, **held}})
            return
        places = [made.folder, made.settings.get("published") or made.folder]
        files_there = (path for place in places for path in Path(place).rglob("*"))
        if any(path != note and path.is_file() for path in files_there):
            other = f"{made.folder}: made from other images than those of {root}"
            raise DataError(f"{other}. {ELSEWHERE}")
    write_json(note, {"images": held})


def rows_of(config: dict[str, Any], layout: dict[str, Any]) -> tuple[Layout, list[PoolRow]]:
    """Return, in a job, the layout and all rows of a dataset, sorted by image and RoI."""
    opened = get_layout(**layout)
    return opened, sorted(opened.index(data_root_of(config)), key=lambda r: (r.image, r.roi))


def settings_of(settings: dict[str, Any], config: dict[str, Any], threads: int) -> dict[str, Any]:
    """Return the learner's settings in a job; as many workers as threads where none are asked."""
    found = job_settings(settings, config)
    if found.get("workers") is None:
        found["workers"] = threads
    return found
