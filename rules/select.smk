"""Selection.

In: the pool; from the second cycle on the history of the cycle before and, of its images.csv,
predictions and model, what the strategy declared a need of.
Out: regions.csv (what the cycle adds), history.csv (all so far), scores.csv (of the images);
candidates.csv and patches/ of the strategies that need a second look at the images.
"""


rule select_initial:
    input:
        pool=POOL,
    output:
        regions=f"{CYCLE}/regions.csv",
        history=f"{CYCLE}/history.csv",
    log:
        f"{CYCLE}/select.log".replace("results/", "logs/", 1),
    benchmark:
        f"{CYCLE}/select.tsv".replace("results/", "benchmarks/", 1)
    wildcard_constraints:
        strategy="initial",
        cycle="001",
    group:
        submission("select_initial")
    conda:
        ENVIRONMENT
    resources:
        runtime=minutes("select_initial"),
    params:
        **({"validation_images": validation_of} if ANNOTATED else {}),
        initial=S["initial"],
        layout=LAYOUT,
        task=S["task"],
        region=S["region"],
        patch=S["patch"],
        footprint=S["footprint"],
        background=S["background"],
        centres=S["random_centres"],
    script:
        "../scripts/select_initial.py"


rule propose_regions:
    input:
        pool=POOL,
        history=previous("history.csv"),
        images=needed("images.csv", "statistics"),
        predictions=needed(predictions_of, "labels", "uncertainty"),
    output:
        candidates=f"{CYCLE}/candidates.csv",
    log:
        f"{CYCLE}/propose.log".replace("results/", "logs/", 1),
    benchmark:
        f"{CYCLE}/propose.tsv".replace("results/", "benchmarks/", 1)
    wildcard_constraints:
        **LATER,
    group:
        submission("propose_regions")
    conda:
        ENVIRONMENT
    resources:
        runtime=minutes("propose_regions"),
    params:
        science=selection,
    script:
        "../scripts/propose_regions.py"


rule embed_regions:
    input:
        pool=POOL,
        history=previous("history.csv"),
        model=previous("model"),
        candidates=f"{CYCLE}/candidates.csv",
    output:
        features=temp(f"{CYCLE}/features.npz"),
    log:
        f"{CYCLE}/embed.log".replace("results/", "logs/", 1),
    benchmark:
        f"{CYCLE}/embed.tsv".replace("results/", "benchmarks/", 1)
    wildcard_constraints:
        **LATER,
    group:
        submission("embed_regions")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=1,
        runtime=minutes("embed_regions"),
    params:
        learner=S["learner"],
        layout=LAYOUT,
        settings=SCIENCE["settings"],
        definition=lambda w: S["definitions"][w.strategy],
    script:
        "../scripts/embed_regions.py"


rule propose_patches:
    input:
        pool=POOL,
        history=previous("history.csv"),
        model=previous("model"),
    output:
        patches=f"{CYCLE}/patches/{{shard}}-of-{S['shards']}.csv",
    log:
        f"{CYCLE}/patches-{{shard}}.log".replace("results/", "logs/", 1),
    benchmark:
        f"{CYCLE}/patches-{{shard}}.tsv".replace("results/", "benchmarks/", 1)
    wildcard_constraints:
        **LATER,
    group:
        submission("propose_patches")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=1,
        runtime=minutes("propose_patches"),
    params:
        learner=S["learner"],
        settings=SCIENCE["settings"],
        shards=S["shards"],
        science=selection,
    script:
        "../scripts/propose_patches.py"


rule select_regions:
    input:
        pool=POOL,
        history=previous("history.csv"),
        images=needed("images.csv", "statistics"),
        predictions=needed(predictions_of, "labels", "uncertainty"),
        candidates=needed("candidates.csv", "features", here=True),
        features=needed("features.npz", "features", here=True),
        patches=needed(patches_of, "patches", here=True),
    output:
        regions=f"{CYCLE}/regions.csv",
        history=f"{CYCLE}/history.csv",
        scores=f"{CYCLE}/scores.csv",
    log:
        f"{CYCLE}/select.log".replace("results/", "logs/", 1),
    benchmark:
        f"{CYCLE}/select.tsv".replace("results/", "benchmarks/", 1)
    wildcard_constraints:
        **LATER,
    group:
        submission("select_regions")
    conda:
        ENVIRONMENT
    resources:
        runtime=minutes("select_regions"),
    params:
        science=selection,
    script:
        "../scripts/select_regions.py"
