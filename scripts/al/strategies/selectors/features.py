"""Choosing among the candidates of all opened images by their features (DIVERS, BADGE)."""

from __future__ import annotations

import numpy as np

from ..batch import Candidates
from ..registry import register_batch


def _choose(
    candidates: Candidates, n: int, per_image: int, rng: np.random.Generator, method: str
) -> list[int]:
    from decomp_core import choose

    return choose(
        candidates.features,
        candidates.priority,
        candidates.group,
        n,
        per_image,
        rng,
        method,
        residuals=candidates.residuals if method.startswith("badge") else None,
        centres=candidates.annotated if method == "coreset" else None,
    )


@register_batch("cluster")
def cluster(candidates: Candidates, n: int, per_image: int, rng: np.random.Generator) -> list[int]:
    """k-means, the most uncertain of each cluster (DIVERS cluster)."""
    return _choose(candidates, n, per_image, rng, "cluster")


@register_batch("coreset", options=frozenset({"earlier_centres"}))
def coreset(candidates: Candidates, n: int, per_image: int, rng: np.random.Generator) -> list[int]:
    """k-centre greedy (DIVERS core-set)."""
    return _choose(candidates, n, per_image, rng, "coreset")


@register_batch("badge", needs=frozenset({"residuals"}))
def badge(candidates: Candidates, n: int, per_image: int, rng: np.random.Generator) -> list[int]:
    """k-means++ seeding over gradient embeddings, as BADGE was published."""
    return _choose(candidates, n, per_image, rng, "badge")


@register_batch("badge_kmeans", needs=frozenset({"residuals"}))
def badge_kmeans(
    candidates: Candidates, n: int, per_image: int, rng: np.random.Generator
) -> list[int]:
    """k-means over gradient embeddings, as the DECOMP paper compares with."""
    return _choose(candidates, n, per_image, rng, "badge_kmeans")
