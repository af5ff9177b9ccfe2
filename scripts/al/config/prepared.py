"""What a learner prepares once per dataset, and where it lies: shared by all runs alike."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from al.learners import describe_learner


class Preparation(NamedTuple):
    """A preparation that runs share.

    Attributes:
        folder: ``data/prepared/{dataset}-{learner}-{digits}``; the digits change with all of below.
        layout: name, options and classes of the layout, on the file's grid of volumes.
        data_root: folder of the dataset, absolute.
        settings: those of the learner that decide what is prepared.
    """

    folder: str
    layout: dict[str, Any]
    data_root: str
    settings: dict[str, Any]


def preparation(settings: Mapping[str, Any]) -> Preparation | None:
    """Return what the learner of a resolved configuration prepares; ``None`` where it does not.

    What differs between runs on the same data (grid, seeds, budget, steps) changes nothing.
    """
    learner = describe_learner(settings["learner"])
    if not learner.prepares:
        return None
    options = {key: held for key, held in settings["layout_options"].items() if key != "grid"}
    layout = {"name": settings["layout"], "options": options, "classes": settings["classes"]}
    root = str(Path(settings["data_root"]).resolve())
    chosen = learner.of(settings.get(settings["learner"]) or {}).preparation()
    decides = [settings["layout"], options, settings["classes"], root, chosen, learner.made_by()]
    if settings["generate"]:  # another seed makes other data in the same folder
        decides.append(settings["generate"])
    digits = sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()[:10]
    folder = f"data/prepared/{settings['dataset']}-{settings['learner']}-{digits}"
    return Preparation(folder, layout, root, chosen)
