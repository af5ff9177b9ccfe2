"""What the learner makes once per dataset, such as preprocessed volumes; all runs share it.

In: the dataset's folder (generated first where it is a generated one).
Out: data/prepared/{dataset}-{learner}-{digits}/, plans.json last; the digits follow from the data and
the settings that decide. Where it is made in parts, graphs/{part}-of-{parts}.json vouch for these.
With hact.graphs=histocartography the graphs are those of the authors of HACT-Net, made by their own
library into data/histocartography/{dataset}-{digits}/: rois/{part}.csv, graphs of DGL, and shards/.
Both libraries have environments of their own: start Snakemake with --sdm conda.
"""

from shlex import quote

LEARNER = S[S["learner"]]
PUBLISHED = S["learner"] == "hact" and LEARNER.get("graphs") == "histocartography"
PUBLISHED = LEARNER["published"] if PUBLISHED else ""

if PUBLISHED:
    # In the commands, not a parameter: another checkout makes nothing anew.
    SCRIPTS = quote(f"{workflow.basedir}/scripts").replace("{", "{{").replace("}", "}}")
    DGL_KINDS = {
        "cells": "cell_graphs",
        "tissue": "tissue_graphs",
        "assignments": "assignment_matrices",
    }
    DGL_PARTS = [f"{n:03d}" for n in range(1, SECTION.parts() + 1)]
    # Files of the user that the library is given
    GIVEN = {
        "--nuclei-model": LEARNER.get("nuclei_model"),
        "--stain-target": LEARNER.get("stain_target"),
    }

    rule list_rois:
        input:
            f"{S['data_root']}/.complete" if S["generate"] else [],
        output:
            tables=expand(f"{PUBLISHED}/rois/{{part}}.csv", part=DGL_PARTS),
        log:
            f"logs/{PUBLISHED}/list_rois.log",
        conda:
            ENVIRONMENT
        resources:
            runtime=minutes("list_rois"),
        params:
            layout=LAYOUT,
        script:
            "../scripts/list_rois.py"

    rule histocartography_graphs:
        input:
            f"{PUBLISHED}/rois/{{part}}.csv",
        output:
            touch(f"{PUBLISHED}/made/{{part}}"),
        log:
            f"logs/{PUBLISHED}/{{part}}.log",
        wildcard_constraints:
            part=r"\d{3}",
        conda:
            "../envs/histocartography.yaml"
        resources:
            gpu=1,
            runtime=minutes("histocartography_graphs"),
        params:
            out=f"{PUBLISHED}/dgl",
            given=[word for key, path in GIVEN.items() if path for word in (key, path)],
        shell:
            f"PYTHONPATH={SCRIPTS} python -m al.cli.histocartography_graphs "
            "--images {input:q} --out {params.out:q} {params.given:q} > {log:q} 2>&1"

    rule import_graphs:
        input:
            expand(f"{PUBLISHED}/made/{{part}}", part=DGL_PARTS),
        output:
            touch(f"{PUBLISHED}/imported"),
        log:
            f"logs/{PUBLISHED}/import_graphs.log",
        conda:
            "../envs/hact_import.yaml"
        resources:
            runtime=minutes("import_graphs"),
        params:
            folders=[
                word
                for key, name in DGL_KINDS.items()
                for word in (f"--{key}", f"{PUBLISHED}/dgl/{name}")
            ],
            out=f"{PUBLISHED}/shards",
            shards=len(DGL_PARTS),
        shell:
            f"PYTHONPATH={SCRIPTS}:{SCRIPTS}/.. python -m al.cli.import_graphs "
            "{params.folders:q} --out {params.out:q}"
            " --shards {params.shards} > {log:q} 2>&1"


# The jobs that make graphs on a GPU have a rule of their own: profiles give GPUs by rule.
ON_GPU = PREPARED and SECTION.prepares_on_gpu()
PARTS = PREPARED and SECTION.parts()
PART = f"{PREPARED}/graphs/{{part}}-of-{PARTS:03d}.json" if PARTS else ""
MADE = (
    {
        "learner": S["learner"],
        "layout": PREPARATION.layout,
        "settings": PREPARATION.settings,
    }
    if PREPARED
    else {}
)

if PARTS:

    rule build_graphs:
        input:
            f"{S['data_root']}/.complete" if S["generate"] else [],
            f"{PUBLISHED}/imported" if PUBLISHED else [],
        output:
            graphs=PART,
        log:
            f"logs/{PREPARED}-{{part}}.log",
        benchmark:
            f"benchmarks/{PREPARED}-{{part}}.tsv"
        wildcard_constraints:
            part=r"\d{3}",
        conda:
            ENVIRONMENT
        threads: 4
        resources:
            runtime=minutes("build_graphs"),
        params:
            **MADE,
        script:
            "../scripts/build_graphs.py"

    if ON_GPU:

        use rule build_graphs as build_graphs_on_gpu with:
            output:
                graphs=PART,
            resources:
                gpu=1,
                runtime=minutes("build_graphs_on_gpu"),

        ruleorder: build_graphs_on_gpu > build_graphs


if PREPARED:

    rule prepare_learner:
        input:
            f"{S['data_root']}/.complete" if S["generate"] else [],
            [PART.format(part=f"{n:03d}") for n in range(1, PARTS + 1)] if PARTS else [],
        output:
            plans=f"{PREPARED}/plans.json",
        log:
            f"logs/{PREPARED}.log",
        benchmark:
            f"benchmarks/{PREPARED}.tsv"
        conda:
            ENVIRONMENT
        threads: 4
        resources:
            runtime=minutes("prepare_learner"),
        params:
            **MADE,
        script:
            "../scripts/prepare_learner.py"
