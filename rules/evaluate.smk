"""Evaluation on the test split.

In: the pool, model, training.json, labels.csv and history of a cycle; truth.json for the costs.
Out: metrics.json, and examples.zip with pictures of a few test cases.
"""

# A key of its own where it is set: elsewhere finished evaluations keep the parameters they have.
SCORING = {**SCIENCE, **ANNOTATED}
if S["surface_tolerances"]:
    SCORING["surface_tolerances"] = S["surface_tolerances"]


rule evaluate:
    input:
        pool=POOL,
        model=f"{CYCLE}/model",
        stats=f"{CYCLE}/training.json",
        labels=f"{CYCLE}/labels.csv",
        history=f"{CYCLE}/history.csv",
        truth="results/{run}/truth.json",
    output:
        metrics=f"{CYCLE}/metrics.json",
        examples=f"{CYCLE}/{paths.EXAMPLES}",
    log:
        log_of(f"{CYCLE}/evaluate"),
    benchmark:
        benchmark_of(f"{CYCLE}/evaluate")
    group:
        submission("evaluate")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=1,
        runtime=minutes("evaluate"),
    params:
        learner=S["learner"],
        layout=LAYOUT,
        science=SCORING,
        about=about("strategy"),
    script:
        "../scripts/evaluate.py"


use rule evaluate as evaluate_reference with:
    input:
        pool=POOL,
        model=f"{REFERENCE}/model",
        stats=f"{REFERENCE}/training.json",
        labels=f"{REVEALED}/labels.csv",
        truth="results/{run}/truth.json",
    output:
        metrics=f"{REFERENCE}/metrics.json",
        examples=f"{REFERENCE}/{paths.EXAMPLES}",
    log:
        log_of(f"{REFERENCE}/evaluate"),
    benchmark:
        benchmark_of(f"{REFERENCE}/evaluate")
    group:
        submission("evaluate_reference")
    resources:
        gpu=1,
        runtime=minutes("evaluate_reference"),
    params:
        learner=S["learner"],
        layout=LAYOUT,
        science=SCORING,
        about=about("reference"),
