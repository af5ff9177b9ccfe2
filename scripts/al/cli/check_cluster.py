"""Say what in a profile does not fit the SLURM cluster, before jobs wait for ever.

    python -m al.cli.check_cluster --profile profiles/slurm -- dataset=bracs

Nothing is submitted: the scheduler is asked with ``sbatch --test-only``. Exit code 0 when
everything fits, 1 when something does not, 2 when there is no cluster or no usable profile.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from snakemake_interface_common.exceptions import WorkflowError

from al.cluster.cluster import NoCluster, ask
from al.cluster.fit import Finding, Offer, Profile, all_findings
from al.cluster.plan import Plan, Submission, make_plan
from al.cluster.words import parse_words
from al.paths import ROOT

PLUGIN = "snakemake-executor-plugin-slurm"
SNAKEFILE = ROOT / "Snakefile"


def main(arguments: list[str]) -> int:
    """Check a profile and print one line per finding; returns the exit code."""
    place = arguments.index("--") if "--" in arguments else len(arguments)
    parser = argparse.ArgumentParser(
        prog="check_cluster.py", usage="%(prog)s [options] -- [key=value ...] [snakemake's words]"
    )
    parser.add_argument("--profile", default="profiles/slurm", help="profile to check")
    own = parser.parse_args(arguments[:place])
    try:
        offer = Offer.read()
        request = parse_words(arguments[place + 1 :], own.profile)
        plan = make_plan(request.command(), SNAKEFILE)
    except (NoCluster, WorkflowError) as problem:
        print(f"cannot check: {problem}", file=sys.stderr)
        return 2
    profile = Profile.read(Path(own.profile))
    findings = [*check_executor(plan, profile), *all_findings(plan, offer, profile)]
    findings += [f for s in unique(plan.submissions) for f in try_submission(s, plan, profile)]
    for finding in findings:
        print(finding)
    return int(any(finding.word == "does not fit" for finding in findings))


def check_executor(plan: Plan, profile: Profile) -> list[Finding]:
    """Whether the profile submits to SLURM at all, and with what."""
    try:
        told = f"{PLUGIN} {version(PLUGIN)}"
    except PackageNotFoundError:
        return [Finding("does not fit", f"{PLUGIN} is not installed", "install the extra `slurm`")]
    if plan.option("executor") != "slurm":
        found = f"executor is {plan.option('executor', 'not set')}, jobs would run on this machine"
        return [Finding("does not fit", found, f"{profile.at('executor')}: executor: slurm")]
    return [Finding("ok", f"executor slurm, {told}")]


def unique(submissions: list[Submission]) -> list[Submission]:
    """One of those that ask for the same; conflicting ones have no request to try."""
    found: dict[str, Submission] = {}
    for submission in submissions:
        if not submission.conflicts:
            found.setdefault(" ".join(sbatch_words(submission)), submission)
    return list(found.values())


def sbatch_words(submission: Submission, qos: str | None = None) -> list[str]:
    """The request as the executor would make it."""
    r = submission.resources
    words = ["sbatch", "--test-only", "-J", "check", "-o", "/dev/null"]
    for flag, name in (
        ("-A", "slurm_account"),
        ("-p", "slurm_partition"),
        ("-t", "runtime"),
        ("-C", "constraint"),
        ("-q", "qos"),
        ("--mem", "mem_mb"),
    ):
        if r.get(name):
            words += [flag, str(r[name])]
    if qos:
        words += ["-q", qos]
    if r.get("gpu"):
        model = f"{r['gpu_model']}:" if r.get("gpu_model") else ""
        words.append(f"--gpus={model}{r['gpu']}")
    else:
        words.append("--ntasks=1")
    if r.get("gres"):
        words.append(f"--gres={r['gres']}")
    words.append(f"--cpus-per-task={max(1, r.get('cpus_per_task', 1))}")
    return [*words, *shlex.split(r.get("slurm_extra", "")), "--wrap", "true"]


def try_submission(submission: Submission, plan: Plan, profile: Profile) -> list[Finding]:
    """Ask the scheduler itself; it sees accounts, quotas and limits that no list shows."""
    words = sbatch_words(submission, plan.option("slurm_qos"))
    done = ask(*words)
    shown = f"{submission.kind}, attempt {submission.attempt}: {shlex.join(words[6:-2])}"
    if done.returncode == 0:
        return [Finding("ok", f"the scheduler takes {shown}")]
    told = " ".join(done.stderr.split()).removeprefix("sbatch: ").removeprefix("error: ")
    # A retry that is refused costs the retry, not the run.
    word = "does not fit" if submission.attempt == 1 else "warning"
    return [Finding(word, f"the scheduler refuses {shown}: {told}", str(profile.path))]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
