"""What to do about a damaged file of a run: which to delete, and what is made again then."""

from __future__ import annotations

from pathlib import Path

_AGAIN = "the same command makes it again, and what follows from it"
_TRAINED = "the same command trains again and goes on from there"
# The first pattern that a path fits: what to delete (`{0}` the file, `{1}` its folder), and then
_REMEDIES = (
    (
        ("launch.json",),
        "see that no Snakemake works there, and delete {0}: the next start writes it again",
    ),
    (
        ("results/*/config.yaml", "config.yaml", "data.csv", "prepared/*/images.json"),
        "delete {0}: the next start writes it again, and compares nothing with what it held",
    ),
    (("learner.json", "start.json"), "delete {0}: the next start writes it again"),
    (("work/**/*", "*/key-*/*"), "delete {1}: the training begins anew"),
    (
        ("model/members/*/*", "model/*/*", "model/*", "model"),
        "delete {model} and training.json beside it: " + _TRAINED,
    ),
    (("training.json",), "delete {0} and the folder model beside it: " + _TRAINED),
    (("labels/*", "labels.csv"), "delete {labels} and labels.csv beside it: " + _AGAIN),
    (("metrics.json", "examples.zip"), "delete {0}: the same command evaluates its model again"),
    (("curves.csv", "confidence.csv"), "delete {0}: the same command gathers it again"),
    (("*.jsonl",), "delete {0}: what the job has used is then not known"),
    (
        ("prepared/*/*", "prepared/*/*/*"),
        "delete it and plans.json in the same folder of data/prepared, and start the target "
        "prepare_learner: it is made again",
    ),
)


def remedy(path: str | Path) -> str:
    """Say what to delete, and what makes it again."""
    path = Path(path)
    for patterns, text in _REMEDIES:
        if any(path.match(pattern) for pattern in patterns):
            return text.format(
                path, path.parent, model=_folder(path, "model"), labels=_folder(path, "labels")
            )
    return f"delete {path}: {_AGAIN}"


def _folder(path: Path, name: str) -> Path:
    """The folder of a name that a path lies in, or stands beside."""
    found = [parent for parent in path.parents if parent.name == name]
    return found[0] if found else path.with_name(name)
