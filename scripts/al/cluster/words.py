"""From the words of ``make run ARGS="..."`` to Snakemake's command line, and back."""

from __future__ import annotations

import re
import shlex
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from al.io.errors import ConfigError
from al.paths import CONSTRAINTS

# These flags take KEY=VALUE words of their own; such words are no configuration.
KEYED_FLAGS = frozenset(
    {"--resources", "--res", "--set-threads", "--set-resources", "--default-resources"}
    | {"--default-res", "--set-scatter", "--set-resource-scopes", "--batch", "--groups"}
    | {"--consider-ancient", "--group-components"}
)
JOB_PREFIX_FLAG = "--slurm-jobname-prefix"
# Options under which Snakemake neither locks nor runs jobs: nothing has to be guarded or ended.
READING = (
    *("dryrun", "lint", "list_rules", "list_target_rules", "dag", "rulegraph", "filegraph"),
    *("d3dag", "summary", "detailed_summary", "report"),
)
# Words that mean one start alone: what takes values, such as names of rules, and what takes none
ONCE = (
    *("--forcerun", "-R", "--until", "-U", "--omit-from", "-O", "--prioritize", "-P", "--batch"),
    *("--allowed-rules", "--target-jobs", "--cleanup-metadata", "--cm"),
)
ONCE_BARE = (
    *("--force", "-f", "--forceall", "-F", "--touch", "-t", "--rerun-incomplete", "--ri"),
    *("--ignore-incomplete", "--ii", "--unlock", "--delete-all-output", "--delete-temp-output"),
)
_BARE = re.compile("-[tfFkpa]{2,}")  # letters that take no value, in one word
_SETTING = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)


@dataclass(frozen=True)
class Request:
    """What one call asks of Snakemake.

    Attributes:
        settings: ``key=value`` words for ``--config``.
        words: every other word (targets, flags), in order.
    """

    settings: tuple[str, ...]
    words: tuple[str, ...]

    @cached_property
    def options(self) -> Any:
        """The words and the profile as Snakemake's own parser reads them.

        Raises:
            SystemExit: Snakemake refuses the words, and has said why.
        """
        from snakemake.cli import parse_args  # takes most of a second

        return parse_args(self.command())[1]

    @property
    def reads_only(self) -> bool:
        """Whether Snakemake is asked to show something and to run no job."""
        return any(getattr(self.options, name) for name in READING)

    @property
    def directory(self) -> Path:
        """Snakemake's working directory, absolute."""
        return Path(self.options.directory or ".").resolve()

    @property
    def uses_slurm(self) -> bool:
        """Whether Snakemake would submit jobs to SLURM."""
        return self.options.executor == "slurm"

    def command(self, *flags: str) -> list[str]:
        """Arguments for Snakemake; ``--config`` comes last, as it swallows the words after it."""
        settings = ["--config", *self.settings] if self.settings else []
        return [*self.words, *flags, *settings]

    def with_job_prefix(self, prefix: str) -> Request:
        """Let the names of SLURM jobs begin with ``prefix``, unless the words name another."""
        if any(word.split("=")[0] == JOB_PREFIX_FLAG for word in self.words):
            return self
        return replace(self, words=(*self.words, JOB_PREFIX_FLAG, prefix))


def checked_run(name: str) -> str:
    """Return the name of a run that was typed.

    Raises:
        ConfigError: it is none, such as a path that leads out of the folder of results.
    """
    if not re.fullmatch(CONSTRAINTS["run"], name):
        raise ConfigError(
            f"run {name!r}; allowed: letters, digits, '_', '.' and '-', the first one a letter or "
            "a digit"
        )
    return name


def split_words(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Split a program's arguments at ``--``: its own, and the words behind it."""
    place = arguments.index("--") if "--" in arguments else len(arguments)
    return arguments[:place], arguments[place + 1 :]


def parse_words(words: list[str], profile: str | None = None) -> Request:
    """Split words into settings and the rest, and add the profile unless the words name one.

    Args:
        words: as typed; ``key=value`` without a leading dash is a setting, unless a flag that
            takes such words (``--resources gpu=1``) stands before it.
        profile: folder of the profile to use by default.
    """
    settings: list[str] = []
    rest: list[str] = []
    keyed = False
    for word in words:
        if word in ("--config", "-C"):
            keyed = False
        elif word.startswith("-"):
            keyed = word in KEYED_FLAGS
            rest.append(word)
        elif _SETTING.fullmatch(word) and not keyed:
            settings.append(word)
        else:
            rest.append(word)
    named = any(word.split("=")[0] in ("--profile", "--workflow-profile") for word in rest)
    if profile is not None and not named:
        rest = ["--profile", profile, *rest]
    return Request(tuple(settings), tuple(rest))


def lasting_words(words: Sequence[str]) -> list[str]:
    """Return the words of a start that are meant for the next one too: settings, places, resources.

    Targets go, and what forces or leaves out jobs once.
    """
    from snakemake.cli import get_argument_parser  # takes most of a second

    once = ArgumentParser(add_help=False)
    for flag in ONCE:
        once.add_argument(flag, nargs="*")
    for flag in ONCE_BARE:
        once.add_argument(flag, action="store_true")
    single = [[f"-{c}" for c in w[1:]] if _BARE.fullmatch(w) else [w] for w in words]
    rest = once.parse_known_args(sum(single, []))[1]
    targets = set(get_argument_parser().parse_args(rest).targets)
    return [word for word in rest if word not in targets]


def make_command(words: Sequence[str]) -> str:
    """Return the command of make, for a shell, that starts a run by words of the launcher.

    >>> make_command(["--profile", "profiles/slurm", "--config", "run=mine", "region=[9, 9]"])
    'make run PROFILE=slurm ARGS="run=mine \'region=[9, 9]\'"'
    """
    own = ArgumentParser(add_help=False, allow_abbrev=False)
    own.add_argument("--profile", default="profiles/local")
    own.add_argument(JOB_PREFIX_FLAG)  # the launcher's own
    found, rest = own.parse_known_args(list(words))
    folder, _, profile = found.profile.rpartition("/")
    if folder != "profiles":
        rest, profile = ["--profile", found.profile, *rest], "local"
    request = parse_words(rest)
    text = shlex.join([*request.settings, *request.words]).replace("$", "$$")
    quoted = shlex.quote(text) if set(text) & set('"\\`$!') else f'"{text}"'
    return f"make run{'' if profile == 'local' else f' PROFILE={profile}'} ARGS={quoted}"
