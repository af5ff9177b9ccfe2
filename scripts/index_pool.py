"""List a dataset's images, labels and sizes in ``pool.csv``."""

from typing import Any

from al.cluster.job import run
from al.config.settings import data_root_of
from al.io.pool import grouped
from al.io.tables import write_pool
from al.layouts import get_layout


def index_pool(
    config: dict[str, Any], layout: dict[str, Any], pool: str, group: str | None = None
) -> None:
    """Write the pool of a dataset folder, sorted by image and RoI."""
    rows = grouped(get_layout(**layout).index(data_root_of(config)), group)
    write_pool(pool, sorted(rows, key=lambda r: (r.image, r.roi)))
    print(f"{len({r.image for r in rows})} images, {len(rows)} rows")


if __name__ == "__main__":
    run(snakemake, index_pool)  # noqa: F821
