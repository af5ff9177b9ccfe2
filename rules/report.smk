"""Tables and figures, from metrics and regions alone: re-plotting never trains.

In: all metrics.json and history.csv of the run.
Out: results/{run}/curves.csv and results/{run}/report/.
"""

COST = S["report"]["cost"] or ("rois_percent" if S["task"] == "roi" else "area_percent")

START = "its start reads ground truth" if S["initial"] == "nnactive" else ""
NOTES = {
    name: "; ".join(note for note in (note_of(S["definitions"][name]), START) if note)
    for name in S["strategies"]
}
NOTES = {name: note for name, note in NOTES.items() if note}

# How trainings were stopped is part of the result; nothing is said where their length is fixed.
STOPPED = {
    "paper": "early stopping by the scored images",
    "clean": "early stopping by revealed regions held out",
}
REMARK = {"remark": STOPPED[VALIDATION]} if VALIDATION in STOPPED else {}

FIGURE = {
    "notes": NOTES,
    "x": COST,
    "budget": lambda w: w.budget,
    "colours": S["report"]["colours"],
    "share": S["report"]["share"],
    "title": lambda w: "\n".join(
        [f"{S['dataset']}, {S['learner']}, {w.budget} per cycle", *REMARK.values()]
    ),
}


rule report:
    input:
        report_files(),


rule collect_curves:
    input:
        metrics=metrics_files(),
    output:
        curves="results/{run}/curves.csv",
    log:
        "logs/{run}/collect_curves.log",
    group:
        "report"
    conda:
        ENVIRONMENT
    resources:
        runtime=minutes("collect_curves"),
    script:
        "../scripts/collect_curves.py"


rule plot_curves:
    input:
        curves="results/{run}/curves.csv",
    output:
        png="results/{run}/report/curves-{budget}.png",
        pdf="results/{run}/report/curves-{budget}.pdf",
    log:
        "logs/{run}/report/curves-{budget}.log",
    group:
        "report"
    conda:
        ENVIRONMENT
    resources:
        runtime=minutes("plot_curves"),
    params:
        **FIGURE,
    script:
        "../scripts/plot_curves.py"


rule plot_per_class:
    input:
        curves="results/{run}/curves.csv",
    output:
        png="results/{run}/report/classes-{budget}.png",
        pdf="results/{run}/report/classes-{budget}.pdf",
    log:
        "logs/{run}/report/classes-{budget}.log",
    group:
        "report"
    conda:
        ENVIRONMENT
    resources:
        runtime=minutes("plot_per_class"),
    params:
        **FIGURE,
    script:
        "../scripts/plot_per_class.py"


rule tabulate_reach:
    input:
        curves="results/{run}/curves.csv",
    output:
        csv="results/{run}/report/reach.csv",
        md="results/{run}/report/reach.md",
    log:
        "logs/{run}/report/reach.log",
    group:
        "report"
    conda:
        ENVIRONMENT
    resources:
        runtime=minutes("tabulate_reach"),
    params:
        **REMARK,
        x=COST,
        share=S["report"]["share"],
        notes=NOTES,
    script:
        "../scripts/tabulate_reach.py"


rule tabulate_selection:
    input:
        curves="results/{run}/curves.csv",
    output:
        csv="results/{run}/report/selection.csv",
        md="results/{run}/report/selection.md",
    log:
        "logs/{run}/report/selection.log",
    group:
        "report"
    conda:
        ENVIRONMENT
    resources:
        runtime=minutes("tabulate_selection"),
    params:
        benchmarks=lambda w: f"benchmarks/{w.run}",
        predicted={name: reads_predictions(name) for name in S["strategies"]},
    script:
        "../scripts/tabulate_selection.py"


rule tabulate_usage:
    input:
        curves="results/{run}/curves.csv",
    output:
        csv="results/{run}/report/usage.csv",
        md="results/{run}/report/usage.md",
    log:
        "logs/{run}/report/usage.log",
    group:
        "report"
    conda:
        ENVIRONMENT
    resources:
        runtime=minutes("tabulate_usage"),
    params:
        benchmarks=lambda w: f"benchmarks/{w.run}",
    script:
        "../scripts/tabulate_usage.py"


rule plot_overlays:
    input:
        pool=f"results/{{run}}/pools/seed-{S['seeds'][0]}.csv",
        regions=last_histories,
    output:
        png="results/{run}/report/regions-{budget}.png",
    log:
        "logs/{run}/report/regions-{budget}.log",
    group:
        "report"
    conda:
        ENVIRONMENT
    resources:
        runtime=minutes("plot_overlays"),
    params:
        strategies=S["strategies"],
        layout=LAYOUT,
        classes=S["classes"],
        n_images=S["report"]["overlay_images"],
    script:
        "../scripts/plot_overlays.py"
