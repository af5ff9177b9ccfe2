"""Finished results that a job hands back when it is asked for again.

Snakemake runs a submission of several jobs whole again when one of them failed, and deletes all
their outputs first. A cluster's jobs therefore leave hard links to what they made under ``work/``;
the second attempt takes them from there if nothing that they depend on has changed, so that a kill
costs no finished prediction. On a GPU it also keeps the selection that followed: computed again, a
prediction can differ in its last digits.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Any

from al.io.files import reading
from al.paths import ROOT, Place, mirrored

KEPT = "kept"
TRAININGS = frozenset({"train", "train_reference"})


def once(job: Any, make: Callable[[], None]) -> None:
    """Make a job's outputs, unless an earlier attempt in this submission finished the same job.

    Args:
        job: Snakemake's object of a script job, with rule, input, output, params and wildcards.
        make: makes all of ``job.output``.
    """
    if "SLURM_JOB_ID" not in os.environ:  # nothing is repeated with others
        make()
        return
    outputs = [Path(output) for output in job.output]
    place = _kept_of(outputs[0]) / _key(job)
    if _hand_back(place, outputs):
        print("finished in an earlier attempt, from the same inputs; nothing is computed again")
        return
    make()
    try:
        _keep(place, outputs)
    except OSError as error:  # the job is done, kept or not
        print(f"not kept for another attempt: {error}")


def _hand_back(place: Path, outputs: Sequence[Path]) -> bool:
    files = [place / str(k) for k in range(len(outputs))]
    if not all(file.exists() for file in files):
        return False
    try:
        for file, output in zip(files, outputs, strict=True):
            _link(file, output)
    except FileNotFoundError:  # forgotten at this very moment
        return False
    return True


def _keep(place: Path, outputs: Sequence[Path]) -> None:
    shutil.rmtree(place.parent, ignore_errors=True)  # what was made from other inputs
    building = place.with_name(".building")
    building.mkdir(parents=True)
    for k, output in enumerate(outputs):
        _link(output, building / str(k))
    building.rename(place)


def forget_earlier(work: str | Path, cycle: int, chain: int) -> None:
    """Remove what is kept, and the checkpoints, of submissions that are over.

    A cycle starts only when Snakemake has recorded the submission before it as complete.

    Args:
        work: a path below the work folder of the cycle, ``.../seed-0/cycle-005/model``.
        cycle: number of that cycle.
        chain: cycles per submission.
    """
    place = Place.parse(work)
    if place is None or cycle < 2:
        return
    run = Path(*Path(work).parts[:2])
    first = cycle - (cycle - 2) % chain  # of this submission
    for earlier in range(1, first):
        folder = run / Place.of(place.budget, place.strategy, place.seed, earlier).path
        # While a training is repeated, its result is not there.
        if Path(mirrored(folder, "results"), "training.json").exists():
            shutil.rmtree(folder, ignore_errors=True)


def forget_job(rule: str, outputs: Sequence[str]) -> None:
    """Remove what would let a job hand back, or continue, what it made before.

    Args:
        rule: its name.
        outputs: its outputs, ``results/...``.
    """
    if rule in TRAININGS:
        shutil.rmtree(mirrored(outputs[0], "work"), ignore_errors=True)
    elif Place.parse(outputs[0]):
        shutil.rmtree(_kept_of(Path(outputs[0])), ignore_errors=True)


def forget_finished(work: Path) -> None:
    """Remove, of a run that went well, everything that an interrupted one would need.

    What belongs to trainings and cycles without a result stays: they were not part of it.

    Args:
        work: the run's folder under ``work/``; results lie at the same path under ``results/``.
    """
    for name, end in {"model": "training.json", KEPT: "metrics.json"}.items():
        for folder in list(work.glob(f"**/{name}")):
            if Path(mirrored(folder.parent, "results"), end).exists():
                shutil.rmtree(folder, ignore_errors=True)
    for folder in sorted(work.glob("**/"), reverse=True):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _kept_of(output: Path) -> Path:
    """Where a job keeps its outputs: by its first output's name, in its cycle's work folder."""
    place = next(p for p in output.parents if p.name.startswith(("cycle-", "seed-")))
    return Path(mirrored(place, "work"), KEPT, "-".join(output.relative_to(place).parts))


def _key(job: Any) -> str:
    """Hash of the sources, and of the parameters and inputs of a job."""
    digest = sha256(_code().encode())
    head = [job.rule, dict(job.wildcards.items()), dict(job.params.items())]
    digest.update(json.dumps(head, sort_keys=True, default=repr).encode())
    for path in sorted(str(p) for p in job.input):
        digest.update(f"\n{path} {content_hash(Path(path))}".encode())
    return digest.hexdigest()


@cache
def _code() -> str:
    """Hash of the project's sources: an edit makes everything anew."""
    files = [p for name in ("scripts", "decomp_core") for p in (ROOT / name).rglob("*.py")]
    return _joined((str(p.relative_to(ROOT)), content_hash(p)) for p in files)


def content_hash(path: Path) -> str:
    """SHA-256 of what a file or folder holds, whatever its times.

    Archives (.zip, .npz) are told by the checksums of their members, so that predictions of many
    gigabytes are not read again.
    """
    if path.is_dir():
        files = [p for p in path.rglob("*") if p.is_file()]
        return _joined((str(p.relative_to(path)), content_hash(p)) for p in files)
    if path.suffix in (".zip", ".npz"):
        with reading(path), zipfile.ZipFile(path) as archive:
            return _joined((i.filename, f"{i.CRC} {i.file_size}") for i in archive.infolist())
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def _joined(pairs: Iterable[tuple[str, str]]) -> str:
    return sha256("\n".join(f"{a} {b}" for a, b in sorted(pairs)).encode()).hexdigest()


def _link(source: Path, target: Path) -> None:
    """Link a file, or all files of a folder, to ``target``; copied where links are not possible."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, copy_function=_link_file, dirs_exist_ok=True)
    else:
        _link_file(source, target)


def _link_file(source: str | Path, target: str | Path) -> None:
    """Link by rename: what was there is replaced, never written through."""
    temporary = Path(target).with_name(f".{Path(target).name}.link")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        shutil.copy2(source, temporary)  # no links here, or none across file systems
    temporary.replace(target)
    temporary.unlink(missing_ok=True)  # renaming onto a link to the same file does nothing
