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
    params:
        name=lambda w: w.dataset,
        root=lambda w: f"data/{w.dataset}",
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
    params:
        root=S["data_root"],
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
    params:
        layout=LAYOUT,
    script:
        "../scripts/count_truth.py"
