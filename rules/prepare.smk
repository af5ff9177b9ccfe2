"""What the learner makes once per dataset, such as preprocessed volumes; all runs share it.

In: the dataset's folder (generated first where it is a generated one).
Out: data/prepared/{dataset}-{learner}-{digits}/, plans.json last; the digits follow from the data and
the settings that decide.
"""

if PREPARED:

    rule prepare_learner:
        input:
            f"{S['data_root']}/.complete" if S["generate"] else [],
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
            learner=S["learner"],
            layout=PREPARATION.layout,
            data_root=PREPARATION.data_root,
            settings=PREPARATION.settings,
        script:
            "../scripts/prepare_learner.py"
