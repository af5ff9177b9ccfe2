"""Tables and figures, from metrics and regions alone: re-plotting never trains.

In: all metrics.json and history.csv of the run, images.csv where strategies read predictions,
examples.zip of the models that are shown.
Out: results/{run}/curves.csv, confidence.csv and report/: report.html, figures and tables.
"""


report: "captions/workflow.rst"


# A changed colour makes figures and the page alone, and so on.
COUNTED_LOOK = {key: LOOK[key] for key in COUNTED}
PICTURED_LOOK = {key: LOOK[key] for key in PICTURED}


rule report:
    input:
        report_files(),


rule collect_curves:
    input:
        metrics=metrics_files(),
    output:
        curves="results/{run}/curves.csv",
        confidence="results/{run}/confidence.csv",
    log:
        log_of("results/{run}/collect_curves"),
    group:
        "report"
    conda:
        ENVIRONMENT
    resources:
        runtime=minutes("collect_curves"),
    params:
        look=COUNTED_LOOK,
    script:
        "../scripts/collect_curves.py"


# A run of references alone has neither.
if FIGURES:

    rule plot_figures:
        input:
            curves="results/{run}/curves.csv",
            confidence="results/{run}/confidence.csv",
            truth=ancient("results/{run}/truth.json"),
        output:
            png=[captioned(*figure) for figure in FIGURES],
            pdf=stems(FIGURES, "pdf"),
            svg=stems(FIGURES, "svg"),
        log:
            log_of("results/{run}/report/figures"),
        group:
            "report"
        conda:
            ENVIRONMENT
        resources:
            runtime=minutes("plot_figures"),
        params:
            look=LOOK,
        script:
            "../scripts/plot_figures.py"


if PICTURES:

    rule plot_pictures:
        input:
            pool=str(paths.pool_of(paths.RUN, S["seeds"][0])),
            histories=last_histories,
            examples=example_files,
        output:
            png=[captioned(*figure) for figure in PICTURES],
            pdf=stems(PICTURES, "pdf"),
            svg=stems(PICTURES, "svg"),
        log:
            log_of("results/{run}/report/pictures"),
        group:
            "report"
        conda:
            ENVIRONMENT
        resources:
            runtime=minutes("plot_pictures"),
        params:
            look=PICTURED_LOOK,
        script:
            "../scripts/plot_pictures.py"


rule write_page:
    input:
        curves="results/{run}/curves.csv",
        confidence="results/{run}/confidence.csv",
        figures=rules.plot_figures.output if FIGURES else [],
        pictures=rules.plot_pictures.output if PICTURES else [],
        histories=last_histories,
    output:
        html="results/{run}/report/report.html",
        answer="results/{run}/report/answer.md",
        csv=[tabled(name, title) for name, title in TABLES],
        tex=[f"results/{{run}}/report/{name}.tex" for name, _ in TABLES if name in LATEX],
        md=[f"results/{{run}}/report/{name}.md" for name, _ in TABLES if name in MARKDOWN],
    log:
        log_of("results/{run}/report/page"),
    group:
        "report"
    conda:
        ENVIRONMENT
    resources:
        runtime=minutes("write_page"),
    params:
        look=LOOK,
    script:
        "../scripts/write_page.py"
