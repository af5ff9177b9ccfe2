"""What to do about a damaged file of a run: which to delete, and what is made again then."""

from __future__ import annotations

from pathlib import Path

_AGAIN = "the same command makes it again, and what follows from it"
_STARTED = "delete {path}: the next start writes it again"
# Patterns of paths, of which the first counts: what to delete, and what is made again then
_REMEDIES = {
    "launch.json": "see that no Snakemake works there, and " + _STARTED,
    "config.yaml learner.json start.json data.csv prepared/*/images.json": _STARTED + ", and "
    "compares nothing with what it held",
    "key-*/*": "delete {path.parent}: the training begins anew",
    "training.json model model/* model/*/*": "delete {model} and training.json beside it: the same "
    "command trains again and goes on from there",
    "labels.csv labels/*": "delete {labels} and labels.csv beside it: " + _AGAIN,
    "log/[0-9]*.json drafts/*.json store.json": "put {path} back from a copy: it holds people's "
    "annotations, and nothing makes it again",
    "*.jsonl": "delete {path}: what the job has used is then not known",
    "prepared/*/* prepared/*/*/*": "delete it and plans.json in the same folder of data/prepared, "
    "and start the target prepare_learner: it is made again",
    "*": "delete {path}: " + _AGAIN,
}


def remedy(path: str | Path) -> str:
    """Say what to delete, and what makes it again."""
    path = Path(path)
    text = next(t for names, t in _REMEDIES.items() if any(map(path.match, names.split())))
    return text.format(path=path, model=_folder(path, "model"), labels=_folder(path, "labels"))


def _folder(path: Path, name: str) -> Path:
    """The folder of a name that a path lies in, or stands beside."""
    found = [parent for parent in path.parents if parent.name == name]
    return found[0] if found else path.with_name(name)
