"""List a dataset's images, labels and sizes in ``pool.csv``."""

from pathlib import Path
from typing import Any

from al.cluster.job import run
from al.io.tables import write_pool
from al.layouts import get_layout


def index_pool(root: str, layout: dict[str, Any], pool: str) -> None:
    """Write the pool of a dataset folder, sorted by image and RoI."""
    rows = get_layout(**layout).index(Path(root))
    write_pool(pool, sorted(rows, key=lambda r: (r.image, r.roi)))
    print(f"{len({r.image for r in rows})} images, {len(rows)} rows")


if __name__ == "__main__":
    run(snakemake, index_pool)  # noqa: F821
