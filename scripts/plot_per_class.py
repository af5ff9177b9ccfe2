"""Plot the score of each class against what was annotated (see ``reporting.figures``)."""

from __future__ import annotations

from pathlib import Path

from reporting.figures import plot_per_class

if __name__ == "__main__":
    smk = snakemake  # noqa: F821
    plot_per_class(
        Path(smk.input.curves),
        Path(smk.output.png),
        Path(smk.output.pdf),
        smk.params.x,
        smk.params.budget,
        smk.params.colours,
        smk.params.title,
        smk.params.get("share", 0.95),
    )
