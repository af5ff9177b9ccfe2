"""Propose the candidates of a strategy that chooses by features."""

from glue.kept import hand_back, keep
from glue.logs import log_to
from glue.tables import write_regions
from strategies.choose import propose
from strategies.files import query_of

if __name__ == "__main__":
    smk = snakemake  # noqa: F821
    log_to(smk.log)
    w = smk.wildcards
    if not hand_back(smk):
        choice = propose(
            query_of(
                dict(smk.input.items()), smk.params.science, w.budget, int(w.seed), int(w.cycle)
            )
        )
        print("\n".join([*choice.reports, f"{len(choice.rows)} candidates"]))
        write_regions(smk.output.candidates, choice.rows)
        keep(smk)
