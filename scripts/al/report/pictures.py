"""What models see: predictions and errors on test cases, from the examples of evaluations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from al.io.errors import DataError
from al.io.labels import UNKNOWN
from al.paths import EXAMPLES, Place
from al.scoring.examples import BEST, FIXED, MEDIAN, WORST, Example, read_examples

from .catalogue import Look, pictures_of
from .charts import Chart, nothing, save_chart
from .curves import FULL
from .regions import regions
from .style import INK
from .tiles import TALLEST, Sheet, Tile, colours_of, mosaic, rgb_of, width_of

FEWEST, MOST = 4, 6  # tiles beside each other
WRONG, ALARM = "#e800e8", "#b00020"
VOID = 128
NUMBER = {
    "2d": "Number: mean IoU of this image alone, over the classes of its truth.",
    "3d": "Number: mean Dice of this volume alone.",
    "roi": "Number: probability of the true class. p: that of the predicted one.",
}
JUDGED = "Below: the true class, and what each model predicts. p: probability of that class."
PREDICTED = "Above: the image and what each model predicts. Below: the truth and the errors"
RANKED = "Above: the image and the truth. Below: the prediction and its errors"
ERRORS = "in magenta on the image in grey. Plain grey: void in the truth, not scored."


@dataclass(frozen=True)
class Model:
    """The examples of one model by the name of the case; ``when`` says which cycle it is of."""

    name: str
    when: str
    examples: Mapping[str, Example]


def predictions(folder: Path, look: Look, budget: str) -> Chart | None:
    """The same few test cases as each model of ``models_of`` sees them, errors below predictions.

    Arguments and result as of ``regions``; ``None`` where no evaluation has left examples.

    Raises:
        OSError, DataError: examples that cannot be read.
    """
    models = models_of(folder, look, budget)
    if not models:
        return None
    sheet, used, tiles = Sheet(), set(), []
    held = set.intersection(*(set(model.examples) for model in models))
    fixed = [e for e in models[0].examples.values() if FIXED in e.roles and e.name in held]
    if look["task"] == "roi":
        for example in fixed:
            seen = {f"{m.name}, {m.when}": m.examples[example.name] for m in models}
            tiles.append(_roi(example, [example.name], seen, look, width_of(3)))
        sheet.line(tiles, 3)
        return sheet.composed(look, budget, used, [JUDGED])
    lines = -(-(len(models) + 1) // MOST)
    across = max(FEWEST, -(-(len(models) + 1) // lines))
    for example in fixed:
        sheet.heading(_named(example))
        rows = [[example.image], [overlay(example, example.truth, look)]]
        tiles = [Tile(["image and truth"], mosaic(rows, width_of(across)))]
        for model in models:
            seen = model.examples[example.name]
            rows = [[overlay(seen, seen.prediction, look)], [errors(seen)]]
            head = [model.name, f"{model.when}: {_score(seen)}"]
            tiles.append(Tile(head, mosaic(rows, width_of(across))))
            used |= _classes(seen, look)
        sheet.line(tiles, across, 2 * TALLEST)
    return sheet.composed(look, budget, used, [f"{PREDICTED}, {ERRORS}", NUMBER[look["task"]]])


def cases(folder: Path, look: Look, budget: str) -> Chart | None:
    """The worst, the median and the best test case of the last model of each strategy.

    Arguments, result and errors as of ``predictions``.
    """
    models = models_of(folder, look, budget)
    if not models:
        return None
    sheet, used = Sheet(), set()
    is_roi = look["task"] == "roi"
    across = 4 if is_roi else 3
    for model in [m for m in models if m.name in look["strategies"]] or models[:1]:
        sheet.heading(f"{model.name}, {model.when}")
        tiles = []
        for role in (WORST, MEDIAN, BEST):
            for example in (e for e in model.examples.values() if role in e.roles):
                head = [f"{role}: {_score(example)}", _named(example)]
                if is_roi:
                    seen = {"predicted": example}
                    tiles.append(_roi(example, head, seen, look, width_of(across)))
                    continue
                truth = overlay(example, example.truth, look)
                found = overlay(example, example.prediction, look)
                rows = [[example.image, truth], [found, errors(example)]]
                tiles.append(Tile(head, mosaic(rows, width_of(across))))
                used |= _classes(example, look)
        sheet.line(tiles, across)
    notes = [] if is_roi else [f"{RANKED}, {ERRORS}"]
    return sheet.composed(look, budget, used, [*notes, NUMBER[look["task"]]])


def _roi(
    example: Example, head: list[str], seen: Mapping[str, Example], look: Look, width: float
) -> Tile:
    """A RoI and what it is taken for by whom, right or wrong by a word and by the colour."""
    classes = look["classes"]
    foot = [(f"true: {classes[example.true]}", INK)]
    for who, own in seen.items():
        word, colour = ("right", INK) if own.predicted == own.true else ("WRONG", ALARM)
        share = max(own.probabilities)
        foot.append((f"{who}: {classes[own.predicted]} (p {share:.2f}), {word}", colour))
    return Tile(head, mosaic([[example.image]], width), foot)


def _score(example: Example) -> str:
    return "no score" if np.isnan(example.score) else f"{example.score:.3f}"


def _named(example: Example) -> str:
    return f"{example.name}, {example.plane}" if example.plane else example.name


def _classes(example: Example, look: Look) -> set[str]:
    """Names of the classes that the pictures of an example show."""
    maps = [m for m in (example.truth, example.prediction) if m is not None]
    return {look["classes"][i] for m in maps for i in np.unique(m) if i != UNKNOWN}


def overlay(example: Example, labels: np.ndarray | None, look: Look) -> np.ndarray:
    """Class colours over the image in grey, (H, W, 3) uint8, faintest the background; void plain.

    Args:
        example: whose image it is.
        labels: (H, W) uint8 class indices, 255 for void.
        look: as ``look.look_of``.
    """
    assert labels is not None
    table = np.full((UNKNOWN + 1, 3), VOID)
    table[: len(look["classes"])] = [rgb_of(colour) for colour in colours_of(look).values()]
    share = np.where(labels == look["background"], 0.3, 0.6)[..., None]
    share[labels == UNKNOWN] = 1
    mixed = (1 - share) * example.image.mean(2, keepdims=True) + share * table[labels]
    return mixed.astype(np.uint8)


def errors(example: Example) -> np.ndarray:
    """The image in light grey with its wrong pixels in one colour, (H, W, 3) uint8; void plain."""
    assert example.truth is not None
    faint = np.repeat(90 + 0.6 * example.image.mean(2, keepdims=True), 3, axis=2)
    faint[example.truth != example.prediction] = rgb_of(WRONG)
    faint[example.truth == UNKNOWN] = VOID
    return faint.astype(np.uint8)


def models_of(folder: Path, look: Look, budget: str) -> list[Model]:
    """The models of the first seed that have left examples.

    These are that of the shared first cycle, the last one of each strategy after it, and the one
    that full annotation gives.

    Raises:
        OSError, DataError: examples that cannot be read.
    """
    seed = look["seeds"][0]
    wanted = {"first model of all": [Place.of(budget, "", seed, 1)]}
    for name in look["strategies"]:
        wanted[name] = [Place.of(budget, name, seed, c) for c in range(look["cycles"], 1, -1)]
    wanted[FULL] = [Place.of_reference(FULL, seed)]
    found = []
    for name, places in wanted.items():
        there = [place for place in places if (folder / place.path / EXAMPLES).is_file()]
        for place in there[:1]:
            when = "all labels" if place.is_reference else f"cycle {place.cycle}"
            examples = read_examples(folder / place.path / EXAMPLES)
            found.append(Model(name, when, {e.name: e for e in examples}))
    return found


DRAW: Mapping[str, Callable[[Path, Look, str], Chart | None]] = {
    "predictions": predictions,
    "cases": cases,
    "regions": regions,
}


def save_pictures(folder: Path, look: Look, out: Path) -> None:
    """Write the figures of a run that show images, as ``charts.save_chart``.

    Those without anything to show say so. What cannot be read keeps no other figure from being
    written.

    Args:
        folder: ``results/{run}``.
        look: as ``look.look_of``.
        out: folder of the figures.

    Raises:
        OSError, DataError: at the end, of the first figure that could not be drawn.
    """
    failed: OSError | DataError | None = None
    for entry, stem, budget in pictures_of(look):
        try:
            chart = DRAW[entry.name](folder, look, budget)
        except (OSError, DataError) as error:
            failed = failed or error
        else:
            save_chart(chart or nothing(entry.title), out, stem)
    if failed:
        raise failed
