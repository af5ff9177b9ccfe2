"""Features of the candidates, from the model of the cycle before."""

from pathlib import Path
from typing import Any

from al.cluster.job import run
from al.config.settings import job_settings
from al.io.arrays import write_arrays
from al.io.tables import read_pool, read_regions
from al.layouts import get_layout
from al.learners import get_learner
from al.strategies.definitions import needs_of
from al.strategies.embedding import Embedder


def embed_regions(
    pool: str,
    history: str,
    candidates: str,
    model: str,
    learner: str,
    layout: dict[str, Any],
    settings: dict[str, Any],
    definition: dict[str, Any],
    features: str,
) -> None:
    """Write the features of candidates and whatever else the strategy declared a need of."""
    rows = read_pool(pool, "train", "val")
    trained = get_learner(learner).open(Path(model), get_layout(**layout), settings)
    embedder = Embedder(trained, rows)
    proposed = read_regions(candidates)
    gradient = "residuals" in needs_of(definition)
    arrays = {"features": embedder.features(proposed, gradient)}
    if gradient:
        arrays["residuals"] = embedder.residuals(proposed)
    if definition.get("earlier_centres", False):
        arrays["annotated"] = embedder.features(read_regions(history), gradient)
    write_arrays(features, arrays)
    print(f"features of {len(proposed)} candidates: {arrays['features'].shape}")


if __name__ == "__main__":
    run(snakemake, embed_regions, keep=True, settings=job_settings)  # noqa: F821
