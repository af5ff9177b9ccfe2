"""The pool of images.

In: the dataset's folder (generated first where it is a generated one).
Out: results/{run}/pool.csv, pools/seed-{seed}.csv (splits filled in), truth.json (class counts,
for costs alone).
"""


rule generate_data:
    output:
        touch("data/{dataset}/.complete"),
    log:
        "logs/data/{dataset}.log",
    wildcard_constraints:
        dataset=S["generate"]["name"] if S["generate"] else "(?!)",
    group:
        "prepare"
    conda:
        ENVIRONMENT
    resources:
        runtime=minutes("generate_data"),
    params:
        name=lambda w: w.dataset,
        root=lambda w, output: str(Path(output[0]).parent),
        seed=lambda w: S["generate"]["seed"],
    script:
        "../scripts/generate_data.py"


rule index_pool:
    input:
        f"data/{S['generate']['name']}/.complete" if S["generate"] else [],
    output:
        pool="results/{run}/pool.csv",
    log:
        "logs/{run}/index_pool.log",
    group:
        "prepare"
    conda:
        ENVIRONMENT
    resources:
        runtime=minutes("index_pool"),
    params:
        root=lambda w: S["data_root"],
        layout=LAYOUT,
    script:
        "../scripts/index_pool.py"


rule split_pool:
    input:
        pool="results/{run}/pool.csv",
    output:
        pool=POOL,
    log:
        "logs/{run}/pools/seed-{seed}.log",
    group:
        "prepare"
    conda:
        ENVIRONMENT
    resources:
        runtime=minutes("split_pool"),
    params:
        split=S["split"],
    script:
        "../scripts/split_pool.py"


rule count_truth:
    input:
        pool="results/{run}/pool.csv",
    output:
        truth="results/{run}/truth.json",
    log:
        "logs/{run}/count_truth.log",
    group:
        "prepare"
    conda:
        ENVIRONMENT
    resources:
        runtime=minutes("count_truth"),
    params:
        layout=LAYOUT,
    script:
        "../scripts/count_truth.py"
