"""Choose the regions of a cycle from what is known after the cycle before."""

from dataclasses import replace
from typing import Any

from al.cluster.job import run
from al.io.arrays import write_arrays
from al.io.files import write_lines
from al.io.tables import write_regions
from al.strategies.choose import Choice, Query, choose
from al.strategies.files import query_of
from al.strategies.spares import choose_spares, proposals_of
from al.strategies.validation import in_parts


def select_regions(
    query: Query,
    regions: str,
    history: str | None = None,
    scores: str | None = None,
    spares: str | None = None,
    proposals: str | None = None,
) -> None:
    """Write this cycle's regions, the whole history and what was made of the images.

    For people there is no history yet, but what takes the place of what they skip, and what the
    model makes of all of these.
    """
    choices = in_parts(choose, query)
    rows = [row for _, choice in choices for row in choice.rows]
    told = [line for part in query.parts for line in part.offer.told(part.rows)]
    told += [line for _, choice in choices for line in choice.reports]
    print("\n".join([*told, f"{len(rows)} regions"]))
    if history:
        write_regions(history, query.history + rows)
    if spares:
        more = [row for part, choice in choices for row in choose_spares(part, choice.rows)]
        more = [replace(row, order=len(rows) + i) for i, row in enumerate(more)]
        write_regions(spares, more)
        if proposals:
            write_arrays(proposals, proposals_of(query, [*rows, *more]))
    if scores:
        _write_scores(scores, choices)
    write_regions(regions, rows)  # last: people are asked when they are there


def _write_scores(path: str, choices: list[tuple[Query, Choice]]) -> None:
    """One row per image; pool-wide strategies have no score of images."""
    lines: list[list[Any]] = [["image", "score", "eligible", "openings", "chosen"]]
    for query, choice in choices:
        state, eligible = query.state, query.state.eligible
        chosen = {r.image for r in choice.rows}
        for i, image in enumerate(state.images):
            score = "" if choice.scores is None else repr(float(choice.scores[i]))
            lines.append([image, score, int(eligible[i]), state.openings[i], int(image in chosen)])
    write_lines(path, lines)


if __name__ == "__main__":
    run(snakemake, select_regions, keep=True, query=query_of)  # noqa: F821
