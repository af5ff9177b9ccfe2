"""Selection.

In: the pool; from the second cycle on images.csv, predictions and history of the cycle before.
Out: regions.csv (what the cycle adds), history.csv (all so far), scores.csv (of the images).
"""


rule select_initial:
    input:
        pool=POOL,
    output:
        regions=f"{CYCLE}/regions.csv",
        history=f"{CYCLE}/history.csv",
    log:
        f"{CYCLE}/select.log".replace("results/", "logs/", 1),
    wildcard_constraints:
        strategy="initial",
        cycle="001",
    conda:
        ENVIRONMENT
    params:
        layout=LAYOUT,
        task=S["task"],
        region=S["region"],
        centres=S["random_centres"],
    script:
        "../scripts/select_initial.py"


rule select_regions:
    input:
        pool=POOL,
        history=previous("history.csv"),
        images=previous("images.csv"),
        predictions=lambda w: predictions_of(previous_folder(w)),
    output:
        regions=f"{CYCLE}/regions.csv",
        history=f"{CYCLE}/history.csv",
        scores=f"{CYCLE}/scores.csv",
    log:
        f"{CYCLE}/select.log".replace("results/", "logs/", 1),
    benchmark:
        f"{CYCLE}/select.tsv".replace("results/", "benchmarks/", 1)
    wildcard_constraints:
        strategy="(?!initial/)[a-z][a-z0-9_]*",
        cycle="(?!001)[0-9]{3}",
    conda:
        ENVIRONMENT
    params:
        definition=lambda w: S["definitions"][w.strategy],
        layout=LAYOUT,
        task=S["task"],
        region=S["region"],
        centres=S["random_centres"],
    script:
        "../scripts/select_regions.py"
