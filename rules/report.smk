"""Tables and figures, from metrics and regions alone: re-plotting never trains.

In: all metrics.json and history.csv of the run.
Out: results/{run}/curves.csv and results/{run}/report/.
"""

COST = S["report"]["cost"] or ("rois_percent" if S["task"] == "roi" else "area_percent")

FIGURE = {
    "x": COST,
    "budget": lambda w: w.budget,
    "colours": S["report"]["colours"],
    "share": S["report"]["share"],
    "title": lambda w: f"{S['dataset']}, {S['learner']}, {w.budget} per cycle",
}


def metrics_files():
    """Return the metrics of all strategies, seeds, budgets, cycles and references."""
    files = [
        f"{RUN}/{b}/{'initial' if c == 1 else s}/seed-{k}/cycle-{c:03d}/metrics.json"
        for b in S["budget"]
        for s in S["strategies"]
        for k in S["seeds"]
        for c in range(1, S["cycles"] + 1)
    ]
    files += [
        f"{RUN}/references/{r}/seed-{k}/metrics.json" for r in S["references"] for k in S["seeds"]
    ]
    return sorted(set(files))


def report_files():
    """Return what a run ends with."""
    files = [f"{RUN}/curves.csv", f"{RUN}/report/reach.md"]
    for budget in S["budget"]:
        for kind in ("curves", "classes", "regions"):
            files.append(f"{RUN}/report/{kind}-{budget}.png")
    return files


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
    params:
        x=COST,
        share=S["report"]["share"],
    script:
        "../scripts/tabulate_reach.py"


rule plot_overlays:
    input:
        pool=f"results/{{run}}/pools/seed-{S['seeds'][0]}.csv",
        regions=[
            f"results/{{run}}/{{budget}}/{'initial' if S['cycles'] == 1 else s}"
            f"/seed-{S['seeds'][0]}/cycle-{S['cycles']:03d}/history.csv"
            for s in S["strategies"]
        ],
    output:
        png="results/{run}/report/regions-{budget}.png",
    log:
        "logs/{run}/report/regions-{budget}.log",
    params:
        strategies=S["strategies"],
        layout=LAYOUT,
        classes=S["classes"],
        n_images=S["report"]["overlay_images"],
    script:
        "../scripts/plot_overlays.py"
