"""Configuration, wildcards and paths that all rules share.

In: config/config.yaml, config/datasets/{dataset}.yaml, config/strategies.yaml, the command line.
Out: results/{run}/config.yaml, the resolved configuration of the run.
"""

import shutil

from settings import guard_science, load_settings, save_settings
from strategies import needs_of

try:
    S = load_settings(config, Path(workflow.basedir))
    guard_science(S, Path("results", S["run"], "config.yaml"))
except ConfigError as error:
    raise WorkflowError(str(error)) from None

RUN = f"results/{S['run']}"
SEED = "results/{run}/{budget}/{strategy}/seed-{seed}"
CYCLE = f"{SEED}/cycle-{{cycle}}"
REFERENCE = "results/{run}/references/{reference}/seed-{seed}"
POOL = "results/{run}/pools/seed-{seed}.csv"
LAYOUT = {"name": S["layout"], "options": S["layout_options"], "classes": S["classes"]}
SCIENCE = {
    "task": S["task"],
    "background": S["background"],
    "groups": S["groups"],
    "settings": S.get(S["learner"], {}),
}
STEPS = {"full": S["full_steps"], "full_same_steps": S["steps"]}


wildcard_constraints:
    run=r"[A-Za-z0-9][A-Za-z0-9_.-]*",
    budget=r"[1-9]\d*x[1-9]\d*",
    strategy=r"[a-z][a-z0-9_]*",
    reference="full|full_same_steps",
    seed=r"\d+",
    cycle=r"\d{3}",
    shard=r"\d+",


def folder_of(wildcards, cycle):
    """Return the folder of a strategy's cycle; cycle 1 is `initial`, whoever asks."""
    strategy = "initial" if cycle == 1 else wildcards.strategy
    return (
        f"results/{wildcards.run}/{wildcards.budget}/{strategy}"
        f"/seed-{wildcards.seed}/cycle-{cycle:03d}"
    )


def previous(file):
    """Return an input function: a file of the cycle before; nothing in cycle 001."""

    def find(wildcards):
        cycle = int(wildcards.cycle)
        return [] if cycle == 1 else f"{folder_of(wildcards, cycle - 1)}/{file}"

    return find


def predictions_of(folder):
    """Return the shard files of a cycle's predictions."""
    shards = S["shards"]
    return [f"{folder}/predictions/{k}-of-{shards}.zip" for k in range(1, shards + 1)]


def start_run():
    """Refuse unusable data before the first job, then write the run's configuration."""
    from glue.checks import check_data

    file = Path(RUN, "config.yaml")
    try:
        if S["generate"] is None and not Path(RUN, "pool.csv").exists():
            check_data(S["data_root"], LAYOUT)
    except (DataError, ConfigError) as error:
        raise WorkflowError(str(error)) from None
    save_settings(S, file)


def clean_work():
    """Drop the checkpoints of finished trainings."""
    shutil.rmtree(Path("work", S["run"]), ignore_errors=True)
