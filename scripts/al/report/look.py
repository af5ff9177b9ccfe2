"""What a report shows of a run's configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from al.config.settings import learner_science
from al.learners import describe_learner
from al.learners.steps import most_steps
from al.paths import REFERENCES
from al.strategies import needs_of, note_of

from .catalogue import in_order

ROI_COST, AREA_COST = "rois_percent", "area_percent"
# How trainings were stopped is part of the result; nothing is said where their length is fixed.
STOPPED = {
    "paper": "early stopping by the scored images",
    "clean": "early stopping by revealed regions held out",
}
READS_TRUTH = "its start reads ground truth"
# A strategy that reads any of these has the pool predicted before it selects.
PREDICTIONS = {"statistics", "labels", "uncertainty"}

# What of a look numbers and pictures are made from: other keys make them anew for nothing.
COUNTED = ("strategies", "definitions", "budgets", "seeds", "classes")
PICTURED = (
    *("strategies", "definitions", "budgets", "seeds", "cycles", "classes", "class_colours"),
    *("overlay_images", "layout", "dataset", "learner", "task", "background"),
)


def look_of(settings: Mapping[str, Any], known: Sequence[str] = ()) -> dict[str, Any]:
    """What a report shows of a resolved configuration; plain values, for parameters of rules.

    Args:
        settings: as ``settings.load_settings`` returns, or as in ``results/{run}/config.yaml``.
        known: names in ``config/strategies.yaml``, in its order.
    """
    report = settings["report"]
    strategies = in_order(settings["strategies"], known)
    definitions = {name: settings["definitions"][name] for name in strategies}
    same = ("run", "dataset", "learner", "task", "references", "classes", "region", "patch")
    return {
        **{key: settings[key] for key in (*same, "class_colours", "background", "seeds", "cycles")},
        "strategies": strategies,
        "definitions": definitions,
        "predicted": [name for name in strategies if needs_of(definitions[name]) & PREDICTIONS],
        "budgets": settings["budget"],
        "known": list(known),
        "folds": (settings["split"] or {}).get("folds", 0),
        "splits": ["train", "val"] if settings["validation_images"] else ["train"],
        "x": report["cost"] or (ROI_COST if settings["task"] == "roi" else AREA_COST),
        "share": report["share"],
        "colours": {n: report["colours"][n] for n in in_order(report["colours"], known)},
        "overlay_images": report["overlay_images"],
        "notes": _notes(settings, definitions),
        "validation": (validation := _validation(settings)),
        "remark": STOPPED.get(validation, ""),
        "reference_steps": dict(
            zip(REFERENCES, (settings["full_steps"], most_steps(settings["steps"])), strict=True)
        ),
        "layout": {
            "name": settings["layout"],
            "options": settings["layout_options"],
            "classes": settings["classes"],
        },
    }


def _notes(settings: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, str]:
    start = READS_TRUTH if settings["initial"] == "nnactive" else ""
    notes = {n: "; ".join(t for t in (note_of(d), start) if t) for n, d in definitions.items()}
    return {name: note for name, note in notes.items() if note}


def _validation(settings: Mapping[str, Any]) -> str:
    """Which images a training may be stopped by: ``paper``, ``clean`` or none."""
    section = learner_science(dict(settings))
    found = describe_learner(settings["learner"]).of(section).early_stopping()
    return found[0] or ""
