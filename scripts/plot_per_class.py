"""Plot the score of each class against what was annotated (see ``reporting.figures``)."""

from pathlib import Path

from glue.logs import log_to
from reporting.figures import plot_per_class

if __name__ == "__main__":
    smk = snakemake  # noqa: F821
    log_to(smk.log)
    plot_per_class(
        Path(smk.input.curves),
        Path(smk.output.png),
        Path(smk.output.pdf),
        smk.params.x,
        smk.params.budget,
        smk.params.colours,
        smk.params.title,
        smk.params.get("share", 0.95),
        smk.params.get("notes", {}),
    )
