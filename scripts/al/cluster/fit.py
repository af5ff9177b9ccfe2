"""Compare what a run asks for with what a cluster offers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from .cluster import (
    Accounts,
    Node,
    Partition,
    read_accounts,
    read_config,
    read_nodes,
    read_partitions,
    seconds_of,
)
from .plan import Plan, Submission

SAVE_SECONDS = 20  # a learner that gets less between SIGTERM and SIGKILL may lose an epoch


@dataclass(frozen=True)
class Finding:
    """One line of the answer: ``ok``, ``warning`` or ``does not fit``."""

    word: str
    found: str
    change: str = ""

    def __str__(self) -> str:
        return f"{self.word:12} {self.found}{f' -> {self.change}' if self.change else ''}"


@dataclass(frozen=True)
class Offer:
    """What the cluster offers."""

    config: dict[str, str]
    partitions: dict[str, Partition]
    nodes: list[Node]
    accounts: Accounts | None

    @classmethod
    def read(cls) -> Offer:
        """Ask the cluster. Raises NoCluster where there is none."""
        return cls(read_config(), read_partitions(), read_nodes(), read_accounts())


@dataclass(frozen=True)
class Profile:
    """A profile's file, to point into; ``root`` is its YAML, None where there is none."""

    path: Path
    root: yaml.MappingNode | None

    @classmethod
    def read(cls, folder: Path) -> Profile:
        """Read the profile in ``folder``; Snakemake has read it before, and would have refused."""
        files = sorted(folder.glob("config*.yaml"))
        if not files:
            return cls(folder, None)
        root = yaml.compose(files[0].read_text(encoding="utf-8"), yaml.SafeLoader)
        return cls(files[0], root if isinstance(root, yaml.MappingNode) else None)

    def at(self, key: str, rule: str = "") -> str:
        """Where ``key`` is set, by the rule's own entry first; says so where it is not set."""
        for names in (("set-resources", rule, key), ("default-resources", key), (key,)):
            line = self._line(names)
            if line is not None:
                return f"{self.path}, line {line}, {': '.join(names)}"
        return f"{self.path}, {key} (not set)"

    def _line(self, names: tuple[str, ...]) -> int | None:
        node: yaml.Node | None = self.root
        line = None
        for name in names:
            if not isinstance(node, yaml.MappingNode):
                return None
            found = [(k, v) for k, v in node.value if k.value == name]
            if not found:
                return None
            line, node = found[0][0].start_mark.line + 1, found[0][1]
        return line


def all_findings(plan: Plan, offer: Offer, profile: Profile) -> list[Finding]:
    """Every check that needs no submission."""
    found = [*_account(plan, offer, profile), *_qos(plan, offer, profile)]
    found += [*_polling(plan, offer, profile), *_requeue(plan, offer, profile)]
    found += _saving(offer)
    for submission in plan.submissions:
        found += _fits(submission, offer, profile)
    return found


def _fits(submission: Submission, offer: Offer, profile: Profile) -> Iterator[Finding]:
    head = f"{submission.kind}, attempt {submission.attempt}"
    word = "does not fit" if submission.attempt == 1 else "warning"
    for conflict in submission.conflicts:
        yield Finding("does not fit", f"{head}: one submission, but {conflict}", str(profile.path))
    partition = _partition(submission, offer)
    where = profile.at("slurm_partition", submission.largest.get("mem_mb", ""))
    if partition is None:
        name = submission.resources.get("slurm_partition")
        told = f"partition {name} does not exist" if name else "no partition, and no default one"
        yield Finding(
            "does not fit", f"{head}: {told}; there are {', '.join(offer.partitions)}", where
        )
        return
    if not partition.up:
        yield Finding("does not fit", f"{head}: partition {partition.name} is not up", where)
    minutes = submission.resources.get("runtime", 0)
    if minutes > partition.max_minutes:
        yield Finding(
            word,
            f"{head}: {minutes} minutes, partition {partition.name} grants {partition.max_minutes}",
            "config: `minutes`, `chain` or `max_minutes` of the dataset",
        )
    yield from _fits_a_node(submission, partition, offer, profile)


def _partition(submission: Submission, offer: Offer) -> Partition | None:
    name = submission.resources.get("slurm_partition")
    if name:
        return offer.partitions.get(str(name))
    return next((p for p in offer.partitions.values() if p.default), None)


