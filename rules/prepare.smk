"""What the learner makes once per dataset, such as preprocessed volumes; all runs share it.

In: the dataset's folder (generated first where it is a generated one).
Out: data/prepared/{dataset}-{learner}-{digits}/, plans.json last; the digits follow from the data and
the settings that decide. Where it is made in parts, graphs/{part}-of-{parts}.json vouch for these.
"""

# The jobs that make graphs on a GPU have a rule of their own: profiles give GPUs by rule.
ON_GPU = PREPARED and SECTION.prepares_on_gpu()
PARTS = PREPARED and SECTION.parts()
PART = f"{PREPARED}/graphs/{{part}}-of-{PARTS:03d}.json" if PARTS else ""
MADE = (
    {
        "learner": S["learner"],
        "layout": PREPARATION.layout,
        "data_root": PREPARATION.data_root,
        "settings": PREPARATION.settings,
    }
    if PREPARED
    else {}
)

if PARTS:

    rule build_graphs:
        input:
            f"{S['data_root']}/.complete" if S["generate"] else [],
            f"{PUBLISHED}/imported" if PUBLISHED else [],
        output:
            part=PART,
        log:
            f"logs/{PREPARED}-{{part}}.log",
        benchmark:
            f"benchmarks/{PREPARED}-{{part}}.tsv"
        wildcard_constraints:
            part=r"\d{3}",
        conda:
            ENVIRONMENT
        threads: 4
        resources:
            runtime=minutes("build_graphs"),
        params:
            **MADE,
        script:
            "../scripts/build_graphs.py"

    if ON_GPU:

        use rule build_graphs as build_graphs_on_gpu with:
            output:
                part=PART,
            resources:
                gpu=1,
                runtime=minutes("build_graphs_on_gpu"),

        ruleorder: build_graphs_on_gpu > build_graphs


if PREPARED:

    rule prepare_learner:
        input:
            f"{S['data_root']}/.complete" if S["generate"] else [],
            [PART.format(part=f"{n:03d}") for n in range(1, PARTS + 1)] if PARTS else [],
        output:
            plans=f"{PREPARED}/plans.json",
        log:
            f"logs/{PREPARED}.log",
        benchmark:
            f"benchmarks/{PREPARED}.tsv"
        conda:
            ENVIRONMENT
        threads: 4
        resources:
            runtime=minutes("prepare_learner"),
        params:
            **MADE,
        script:
            "../scripts/prepare_learner.py"
