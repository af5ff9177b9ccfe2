#!/usr/bin/env bash
# Plans a run of every strategy on every dataset of config/datasets, in the environment of this
# checkout. Nothing is computed; a folder with a dataset.json stands in for the data, which no rule
# reads while it is planned.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
python=.venv/bin/python
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
echo '{"labels": {"background": 0, "a": 1, "b": 2}}' >"$scratch/dataset.json"
failed=()

shopt -s nullglob
configs=(config/datasets/*.yaml)
if [ ${#configs[@]} -eq 0 ]; then
    echo 'no dataset in config/datasets' >&2
    exit 1
fi
for config in "${configs[@]}"; do
    dataset=$(basename "$config" .yaml)
    words=(dataset="$dataset" run="dry-run-$dataset" strategies=all cycles=3)
    grep -q '^generate:' "$config" || words+=(data_root="$scratch")
    if "$python" -m snakemake --dry-run --quiet --profile profiles/local --config "${words[@]}" \
        >"$scratch/plan" 2>&1; then
        echo "$dataset: planned"
    else
        failed+=("$dataset")
        echo "$dataset: FAILED"
        cat "$scratch/plan"
    fi
done
if [ ${#failed[@]} -gt 0 ]; then
    echo "no plan for: ${failed[*]}" >&2
    exit 1
fi
