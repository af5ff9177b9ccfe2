"""What the rules of selection are given: no more than a strategy declared a need of."""


def selection(wildcards):
    """Return what of the configuration a strategy's choice depends on."""
    initial = wildcards.strategy == INITIAL
    return {
        "definition": (STARTS[S["initial"]] if initial else S["definitions"][wildcards.strategy]),
        "layout": LAYOUT,
        "task": S["task"],
        "region": S["region"],
        "patch": S["patch"],
        "footprint": S["footprint"],
        "background": S["background"],
        "centres": S["random_centres"],
        "thresholds": S["thresholds"],
        **({"validation_images": validation_of(wildcards)} if ANNOTATED else {}),
    }


# The annotator of a simulation has no label to reveal where ground truth is void; RoIs all have a
# class. What is counted again is the same: no selection is made anew for it.
OFFERED = []
if S["offer"] == "truth" and S["task"] != "roi" and not PEOPLE:
    OFFERED = ancient("results/{run}/truth.json")


def needed(file, *needs, here=False):
    """Return an input function: a file of the cycle before (or this one), if it is needed."""

    def inputs(wildcards):
        if not set(needs) & read_of(wildcards.strategy):
            return []
        folder = CYCLE.format(**wildcards) if here else previous_folder(wildcards)
        return file(folder) if callable(file) else f"{folder}/{file}"

    return inputs


def patches_of(folder):
    """Return the shard files of the patches proposed for a cycle."""
    return [f"{folder}/patches/{k}-of-{S['shards']}.csv" for k in range(1, S["shards"] + 1)]
