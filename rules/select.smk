"""Selection, and the oracle that reveals what was selected.

In: the pool; from the second cycle on the history of the cycle before and, of its images.csv,
predictions and model, what the strategy declared a need of; truth.json where regions without ground
truth are not offered.
Out: regions.csv (what the cycle adds), history.csv (all so far), scores.csv (of the images); where
people annotate, chosen.csv (what they are asked for), spares.csv (in place of what they skip) and
proposals.npz before these, which follow from the annotations;
candidates.csv and patches/ of the strategies that need a second look at the images; labels/ (only
images whose label changed), labels.csv (where every image's label is).
"""

from al.annotators.assignment import ABOUT

if PEOPLE:
    SELECTED = {"regions": f"{CYCLE}/{paths.CHOSEN}", "spares": f"{CYCLE}/{paths.SPARES}"}
    PROPOSED = {"proposals": f"{CYCLE}/{paths.PROPOSALS}"}
else:
    SELECTED = {"regions": f"{CYCLE}/regions.csv", "history": f"{CYCLE}/history.csv"}
    PROPOSED = {}


rule select_initial:
    input:
        pool=POOL,
        truth=OFFERED,
    output:
        **SELECTED,
    log:
        log_of(f"{CYCLE}/select"),
    benchmark:
        benchmark_of(f"{CYCLE}/select")
    wildcard_constraints:
        strategy=INITIAL,
        cycle="001",
    group:
        submission("select_initial")
    conda:
        ENVIRONMENT
    resources:
        runtime=minutes("select_initial"),
    params:
        science=selection,
    script:
        "../scripts/select_regions.py"


rule propose_regions:
    input:
        pool=POOL,
        earlier=previous("history.csv"),
        images=needed("images.csv", "statistics"),
        predictions=needed(predictions_of, "labels", "uncertainty"),
        truth=OFFERED,
    output:
        candidates=f"{CYCLE}/candidates.csv",
    log:
        log_of(f"{CYCLE}/propose"),
    benchmark:
        benchmark_of(f"{CYCLE}/propose")
    wildcard_constraints:
        **LATER,
    priority: SOON
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
        log_of(f"{CYCLE}/embed"),
    benchmark:
        benchmark_of(f"{CYCLE}/embed")
    wildcard_constraints:
        **LATER,
    priority: SOON
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
        earlier=previous("history.csv"),
        model=previous("model"),
        truth=OFFERED,
    output:
        patches=f"{CYCLE}/patches/{{shard}}-of-{S['shards']}.csv",
    log:
        log_of(f"{CYCLE}/patches-{{shard}}"),
    benchmark:
        benchmark_of(f"{CYCLE}/patches-{{shard}}")
    wildcard_constraints:
        **LATER,
    priority: SOON
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
        layout=LAYOUT,
        settings=SCIENCE["settings"],
        shards=S["shards"],
        science=selection,
    script:
        "../scripts/propose_patches.py"


rule select_regions:
    input:
        pool=POOL,
        earlier=previous("history.csv"),
        images=needed("images.csv", "statistics"),
        predictions=needed(predictions_of, "labels", "uncertainty"),
        candidates=needed("candidates.csv", "features", here=True),
        features=needed("features.npz", "features", here=True),
        patches=needed(patches_of, "patches", here=True),
        truth=OFFERED,
    output:
        **SELECTED,
        **PROPOSED,
        scores=f"{CYCLE}/scores.csv",
    log:
        log_of(f"{CYCLE}/select"),
    benchmark:
        benchmark_of(f"{CYCLE}/select")
    wildcard_constraints:
        **LATER,
    priority: SOON
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


if PEOPLE:

    rule reveal_labels:
        input:
            pool=POOL,
            chosen=f"{CYCLE}/{paths.CHOSEN}",
            spares=f"{CYCLE}/{paths.SPARES}",
            earlier=previous("history.csv"),
            before=previous("labels.csv"),
        output:
            folder=directory(f"{CYCLE}/labels"),
            labels=f"{CYCLE}/labels.csv",
            regions=f"{CYCLE}/regions.csv",
            history=f"{CYCLE}/history.csv",
        log:
            log_of(f"{CYCLE}/reveal"),
        group:
            submission("reveal_labels")
        conda:
            ENVIRONMENT
        resources:
            runtime=minutes("reveal_labels"),
        params:
            layout=LAYOUT,
            about={key: S[key] for key in ABOUT},
        script:
            "../scripts/take_annotations.py"

else:

    rule reveal_labels:
        input:
            pool=POOL,
            regions=f"{CYCLE}/regions.csv",
            before=previous("labels.csv"),
        output:
            folder=directory(f"{CYCLE}/labels"),
            labels=f"{CYCLE}/labels.csv",
        log:
            log_of(f"{CYCLE}/reveal"),
        benchmark:
            benchmark_of(f"{CYCLE}/reveal")
        group:
            submission("reveal_labels")
        conda:
            ENVIRONMENT
        resources:
            runtime=minutes("reveal_labels"),
        params:
            layout=LAYOUT,
            footprint=S["footprint"],
        script:
            "../scripts/reveal_labels.py"


rule reveal_all:
    input:
        pool=POOL,
    output:
        folder=directory(f"{REVEALED}/labels"),
        labels=f"{REVEALED}/labels.csv",
    log:
        log_of(f"{REVEALED}/reveal"),
    conda:
        ENVIRONMENT
    resources:
        runtime=minutes("reveal_all"),
    params:
        **ANNOTATED,
        layout=LAYOUT,
    script:
        "../scripts/reveal_labels.py"
