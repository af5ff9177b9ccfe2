"""The oracle.

In: the pool, the cycle's regions and the labels of the cycle before.
Out: labels/ (only images whose label changed), labels.csv (where every image's label is).
"""


rule reveal_labels:
    input:
        pool=POOL,
        regions=f"{CYCLE}/regions.csv",
        before=previous("labels.csv"),
    output:
        folder=directory(f"{CYCLE}/labels"),
        labels=f"{CYCLE}/labels.csv",
    log:
        f"{CYCLE}/reveal.log".replace("results/", "logs/", 1),
    benchmark:
        f"{CYCLE}/reveal.tsv".replace("results/", "benchmarks/", 1)
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
        folder=directory("results/{run}/references/seed-{seed}/labels"),
        labels="results/{run}/references/seed-{seed}/labels.csv",
    log:
        "logs/{run}/references/seed-{seed}/reveal.log",
    conda:
        ENVIRONMENT
    resources:
        runtime=minutes("reveal_all"),
    params:
        **ANNOTATED,
        layout=LAYOUT,
    script:
        "../scripts/reveal_labels.py"
