"""Region-based active learning: train -> predict -> score images -> select regions -> reveal labels.

Paths (al/paths.py): results/{run}/{budget}/{strategy}/seed-{seed}/cycle-{cycle}/{file}
  run       DATASET-LEARNER unless given (run=...)
  budget    images x regions per cycle, 5x15
  strategy  key of config/strategies.yaml; `initial` for cycle 001, which all strategies share
  seed      integer; on cross-validated datasets seed k holds out fold k
  cycle     three digits from 001
References (trained on all labels): results/{run}/references/{reference}/seed-{seed}/{file}
The files are the checkpoints: a run that was stopped goes on where its files end.
"""

import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")


configfile: f"{workflow.basedir}/config/config.yaml"


# A missing file would be ignored where --configfile is given.
for folder in (workflow.basedir, f"{workflow.basedir}/scripts"):
    if folder not in sys.path:
        sys.path.append(folder)

from al.config.typed import dataset_file
from al.io.errors import ConfigError

try:
    DATASET_FILE = dataset_file(config["dataset"], Path(workflow.basedir))
except ConfigError as error:
    raise WorkflowError(str(error)) from None


configfile: str(DATASET_FILE)


include: "rules/common.smk"
include: "rules/pool.smk"
include: "rules/prepare.smk"
include: "rules/train.smk"
include: "rules/predict.smk"
include: "rules/needs.smk"
include: "rules/select.smk"
include: "rules/evaluate.smk"
include: "rules/report.smk"


localrules:
    all,
    report,


onsuccess:
    clean_work()
    tell_warnings()
    tell_people()
    tell_report()


onstart:
    start_run()


onerror:
    tell_storage()


rule all:
    default_target: True
    input:
        targets(),