def _fits_a_node(
    submission: Submission, partition: Partition, offer: Offer, profile: Profile
) -> Iterator[Finding]:
    """A line for each thing that no node of the partition has enough of, or one for all of it."""
    asked = submission.resources
    head = f"{submission.kind}, attempt {submission.attempt}"
    word = "does not fit" if submission.attempt == 1 else "warning"
    model = str(asked.get("gpu_model", ""))
    wants = [
        ("cpus_per_task", "cores", lambda node: node.cpus),
        ("mem_mb", "MB of memory", lambda node: node.memory),
        ("gpu", f"{model} GPUs".strip(), lambda node: node.gpu_count(model)),
    ]
    nodes = [node for node in offer.nodes if partition.name in node.partitions]
    lacking = False
    for key, unit, has in wants:
        most = max((has(node) for node in nodes), default=0)
        if asked.get(key, 0) > most:
            lacking = True
            yield Finding(
                word,
                f"{head}: {asked[key]} {unit}, the largest node of {partition.name} has {most}",
                profile.at(key, submission.largest.get(key, "")),
            )
    if lacking:
        return
    fit = [n for n in nodes if all(has(n) >= asked.get(key, 0) for key, _, has in wants)]
    told = (
        f"{head}: {asked.get('cpus_per_task', 1)} cores, {asked.get('mem_mb', 'any')} MB, "
        f"{asked.get('gpu', 0)} GPUs, {asked.get('runtime', 'no')} minutes in {partition.name}"
    )
    if not fit:
        yield Finding(word, f"{told}: no node has all of it", str(profile.path))
    elif not any(node.up for node in fit):
        names = ", ".join(node.name for node in fit[:5])
        yield Finding("warning", f"{told}: the nodes that have it are not up now ({names})")
    else:
        yield Finding("ok", f"{told}: {len(fit)} nodes have it")


def _account(plan: Plan, offer: Offer, profile: Profile) -> Iterator[Finding]:
    named = {str(s.resources["slurm_account"]) for s in plan.submissions
             if s.resources.get("slurm_account")}  # fmt: skip
    if offer.accounts is None:
        names = ", ".join(sorted(named)) or "not named"
        told = f"account {names}; sacctmgr does not say which are yours"
        yield Finding("warning", told)
        return
    allowed = offer.accounts.qos
    for name in sorted(named):
        if name.lower() in allowed:
            yield Finding("ok", f"account {name}")
        else:
            told = f"account {name} is not yours; yours: {', '.join(allowed) or 'none'}"
            yield Finding("does not fit", told, profile.at("slurm_account"))
    if named:
        return
    if offer.accounts.default:
        yield Finding("ok", f"no account named, your default is {offer.accounts.default}")
    else:
        told = f"no account named, and you have no default; yours: {', '.join(allowed) or 'none'}"
        word = "does not fit" if allowed else "warning"
        yield Finding(word, told, profile.at("slurm_account"))


def _qos(plan: Plan, offer: Offer, profile: Profile) -> Iterator[Finding]:
    named = {str(s.resources["qos"]) for s in plan.submissions if s.resources.get("qos")}
    named |= {str(name) for name in (plan.option("slurm_qos"),) if name}
    if not named or offer.accounts is None:
        return
    allowed = {name for names in offer.accounts.qos.values() for name in names}
    for name in sorted(named):
        if name in allowed:
            yield Finding("ok", f"quality of service {name}")
        else:
            told = f"quality of service {name} is not yours; yours: {', '.join(sorted(allowed))}"
            yield Finding("does not fit", told, profile.at("qos"))


def _polling(plan: Plan, offer: Offer, profile: Profile) -> Iterator[Finding]:
    """squeue forgets a job MinJobAge after its end; Snakemake must have looked by then."""
    command = plan.option("slurm_status_command", "sacct")
    if command != "squeue":
        told = f"jobs are looked up with {command}, which hangs on jobs cancelled by hand"
        yield Finding("warning", told, f"{profile.at('slurm-status-command')}: squeue")
        return
    age = seconds_of(offer.config.get("MinJobAge", "0"))
    first = int(plan.option("slurm_init_seconds_before_status_checks", 40))
    told = f"MinJobAge {age} s, first look after {first} s"
    at = profile.at("slurm-init-seconds-before-status-checks")
    if age < 3 * first:
        yield Finding("does not fit", f"{told}; allowed: up to a third of MinJobAge", at)
    elif age < 180:
        # Looks come up to 180 s apart; a job that ended between two must still be known.
        told += "; looks are up to 180 s apart, an end may be missed"
        yield Finding("warning", told, f"{profile.at('slurm-status-command')}: sacct")
    else:
        yield Finding("ok", told)


def _requeue(plan: Plan, offer: Offer, profile: Profile) -> Iterator[Finding]:
    mode = offer.config.get("PreemptMode", "OFF").upper()
    at = profile.at("slurm-requeue")
    if not plan.option("slurm_requeue", False):
        told = f"jobs are not put back into the queue (PreemptMode {mode}): a preempted one is lost"
        yield Finding("warning", told, f"{at}: true")
    elif "CANCEL" in mode:
        yield Finding("warning", f"PreemptMode {mode}: a preempted job costs one of the retries")
    elif "SUSPEND" in mode:
        yield Finding("warning", f"PreemptMode {mode}: a preempted job stops and keeps its memory")
    else:
        yield Finding("ok", f"requeue with PreemptMode {mode}")


def _saving(offer: Offer) -> Iterator[Finding]:
    wait = seconds_of(offer.config.get("KillWait", "30"))
    if wait < SAVE_SECONDS:
        told = (
            f"KillWait {wait} s: a large model may not be saved in that time when a job is stopped"
        )
        yield Finding("warning", told)
