"""What is submitted together to a cluster, and the run time asked for it.

The rules of a cycle travel as one submission, ``chain`` cycles of a strategy in each, because
starting a job costs more than a short cycle. The run time of a submission is the sum of its jobs'.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

# Which entry of the configuration's `minutes` a rule takes; all others take `other`.
KINDS = {
    "train": "train",
    "train_reference": "full",
    "prepare_learner": "full",
    "histocartography_graphs": "full",
    "import_graphs": "full",
    "build_graphs": "full",
    "build_graphs_on_gpu": "full",
    "predict": "predict",
    "predict_initial": "predict",
    "propose_patches": "predict",
    "evaluate": "evaluate",
    "evaluate_reference": "evaluate",
    "propose_regions": "select",
    "embed_regions": "select",
    "select_initial": "select",
    "select_regions": "select",
}
# Each a submission of its own
ALONE = frozenset(
    {"prepare_learner", "build_graphs", "build_graphs_on_gpu"}
    | {"histocartography_graphs", "import_graphs"}
)
# Jobs of the longest cycle: select_regions with its proposals and features or patches, reveal,
# train, evaluate, predict, score. Where shards spread a prediction it is a submission of its own.
CYCLE = {"select": 3, "other": 2, "train": 1, "evaluate": 1}


def cycle_minutes(settings: Mapping[str, Any]) -> int:
    """Minutes that the jobs of one cycle take at most, one after the other."""
    minutes = settings["minutes"]
    predicted = 2 if settings["shards"] == 1 else 0
    return sum(count * minutes[kind] for kind, count in CYCLE.items()) + (
        predicted * minutes["predict"]
    )


def group_minutes(settings: Mapping[str, Any]) -> dict[str, int]:
    """Minutes of the longest submission of each kind, at the first attempt.

    ``cycles``: a block of a strategy's cycles; ``initial``: the first cycle; ``reference``:
    training and scoring on all labels; ``predict``: one shard, where shards are jobs of their own.
    """
    minutes = settings["minutes"]
    found = {
        "cycles": cycles_per_submission(settings) * cycle_minutes(settings),
        "initial": cycle_minutes(settings),
        "reference": minutes["full"] + minutes["evaluate"],
    }
    if settings["shards"] > 1:
        found["predict"] = minutes["predict"]
    return found


def cycles_per_submission(settings: Mapping[str, Any]) -> int:
    """``chain``; one where a prediction spread over shards interrupts every cycle."""
    return settings["chain"] if settings["shards"] == 1 else 1


def longest_chain(settings: Mapping[str, Any]) -> int:
    """The most cycles whose run time a cluster grants; 0 if not even one fits."""
    return settings["max_minutes"] // cycle_minutes(settings)


def job_minutes(settings: Mapping[str, Any], rule: str, attempt: int) -> int:
    """Minutes to ask for a job: as much again at every retry, as long as its submission fits."""
    kind = KINDS.get(rule, "other")
    if rule.endswith("_reference"):
        longest = group_minutes(settings)["reference"]
    elif rule in ALONE:
        longest = settings["minutes"][kind]
    elif rule in KINDS or rule in ("reveal_labels", "score_images"):
        longest = group_minutes(settings)["cycles"]
    else:  # before and after the cycles: a few short jobs one after the other
        longest = 4 * settings["minutes"][kind]
    factor = retry_factor(settings, longest, attempt)
    return max(1, math.floor(settings["minutes"][kind] * factor))


def retry_factor(settings: Mapping[str, Any], longest: int, attempt: int) -> float:
    """By how much an attempt multiplies run times.

    A retry that would pass ``max_minutes`` is not granted: every job of the submission, which takes
    ``longest`` minutes at first, is then given the same smaller factor.
    """
    return min(attempt, max(1.0, settings["max_minutes"] / longest))


def submission_of(
    settings: Mapping[str, Any], rule: str, wildcards: Mapping[str, str]
) -> str | None:
    """Name of the submission that a job belongs to; None where it is one of its own.

    One name per run, budget, strategy, seed and block of cycles. Where shards spread predictions
    over nodes, what comes after them goes with the cycle that it selects.
    """
    if wildcards.get("reference"):
        return "_".join(["reference", *_parts(wildcards, "run", "reference", "seed")])
    spread = settings["shards"] > 1
    if spread and rule in ("predict", "predict_initial", "propose_patches"):
        return None
    strategy, cycle = wildcards["strategy"], int(wildcards["cycle"])
    if spread and rule == "score_images":
        if strategy == "initial":  # every strategy waits for it
            return None
        cycle += 1
    head = _parts(wildcards, "run", "budget", "strategy", "seed")
    if strategy == "initial":
        return "_".join(["cycle", *head])
    return "_".join(["cycles", *head, str(block_of(settings, cycle))])


def block_of(settings: Mapping[str, Any], cycle: int) -> int:
    """Number of the submission that holds a strategy's cycle, from 0; cycle 1 comes before."""
    return (cycle - 2) // cycles_per_submission(settings)


def _parts(wildcards: Mapping[str, str], *names: str) -> list[str]:
    return [wildcards[name] for name in names]
