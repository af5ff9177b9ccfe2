"""Ask SLURM whether it takes what a run would submit, before jobs wait for ever.

    python -m al.cli.check_cluster --profile profiles/slurm -- dataset=bracs

Nothing is submitted: each distinct request is tried with ``sbatch --test-only``, and SLURM's answer
is shown. Exit code 0 when everything fits, 1 when something does not, 2 when there is no cluster or
no usable profile. A retry that is refused costs the retry, not the run: it is a warning.
"""

from __future__ import annotations

import argparse
import logging
import subprocess
import sys

from snakemake_interface_common.exceptions import WorkflowError

from al.cluster.requests import Asked, requests
from al.cluster.words import parse_words, split_words
from al.paths import ROOT

ADVICE = """\
What a job asks for stands in the profile: slurm_partition, slurm_account, qos, mem_mb, gpu and
cpus_per_task under set-resources and default-resources. Run times (-t, minutes) follow from
`minutes`, `chain` and `max_minutes` of the configuration. There is: sinfo -o '%P %l %c %m %G'"""


class NoCluster(RuntimeError):
    """SLURM's commands are not there, or do not answer."""


def main(arguments: list[str]) -> int:
    """Try every request and print a line for each; returns the exit code."""
    given, words = split_words(arguments)
    parser = argparse.ArgumentParser(
        prog="check_cluster.py", usage="%(prog)s [options] -- [key=value ...] [snakemake's words]"
    )
    parser.add_argument("--profile", default="profiles/slurm", help="profile to check")
    own = parser.parse_args(given)
    try:
        _run("sinfo", "-V")
        request = parse_words(words, own.profile)
        if not request.uses_slurm:
            print(f"does not fit {own.profile}: executor is {request.options.executor}, not slurm")
            return 1
        answers = [_answer(asked) for asked in requests(request.options, ROOT / "Snakefile")]
    except (NoCluster, WorkflowError) as problem:
        print(f"cannot check: {problem}", file=sys.stderr)
        return 2
    for word, line in answers:
        print(f"{word:12} {line}")
    if any(word != "ok" for word, _ in answers):
        print(ADVICE)
    return int(any(word == "does not fit" for word, _ in answers))


def _answer(asked: Asked) -> tuple[str, str]:
    """Whether the scheduler takes a request, and what it says to it."""
    done = _run("sbatch", "--test-only", "-o", "/dev/null", *asked.words, "--wrap", "true")
    told = " ".join(done.stderr.split()).removeprefix("sbatch: ").removeprefix("error: ")
    fits = done.returncode == 0
    if fits and (limit := _exceeded(asked)):
        fits, told = False, limit
    elif fits:  # without enforced accounting SLURM takes any
        try:
            from snakemake_executor_plugin_slurm.accounts import validate_account

            for account in asked.accounts:
                validate_account(account, logging.getLogger(__name__))
        except WorkflowError as refusal:
            fits, told = False, " ".join(str(refusal).split())
    word = "ok" if fits else "does not fit" if asked.attempt == 1 else "warning"
    return word, f"{asked}: {told}"


def _exceeded(asked: Asked) -> str:
    """What a partition grants, if that is less than is asked for: such jobs are taken and wait."""
    held = dict(zip(asked.words, asked.words[1:], strict=False))
    if "-t" not in held or "-p" not in held:
        return ""
    days, _, clock = (
        _run("sinfo", "-h", "-o", "%l", "-p", held["-p"]).stdout.strip().rpartition("-")
    )
    if not clock.replace(":", "").isdecimal():  # infinite
        return ""
    hours, minutes, _ = ([0, 0] + [int(part) for part in clock.split(":")])[-3:]
    granted = int(days or 0) * 1440 + hours * 60 + minutes
    told = f"partition {held['-p']} grants {granted} minutes, the job would wait for ever"
    return told if int(held["-t"]) > granted else ""


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    """Run one of SLURM's commands.

    Raises:
        NoCluster: it is not installed or does not answer in 60 s.
    """
    try:
        return subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60
        )
    except FileNotFoundError:
        raise NoCluster(f"{words[0]} is not installed on this machine") from None
    except subprocess.TimeoutExpired:
        raise NoCluster(f"{words[0]} did not answer in 60 s") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
