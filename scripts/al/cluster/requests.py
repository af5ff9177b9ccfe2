"""What a run asks SLURM for: Snakemake plans the run, its executor words the submissions."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry


@dataclass(frozen=True)
class Asked:
    """One distinct request.

    Attributes:
        names: submissions that make it: a rule, or the group of a cycle's jobs.
        attempt: 1 at first, ``retries`` + 1 at last.
        accounts: that it names, of which the executor takes the first; none for the user's own.
        words: of ``sbatch``, without what differs between two submissions.
    """

    names: tuple[str, ...]
    attempt: int
    accounts: tuple[str, ...]
    words: tuple[str, ...]

    def __str__(self) -> str:
        more = f" and {len(self.names) - 1} like it" if len(self.names) > 1 else ""
        return f"{self.names[0]}{more}, attempt {self.attempt}: {shlex.join(self.words)}"


@contextmanager
def _planned(options: Any, snakefile: Path) -> Iterator[Any]:
    """Yield Snakemake's workflow with all jobs of a run planned, finished ones included."""
    from snakemake.api import SnakemakeApi
    from snakemake.cli import parse_config
    from snakemake.settings.enums import Quietness
    from snakemake.settings.types import (
        ConfigSettings,
        DAGSettings,
        OutputSettings,
        ResourceSettings,
    )

    with SnakemakeApi(OutputSettings(quiet={Quietness.ALL})) as api:
        made = api.workflow(
            resource_settings=ResourceSettings(
                nodes=options.jobs,
                max_threads=options.max_threads,
                resources=options.resources,
                overwrite_threads=options.set_threads,
                overwrite_resource_scopes=options.set_resource_scopes,
                overwrite_resources=options.set_resources,
                default_resources=options.default_resources,
            ),
            config_settings=ConfigSettings(
                config=parse_config(options.config), configfiles=options.configfile or []
            ),
            snakefile=snakefile,
            workdir=Path(options.directory) if options.directory else None,
        )
        dag = made.dag(DAGSettings(targets=options.targets, forceall=True))
        dag.execute_workflow(executor="slurm", pseudo_executor="dryrun")
        workflow = made._workflow  # the only way to what was planned
        workflow._executor_plugin = ExecutorPluginRegistry().get_plugin("slurm")
        yield workflow


def requests(options: Any, snakefile: Path) -> list[Asked]:
    """Return what a run would ask for, at the first attempt and at the last.

    Args:
        options: Snakemake's, from its own parser, with the profile.
        snakefile: the workflow.

    Raises:
        WorkflowError: the configuration or the profile cannot be used, or the jobs of a submission
            disagree about a resource.
    """
    settings = ExecutorPluginRegistry().get_plugin("slurm").get_settings(options)
    found: dict[tuple[int, tuple[str, ...], tuple[str, ...]], list[str]] = {}
    with _planned(options, snakefile) as workflow:
        jobs = [job for job in workflow.dag.get_jobs_or_groups() if not job.is_local]
        for attempt in sorted({1, int(options.retries) + 1}):
            for job in jobs:
                job.attempt = attempt
                named = str(job.resources.get("slurm_account") or "")
                accounts = tuple(filter(None, re.split(r"[,\s]+", named)))  # as the executor does
                key = (attempt, accounts, _words(job, settings, *accounts[:1]))
                name = job.groupid if job.is_group() else job.rule.name
                found.setdefault(key, []).append(name)
    return [Asked(tuple(names), *key) for key, names in found.items()]


def _words(job: Any, settings: Any, account: str = "") -> tuple[str, ...]:
    from snakemake_executor_plugin_slurm.submit_string import get_submit_command
    from snakemake_executor_plugin_slurm.utils import set_gres_string

    partition = job.resources.get("slurm_partition")
    params = {
        "run_uuid": "check",
        "slurm_logfile": "/dev/null",
        "comment_str": "check",
        "account": f"-A {shlex.quote(account)}" if account else "",
        "partition": f"-p {shlex.quote(str(partition))}" if partition else "",
        "workdir": "",
    }
    call = get_submit_command(job, params, settings=settings) + set_gres_string(job)
    words = shlex.split(call)
    return tuple(words[words.index("--comment") + 2 :])
