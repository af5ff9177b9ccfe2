"""Configuration, wildcards and paths that all rules share.

In: config/config.yaml, config/datasets/{dataset}.yaml, config/strategies.yaml, the command line.
Out: results/{run}/config.yaml, the resolved configuration of the run.
"""

import os
import sys
from functools import partial

from al import paths
from al.cluster.guard import lock_advice
from al.cluster.submissions import job_minutes, submission_of
from al.annotators.human import people_of
from al.config.checks import check_words, layout_of
from al.config.prepared import preparation
from al.config.settings import learner_science, load_settings, read_yaml
from al.config.start import note_cycles
from al.io.errors import DataError
from al.learners import describe_learner
from al.learners.steps import most_steps
from al.paths import CYCLE, INITIAL, LATER, POOL, REFERENCE, REVEALED, benchmark_of, log_of
from al.report.catalogue import LATEX, MARKDOWN, figures_of, pictures_of, tables_of
from al.report.look import COUNTED, PICTURED, look_of
from al.strategies import STARTS, needs_of
from al.strategies.budget import validation_images

try:
    check_words(config, sys.argv)
    S = load_settings(config, Path(workflow.basedir), Path("results"))
    # What people are asked for follows from what they have done: a job sees no more than its input.
    PEOPLE = people_of(Path("results", S["run"]), S, workflow.is_main_process)
    if PEOPLE and workflow.is_main_process:
        note_cycles(S, Path("results", S["run"]), sys.argv)
except (ConfigError, DataError) as error:
    raise WorkflowError(str(error)) from None

if told := lock_advice(Path.cwd(), sys.argv):
    logger.warning(told)

RUN = paths.RUN.format(run=S["run"])
PLACES = [Path(kind, S["run"]) for kind in paths.KINDS]
PLACES.append(Path(".snakemake"))
LAYOUT = layout_of(S)
if PEOPLE and PEOPLE.left:  # Snakemake calls nothing where nothing is to be done
    print(*PEOPLE.told(), sep="\n", file=sys.stderr)
SOON = 1 if PEOPLE else 0  # of what they wait for: scores and reports can be made later
CYCLES = PEOPLE.trained if PEOPLE else S["cycles"]
SCIENCE = {
    "task": S["task"],
    "background": S["background"],
    "footprint": S["footprint"],
    "groups": S["groups"],
    "settings": learner_science(S),
}
# Used with --sdm conda only.
ENVIRONMENT = f"../envs/{S['learner']}.yaml"
SECTION = describe_learner(S["learner"]).of(SCIENCE["settings"], S["task"])
VALIDATION, _ = SECTION.early_stopping()
# Keys of their own where validation images are annotated too: elsewhere parameters stay as they are.
ANNOTATED = {"annotated": ["train", "val"]} if S["validation_images"] else {}
STEPS = {"full": S["full_steps"], "full_same_steps": most_steps(S["steps"])}
LOOK = look_of(
    {**S, "cycles": max(1, CYCLES)},
    list(read_yaml(Path(workflow.basedir, "config/strategies.yaml"))),
)
FIGURES, PICTURES, TABLES = figures_of(LOOK), pictures_of(LOOK), tables_of(LOOK)
# What the learner makes once per dataset, for all runs; nothing of learners that do not.
PREPARATION = preparation(S)
PREPARED = PREPARATION and PREPARATION.folder
# Finished trainings stay, whenever it was made; where it is gone, see al/cluster/retrain.py.
PLANS = ancient(f"{PREPARED}/plans.json") if PREPARED else []
PLACES += [Path(PREPARED)] if PREPARED else []


wildcard_constraints:
    **paths.CONSTRAINTS,


def place_of(budget, strategy, seed, cycle):
    """Return the folder of a strategy's cycle in this run."""
    return f"{RUN}/{paths.Place.of(budget, strategy, seed, cycle).path}"


def previous_folder(w):
    """Return the folder of the cycle before."""
    return place_of(w.budget, w.strategy, w.seed, int(w.cycle) - 1)


def previous(file):
    """Return an input function: a file of the cycle before; nothing in cycle 001."""
    return lambda w: [] if int(w.cycle) == 1 else f"{previous_folder(w)}/{file}"


def predictions_of(folder):
    """Return the shard files of a cycle's predictions."""
    shards = S["shards"]
    return [f"{folder}/predictions/{k}-of-{shards}.zip" for k in range(1, shards + 1)]


def reads_predictions(strategy):
    """Whether a strategy selects from what `predict` writes."""
    return bool(needs_of(S["definitions"][strategy]) & {"statistics", "labels", "uncertainty"})


def read_of(strategy):
    """Return what a selection reads; people are shown what the model makes of the regions."""
    return needs_of(S["definitions"][strategy]) | ({"labels"} if PEOPLE else set())


def submission(rule):
    """Return a group function: the jobs that go to a cluster together."""
    return lambda wildcards: submission_of(S, rule, wildcards)


def minutes(rule):
    """Return a resource function: the run time to ask for, more at each retry."""
    return lambda wildcards, attempt: job_minutes(S, rule, attempt)


def start_run():
    """Refuse what must not start before the first job, then write the run's configuration."""
    from al.cluster.launches import LAUNCH_VARIABLE
    from al.cluster.progress import run_here
    from al.config.start import StartRefused, begin_run

    launched = LAUNCH_VARIABLE in os.environ  # before a plain Snakemake sets its own
    try:
        begin_run(workflow, S, LAYOUT, PLACES, logger.warning)
    except StartRefused as refusal:
        raise WorkflowError(str(refusal)) from None
    if workflow.executor_plugin.name == "local" and not workflow.touch:
        run_here(workflow, S["learner"], launched)


