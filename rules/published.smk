"""Graphs as the authors of HACT-Net publish them, made by their own library: hact.graphs=histocartography.

In: the RoIs of the dataset.
Out: data/histocartography/{dataset}-{digits}/: rois/{part}.csv, graphs of DGL, and shards/ that prepare.smk takes.
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
            expand(f"{PUBLISHED}/rois/{{part}}.csv", part=DGL_PARTS),
        log:
            f"logs/{PUBLISHED}/list_rois.log",
        conda:
            ENVIRONMENT
        resources:
            runtime=minutes("list_rois"),
        params:
            layout=LAYOUT,
            root=S["data_root"],
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
