#!/usr/bin/env bash
# Plans a run of every strategy on every dataset of config/datasets, in the environment of this
# checkout. Nothing is computed; a folder with a dataset.json stands in for the data, which no rule
# reads while it is planned.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export python=.venv/bin/python scratch
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
echo '{"labels": {"background": 0, "a": 1, "b": 2}}' >"$scratch/dataset.json"

plan() {
    local dataset
    dataset=$(basename "$1" .yaml)
    local words=(dataset="$dataset" run="dry-run-$dataset" strategies=all cycles=3)
    grep -q '^generate:' "$1" || words+=(data_root="$scratch")
    ! grep -q '^annotator: human' "$1" || words+=(strategies=decomp)  # people work for one
    if "$python" -m snakemake --dry-run --quiet --profile profiles/local --config "${words[@]}" \
        >"$scratch/$dataset.plan" 2>&1; then
        echo "$dataset: planned"
    else
        echo "$dataset: FAILED"
        cat "$scratch/$dataset.plan"
        return 1
    fi
}
export -f plan

shopt -s nullglob
configs=(config/datasets/*.yaml)
if [ ${#configs[@]} -eq 0 ]; then
    echo 'no dataset in config/datasets' >&2
    exit 1
fi
printf '%s\0' "${configs[@]}" | xargs -0 -n 1 -P 2 bash -c 'plan "$1"' plan
