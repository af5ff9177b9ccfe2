"""List the images of RoIs for a program that reads their files itself."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from al.cluster.job import run
from al.config.settings import data_root_of
from al.io.files import write_lines
from al.layouts import get_layout


def list_rois(config: dict[str, Any], layout: dict[str, Any], tables: Sequence[str]) -> None:
    """Deal the RoIs of a dataset out to CSV files with the columns path and split."""
    rows = sorted(get_layout(**layout).index(data_root_of(config)), key=lambda row: row.key)
    for number, table in enumerate(tables):
        dealt = rows[number :: len(tables)]
        lines = [[str(Path(row.path).absolute()), row.split] for row in dealt]
        write_lines(table, [["path", "split"], *lines])
    print(f"{len(rows)} RoIs in {len(tables)} lists")


if __name__ == "__main__":
    run(snakemake, list_rois)  # noqa: F821
