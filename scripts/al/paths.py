"""Where the files of a run lie: built and parsed here, and nowhere else.

    results/{run}/pool.csv                                  every image or RoI
    results/{run}/data.csv                                  fingerprints of their files
    results/{run}/pools/seed-{seed}.csv                     the same with a seed's splits
    results/{run}/{budget}/{strategy}/seed-{seed}/cycle-{cycle}/{file}
    results/{run}/references/{reference}/seed-{seed}/{file}
    annotations/{dataset}/                                  what people annotated, for all runs

``budget`` is images x regions (``5x15``), ``cycle`` has three digits from 001. The first cycle is
shared by all strategies and lies under ``initial``. ``logs/``, ``benchmarks/`` and ``work/`` have
the same paths as ``results/``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]  # of the checkout

INITIAL = "initial"
REFERENCES = ("full", "full_same_steps")  # trained on all labels, in the order of tables
KINDS = ("results", "work", "logs", "benchmarks")

# Snakemake's wildcards, and patterns of paths that hold them
CONSTRAINTS = {
    "run": r"[A-Za-z0-9][A-Za-z0-9_.-]*",
    "budget": r"[1-9]\d*x[1-9]\d*",
    "strategy": r"[a-z][a-z0-9_]*",
    "reference": "|".join(REFERENCES),
    "seed": r"\d+",
    "cycle": r"\d{3}",
    "shard": r"\d+",
    "part": r"\d{3}",
}
NUMBERS = frozenset({"seed", "cycle", "shard", "part"})
RUN = "results/{run}"
CYCLE = RUN + "/{budget}/{strategy}/seed-{seed}/cycle-{cycle}"
REFERENCE = RUN + "/references/{reference}/seed-{seed}"
REVEALED = RUN + "/references/seed-{seed}"  # labels that the references share
POOL = RUN + "/pools/seed-{seed}.csv"
DATA = "data.csv"  # beside the pool
CHOSEN, SPARES = "chosen.csv", "spares.csv"  # what people are asked for, in a cycle
PROPOSALS = "proposals.npz"  # beside these: what the model makes of them
START = "start.json"  # in the logs of a run: when and how it was last started
EXAMPLES = "examples.zip"  # beside each metrics.json
# What is not the first cycle: wildcards of the rules that need a cycle before theirs
LATER = {"strategy": f"(?!{INITIAL}/){CONSTRAINTS['strategy']}", "cycle": r"(?!001)\d{3}"}

_PLACE = re.compile(
    rf"(?:^|/)(?:(?P<budget>{CONSTRAINTS['budget']})/(?P<strategy>{CONSTRAINTS['strategy']})"
    rf"|references/(?P<reference>{CONSTRAINTS['reference']}))/seed-(?P<seed>\d+)"
    r"(?:/cycle-(?P<cycle>\d{3}))?(?=/|$)"
)


@dataclass(frozen=True, order=True)
class Place:
    """A cycle of a strategy and seed, or a reference's training.

    Attributes:
        budget: such as ``5x15``; empty for references.
        strategy: its name, ``initial`` for the first cycle; for references the reference.
        seed: from 0.
        cycle: from 1; 0 for references.
    """

    budget: str
    strategy: str
    seed: int
    cycle: int

    @classmethod
    def of(cls, budget: str, strategy: str, seed: int, cycle: int) -> Place:
        """Return a strategy's cycle; the first is ``initial``, whoever asks."""
        return cls(budget, INITIAL if cycle == 1 else strategy, seed, cycle)

    @classmethod
    def of_reference(cls, reference: str, seed: int) -> Place:
        """Return the training of a reference."""
        return cls("", reference, seed, 0)

    @classmethod
    def parse(cls, path: str | Path) -> Place | None:
        """Return the place that a path lies in, or names; ``None`` where it is in none."""
        found = _PLACE.search(Path(path).as_posix())
        if found is None or (found["reference"] is None) != (found["cycle"] is not None):
            return None
        if found["reference"]:
            return cls.of_reference(found["reference"], int(found["seed"]))
        return cls(found["budget"], found["strategy"], int(found["seed"]), int(found["cycle"]))

    @property
    def is_reference(self) -> bool:
        """Whether all labels were learnt from."""
        return self.cycle == 0

    @property
    def path(self) -> Path:
        """Its folder, relative to the folder of the run."""
        if self.is_reference:
            return Path("references", self.strategy, f"seed-{self.seed}")
        return Path(self.budget, self.strategy, f"seed-{self.seed}", f"cycle-{self.cycle:03d}")


def places_in(folder: str | Path, file: str) -> Iterator[tuple[Place, Path]]:
    """Yield the places below the folder of a run that hold files of a name (a glob), with these."""
    for pattern in (f"*/*/seed-*/cycle-*/{file}", f"references/*/seed-*/{file}"):
        for path in sorted(Path(folder).glob(pattern)):
            place = Place.parse(path.relative_to(folder).parent)
            if place is not None:
                yield place, path


def first_root(settings: Mapping[str, Any]) -> str:
    """Return where the data of a configuration lay when the run was first started, absolute.

    What is prepared of them is named after it, and needs not be made again where they are moved.
    """
    return settings.get("first_root") or str(Path(str(settings["data_root"])).resolve())


def pool_of(folder: str | Path, seed: int) -> Path:
    """Return the pool as a seed sees it, of the folder of a run."""
    return Path(folder, "pools", f"seed-{seed}.csv")


def annotations_of(dataset: str) -> Path:
    """Return the folder of what people annotated in a dataset, whatever the run."""
    return Path("annotations", dataset)


def mirrored(path: str | Path, kind: str) -> str:
    """Return the path under another of ``KINDS`` that goes with a path under one of them.

    Raises:
        ValueError: for a path elsewhere.

    >>> mirrored("results/mine/pool.csv", "logs")
    'logs/mine/pool.csv'
    """
    parts = Path(path).parts
    if not parts or parts[0] not in KINDS or kind not in KINDS:
        raise ValueError(f"path {str(path)!r} to {kind!r}; it must begin with {', '.join(KINDS)}")
    return Path(kind, *parts[1:]).as_posix()


def log_of(path: str) -> str:
    """Return the log of a job by a path under ``results/``, without an ending."""
    return mirrored(path, "logs") + ".log"


def benchmark_of(path: str) -> str:
    """Return the benchmark file of a job by a path under ``results/``, without an ending."""
    return mirrored(path, "benchmarks") + ".tsv"
