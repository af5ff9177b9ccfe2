"""The pool of images.

In: the dataset's folder (generated first where it is a generated one).
Out: results/{run}/pool.csv, pools/seed-{seed}.csv (splits filled in), truth.json (counts of
classes and void, for costs and for what is offered).
"""

from al.generators import sizes_in

# Only where the configuration gives some: what was generated before keeps its parameters.
SIZES = {"sizes": sizes_in(S["generate"])} if sizes_in(S["generate"] or {}) else {}


rule generate_data:
    output:
        stamp=touch("data/{folder}/.complete"),
    log:
        "logs/data/{folder}.log",
    wildcard_constraints:
        folder=Path(S["data_root"]).name if S["generate"] else "(?!)",
    group:
        "prepare"
    conda:
        ENVIRONMENT
    resources:
        runtime=minutes("generate_data"),
    params:
        **SIZES,
        name=lambda w: S["generate"]["name"],
        root=lambda w, output: str(Path(output[0]).parent),
        seed=lambda w: S["generate"]["seed"],
    script:
        "../scripts/generate_data.py"


rule index_pool:
    input:
        f"{S['data_root']}/.complete" if S["generate"] else [],
    output:
        pool="results/{run}/pool.csv",
    log:
        log_of("results/{run}/index_pool"),
    group:
        "prepare"
    conda:
        ENVIRONMENT
    resources:
        runtime=minutes("index_pool"),
    params:
        **({"group": S["group"]} if S["group"] else {}),
        layout=LAYOUT,
    script:
        "../scripts/index_pool.py"


rule split_pool:
    input:
        unsplit="results/{run}/pool.csv",
    output:
        pool=POOL,
    log:
        log_of("results/{run}/pools/seed-{seed}"),
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
        log_of("results/{run}/count_truth"),
    group:
        "prepare"
    conda:
        ENVIRONMENT
    resources:
        runtime=minutes("count_truth"),
    params:
        **ANNOTATED,
        layout=LAYOUT,
    script:
        "../scripts/count_truth.py"
