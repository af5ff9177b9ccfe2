"""The dataset's file must exist before Snakemake merges it: a missing one would be ignored."""

import sys

for folder in (workflow.basedir, f"{workflow.basedir}/scripts"):
    if folder not in sys.path:
        sys.path.append(folder)

from al.io.errors import ConfigError, DataError, nearest

_datasets = sorted(p.stem for p in Path(workflow.basedir, "config/datasets").glob("*.yaml"))
if config["dataset"] not in _datasets:
    raise WorkflowError(
        f"dataset {config['dataset']!r} is unknown; {nearest(config['dataset'], _datasets)}"
    )
