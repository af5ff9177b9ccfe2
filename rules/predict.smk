"""Prediction of the training pool, in shards.

In: the pool, the model and the history of a cycle.
Out: predictions/{shard}-of-{shards}.zip (deleted when the next cycle has been selected; kept for
`initial`, so that a strategy added later finds them), images.csv.
"""


rule predict:
    input:
        pool=POOL,
        history=f"{CYCLE}/history.csv",
        model=f"{CYCLE}/model",
    output:
        predictions=temp(f"{CYCLE}/predictions/{{shard}}-of-{S['shards']}.zip"),
    log:
        log_of(f"{CYCLE}/predict-{{shard}}"),
    benchmark:
        benchmark_of(f"{CYCLE}/predict-{{shard}}")
    wildcard_constraints:
        strategy="(?!initial/)[a-z][a-z0-9_]*",
    priority: SOON
    group:
        submission("predict")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=1,
        runtime=minutes("predict"),
    params:
        **ANNOTATED,
        learner=S["learner"],
        layout=LAYOUT,
        settings=SCIENCE["settings"],
        needs=lambda w: sorted(read_of(w.strategy) & {"labels", "uncertainty"}),
        thresholds=S["thresholds"],
        uncertainty=S["uncertainty"],
        shards=S["shards"],
    script:
        "../scripts/predict.py"


use rule predict as predict_initial with:
    output:
        predictions=f"{CYCLE}/predictions/{{shard}}-of-{S['shards']}.zip",
    wildcard_constraints:
        strategy=INITIAL,
    group:
        submission("predict_initial")
    resources:
        gpu=1,
        runtime=minutes("predict_initial"),
    params:
        **ANNOTATED,
        learner=S["learner"],
        layout=LAYOUT,
        settings=SCIENCE["settings"],
        needs=["labels", "uncertainty"],
        thresholds=S["thresholds"],
        uncertainty=S["uncertainty"],
        shards=S["shards"],


rule score_images:
    input:
        predictions=predictions_of(CYCLE),
    output:
        images=f"{CYCLE}/images.csv",
    log:
        log_of(f"{CYCLE}/score_images"),
    benchmark:
        benchmark_of(f"{CYCLE}/score_images")
    priority: SOON
    group:
        submission("score_images")
    conda:
        ENVIRONMENT
    resources:
        runtime=minutes("score_images"),
    params:
        classes=S["classes"],
        thresholds=S["thresholds"],
    script:
        "../scripts/score_images.py"
