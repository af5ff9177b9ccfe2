"""ClaSP PE and its variants (nnActive): patches of the whole pool by entropy per class."""

from __future__ import annotations

from typing import Any

from ..query import Pick, Query
from ..registry import register_pool


def _needs(options: dict[str, Any]) -> frozenset[str]:
    disagreement = options["measure"] == "mutual_information"
    return frozenset({"ensemble"}) if disagreement else frozenset()


@register_pool(
    "clasp",
    needs=frozenset({"patches"}),
    tasks=frozenset({"2d", "3d"}),
    options=frozenset(
        {
            "strata",
            "strata_share",
            "measure",
            "beta",
            "beta_first",
            "beta_last",
            "beta_steps",
            "patches_per_image",
            "stride",
        }
    ),
    by_class=True,
    more_needs=_needs,
)
def clasp(query: Query, n: int) -> list[tuple[str, Pick]]:
    """Give each foreground class its share of the query, the best noisy scores first."""
    from decomp_core import clasp_merge, clasp_quotas

    options = query.definition
    found: dict[str, tuple[list, list]] = {image: ([], []) for image in query.groups}
    for row in query.patches:
        found[row.image][row.order].append(row.region)
    classes = query.foreground if options["strata"] else []
    quotas = clasp_quotas(n, classes, options.get("strata_share", 0), query.rng())
    return clasp_merge(found, n, quotas)
