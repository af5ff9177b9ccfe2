"""Training.

In: the pool and labels.csv of the cycle (of the reference); what the learner has prepared.
Out: model/, training.json. Checkpoints to resume from lie at the same path under work/.
"""


rule train:
    input:
        pool=POOL,
        labels=f"{CYCLE}/labels.csv",
        folder=f"{CYCLE}/labels",
        previous=warm_start,
        history=revealed_regions,
        prepared=PLANS,
        # One training at a time in a submission, also where no selection waits for a model.
        before=previous("training.json"),
    output:
        model=directory(f"{CYCLE}/model"),
        stats=f"{CYCLE}/training.json",
    log:
        log_of(f"{CYCLE}/train"),
    benchmark:
        benchmark_of(f"{CYCLE}/train")
    group:
        submission("train")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=1,
        runtime=minutes("train"),
    params:
        **ANNOTATED,
        learner=S["learner"],
        layout=LAYOUT,
        task=S["task"],
        settings=SCIENCE["settings"],
        steps=S["steps"],
    script:
        "../scripts/train.py"


use rule train as train_reference with:
    input:
        pool=POOL,
        labels=f"{REVEALED}/labels.csv",
        folder=f"{REVEALED}/labels",
        prepared=PLANS,
    output:
        model=directory(f"{REFERENCE}/model"),
        stats=f"{REFERENCE}/training.json",
    log:
        log_of(f"{REFERENCE}/train"),
    benchmark:
        benchmark_of(f"{REFERENCE}/train")
    group:
        submission("train_reference")
    resources:
        gpu=1,
        runtime=minutes("train_reference"),
    params:
        **ANNOTATED,
        learner=S["learner"],
        layout=LAYOUT,
        task=S["task"],
        settings=SCIENCE["settings"],
        steps=lambda w: STEPS[w.reference],