def tell_storage():
    """Say after a failure what is wrong with the disk: Snakemake's own errors do not."""
    from al.io.storage import StorageError, check_storage

    try:
        for warning in check_storage(PLACES):
            logger.warning(warning)
    except StorageError as error:
        logger.error(str(error))


def tell_people():
    """Say at the end who waits for whom, unless that was so at the start."""
    from al.cluster.progress import say

    now = people_of(Path(RUN), S, True) if PEOPLE else None
    if PEOPLE and now.told() not in ([], PEOPLE.told()):
        say("\n".join(now.told()))


def tell_warnings():
    """Say at the end what is to be known before the numbers are believed, as the report does."""
    from al.report.answer import warnings
    from al.report.gather import view_from_tables

    tables = [Path(RUN, name) for name in ("curves.csv", "confidence.csv")]
    if all(table.is_file() for table in tables):  # other targets make none
        for line in warnings(view_from_tables(*tables, LOOK), LOOK, Path(RUN)):
            logger.warning(line)


def tell_report():
    """Say last where the results are to be looked at."""
    from al.cluster.progress import say

    page = Path(RUN, "report/report.html").absolute()
    if page.is_file():
        say(f"report: {page}")


def clean_work():
    """Drop the checkpoints of finished trainings; a killed one will resume from its own.

    What killed jobs had begun to write goes as well.
    """
    from al.io.files import sweep
    from al.cluster.kept import forget_finished

    sweep(RUN)
    forget_finished(Path("work", S["run"]))


def validation_of(wildcards):
    """Return how many validation images a cycle of a budget opens."""
    return validation_images(S["validation_images"], int(wildcards.budget.split("x")[0]))


def warm_start(wildcards):
    """Return the model a training starts from: the cycle before, if the learner wants it."""
    if SCIENCE["settings"].get("start") != "previous":
        return []
    return previous("model")(wildcards)


def revealed_regions(wildcards):
    """Return where the revealed regions lie, if some are held out or the steps follow them."""
    grows = isinstance(S["steps"], dict)
    return f"{CYCLE}/history.csv" if grows or VALIDATION == "clean" else []


def about(strategy):
    """Return a params function that says which result this is."""

    def describe(wildcards):
        return {
            "dataset": S["dataset"],
            "run": wildcards.run,
            "budget": wildcards.get("budget", ""),
            "strategy": wildcards[strategy],
            "seed": int(wildcards.seed),
            "cycle": int(wildcards.get("cycle", 0)),
        }

    return describe


def metrics_files():
    """Return the metrics of all strategies, seeds, budgets and cycles, and of the references."""
    places = {
        paths.Place.of(b, s, k, c)
        for b in S["budget"]
        for s in S["strategies"]
        for k in S["seeds"]
        for c in range(1, CYCLES + 1)
    }
    places |= {paths.Place.of_reference(r, k) for r in S["references"] for k in S["seeds"]}
    return sorted(f"{RUN}/{place.path}/metrics.json" for place in places)


def targets():
    """Return what a run ends with; where people annotate, as far as it goes without them."""
    if PEOPLE is None:
        return report_files()
    place = partial(place_of, S["budget"][0], S["strategies"][0], S["seeds"][0])
    asked = [f"{place(PEOPLE.asked)}/{paths.CHOSEN}"] if PEOPLE.asked else []
    if not PEOPLE.trained:
        return asked
    if not PEOPLE.tested:  # there is nothing to score
        return [*asked, f"{place(PEOPLE.trained)}/training.json"]
    return [*asked, *report_files()]


def report_files():
    """Return what a report ends with."""
    names = [f"{stem}.{end}" for _, stem, _ in FIGURES + PICTURES for end in ("png", "pdf", "svg")]
    names += [f"{name}.csv" for name, _ in TABLES]
    return [f"{RUN}/curves.csv", *(f"{RUN}/report/{name}" for name in ["report.html", *names])]


def last_histories(wildcards):
    """Return what each strategy annotated with the first seed, for the pictures."""
    return [
        f"{place_of(b, s, S['seeds'][0], CYCLES)}/history.csv"
        for b in S["budget"]
        for s in S["strategies"]
    ]


def example_files(wildcards):
    """Return what the first and last models of the first seed made of some test images."""
    places = {
        paths.Place.of(b, s, S["seeds"][0], c)
        for b in S["budget"]
        for s in S["strategies"]
        for c in (1, CYCLES)
    }
    places |= {paths.Place.of_reference(r, S["seeds"][0]) for r in S["references"]}
    return sorted(f"{RUN}/{place.path}/{paths.EXAMPLES}" for place in places)


def captioned(entry, stem, budget):
    """Return a figure's file with what `snakemake --report` says of it.

    Its own page of run times has the name Statistics, and two of a name are a warning each.
    """
    return report(
        f"results/{{run}}/report/{stem}.png",
        caption=f"captions/{entry.name}.rst",
        category={"Statistics": "Comparisons"}.get(entry.category, entry.category),
        labels={"figure": entry.title, "budget": budget or "all"},
    )


def tabled(name, title):
    """Return a table's file with what `snakemake --report` says of it."""
    return report(
        f"results/{{run}}/report/{name}.csv",
        caption=f"captions/{name}.rst",
        category="Tables",
        labels={"table": title},
    )


def stems(figures, ending):
    """Return the files of figures with another ending."""
    return [f"results/{{run}}/report/{stem}.{ending}" for _, stem, _ in figures]
