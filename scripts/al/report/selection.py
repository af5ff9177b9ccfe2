"""The table "what selection takes": time and memory, from Snakemake's benchmark files."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import NamedTuple

from al.io.errors import DataError
from al.paths import INITIAL, places_in

from .markdown import grid, marks

# In the folder of the cycle they select; predictions come from the cycle before.
OWN = ("propose", "embed", "patches", "select")
STAGES = ("predict", *OWN)
NAN = float("nan")


class Usage(NamedTuple):
    """Wall time (s) and peak resident memory (MB) of a stage; NaN where not measured."""

    seconds: float
    megabytes: float


@dataclass(frozen=True)
class Selection:
    """One row of the table: a strategy at one budget.

    Seconds are medians over the ``cycles`` selections of all seeds that have all their files;
    ``skipped`` is how many lack some. ``features_s`` is ``propose`` and ``embed``; NaN: the
    strategy has no such stage. ``total_s`` is the median of the sums, so that the parts need not
    add up to it; ``share`` is its part of ``train_s``, the median training of the strategy (of the
    shared first cycle where it has none). ``peak_mb`` is the largest memory of any stage but
    training, ``peak_stage`` that stage. ``assumed``: whether the strategy reads predictions cannot
    be told, since it has selected one cycle only; those of the first cycle are counted.
    """

    run: str
    budget: str
    strategy: str
    seeds: int
    cycles: int
    skipped: int
    predict_s: float
    features_s: float
    patches_s: float
    select_s: float
    total_s: float
    train_s: float
    share: float
    peak_mb: float
    peak_stage: str
    assumed: bool


# (seed, cycle) -> stage -> one usage per file: one, or one per shard.
Cycles = dict[tuple[int, int], dict[str, list[Usage]]]


def read_benchmark(path: Path) -> Usage:
    """Mean of the rows of a benchmark file, over the cells that hold a number.

    Raises:
        DataError: no column ``s`` or ``max_rss``, or a cell that is neither a number nor missing.
    """
    with Path(path).open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file, delimiter="\t")
        rows = list(reader)
    lacking = [name for name in ("s", "max_rss") if name not in (reader.fieldnames or ())]
    if lacking and reader.fieldnames:
        raise DataError(f"{path}: lacks column {', '.join(lacking)}")
    return Usage(*(_mean(path, name, [row[name] for row in rows]) for name in ("s", "max_rss")))


def _mean(path: Path, name: str, cells: Iterable[str | None]) -> float:
    """Mean of the cells that hold a number; Snakemake writes NA or - for what it did not see."""
    known = [c for c in cells if c not in (None, "", "NA", "-")]
    try:
        return fmean(map(float, known)) if known else NAN
    except ValueError:
        raise DataError(f"{path}: {name} is {known}, allowed are numbers, NA and -") from None


def read_benchmarks(folder: Path) -> dict[tuple[str, str], Cycles]:
    """Read ``{budget}/{strategy}/seed-{k}/cycle-{c}/{stage}.tsv``, by budget and strategy.

    Raises:
        DataError: no such file, or one that cannot be read.
    """
    held: dict[tuple[str, str], Cycles] = {}
    for place, path in places_in(folder, "*.tsv"):
        if not place.is_reference:
            cycles = held.setdefault((place.budget, place.strategy), {})
            stages = cycles.setdefault((place.seed, place.cycle), {})
            stages.setdefault(path.stem.partition("-")[0], []).append(read_benchmark(path))
    if not held:
        raise DataError(f"{folder}: no benchmark files (BUDGET/STRATEGY/seed-K/cycle-C/STAGE.tsv)")
    return held


def selection_rows(
    benchmarks: Path, predicted: Mapping[str, bool] | None = None
) -> list[Selection]:
    """Rows of the table, by budget and strategy; none where no strategy went past cycle 1.

    Selecting cycle c takes the predictions of cycle c - 1 (for c = 2 those of ``initial``; only of
    strategies that read predictions), then ``propose``, ``embed``, ``patches`` and ``select``;
    shards are summed, as if run one after the other. A cycle that lacks a file is left out.

    Args:
        benchmarks: ``benchmarks/{run}``, with files of Snakemake as in ``read_benchmarks``.
        predicted: whether a strategy reads predictions; of those not named it is inferred from
            the files.

    Raises:
        DataError: as ``read_benchmarks``.
    """
    held = read_benchmarks(benchmarks)
    rows = []
    for budget, strategy in sorted(held, key=lambda b: (_size(b[0]), b)):
        if strategy != INITIAL:
            first = held.get((budget, INITIAL), {})
            head = (Path(benchmarks).name, budget, strategy)
            known = (predicted or {}).get(strategy)
            rows.append(_row(head, held[budget, strategy], first, known))
    return rows


def _size(budget: str) -> list[int]:
    return [int(v) for v in budget.split("x") if v.isdecimal()]


def _row(head: tuple[str, str, str], own: Cycles, first: Cycles, known: bool | None) -> Selection:
    predicts = known if known is not None else any("predict" in stages for stages in own.values())
    # The last cycle's model predicts nothing: cycle 3 selected without predictions needs none.
    late = any(cycle > 2 and own[s, cycle] for s, cycle in own)
    assumed = known is None and not predicts and not late
    files = _files(own, first, with_predict=predicts or assumed)
    # A stage belongs to the strategy if any of its cycles has it, with the most shards seen.
    shards = {stage: max((len(f[stage]) for f in files.values()), default=0) for stage in STAGES}
    whole = [
        {stage: _sum(f[stage]) for stage in STAGES if shards[stage]}
        for f in files.values()
        if f["select"] and all(len(_timed(f[stage])) == shards[stage] for stage in STAGES)
    ]
    train = _of(own, "train") or _of(first, "train")
    trained = _median(u.seconds for u in train)
    total = _median(sum(u.seconds for u in selected.values()) for selected in whole)
    peaks = [(u.megabytes, stage) for f in whole for stage, u in f.items() if u.megabytes >= 0]
    peak, stage = max(peaks, key=lambda p: p[0], default=(NAN, ""))
    return Selection(
        *head,
        seeds=len({seed for seed, _ in files}),
        cycles=len(whole),
        skipped=len(files) - len(whole),
        predict_s=_median_of(whole, "predict"),
        features_s=_median_of(whole, "propose", "embed"),
        patches_s=_median_of(whole, "patches"),
        select_s=_median_of(whole, "select"),
        total_s=total,
        train_s=trained,
        share=total / trained if trained > 0 else NAN,
        peak_mb=peak,
        peak_stage=stage,
        assumed=assumed and shards["predict"] > 0,
    )


def _files(own: Cycles, first: Cycles, with_predict: bool) -> Cycles:
    """What selecting each cycle from the second on used, by seed and cycle; all stages as keys."""
    used: Cycles = {}
    for seed, cycle in own:
        if cycle < 2:
            continue
        before = (first if cycle == 2 else own).get((seed, cycle - 1), {})
        stages = {stage: own[seed, cycle].get(stage, []) for stage in OWN}
        stages["predict"] = before.get("predict", []) if with_predict else []
        used[seed, cycle] = stages
    return used


def _of(cycles: Cycles, stage: str) -> list[Usage]:
    return _timed([u for stages in cycles.values() for u in stages.get(stage, [])])


def _timed(usages: list[Usage]) -> list[Usage]:
    return [u for u in usages if not math.isnan(u.seconds)]


def _sum(shards: list[Usage]) -> Usage:
    """Seconds of all shards and the memory of the largest; NaN where none was measured."""
    memory = max((u.megabytes for u in shards if u.megabytes >= 0), default=NAN)
    return Usage(sum(u.seconds for u in shards), memory)


def _median(values: Iterable[float]) -> float:
    values = list(values)
    return float(median(values)) if values else NAN


def _median_of(whole: list[dict[str, Usage]], *stages: str) -> float:
    """Median over selections of the seconds of these stages together; NaN without any of them."""
    sums = [[f[s].seconds for s in stages if s in f] for f in whole]
    return _median(sum(parts) for parts in sums if parts)


HEAD = (
    "strategy",
    "predict (s)",
    "features or patches (s)",
    "select (s)",
    "total (s)",
    "training (s)",
    "total / training",
    "peak memory (MB)",
    "selections",
)


def _number_text(value: float) -> str:
    """Three digits, but none after the point from 100 on."""
    if math.isnan(value):
        return "-"
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"


def _cells(row: Selection) -> list[str]:
    middle = [v for v in (row.features_s, row.patches_s) if not math.isnan(v)]
    parts = (row.predict_s, sum(middle) if middle else NAN, row.select_s)
    return [
        *map(_number_text, (*parts, row.total_s, row.train_s)),
        "-" if math.isnan(row.share) else f"{_number_text(100 * row.share)} %",
        "-" if math.isnan(row.peak_mb) else f"{row.peak_mb:.0f} ({row.peak_stage})",
        f"{row.cycles} ({row.skipped} incomplete)" if row.skipped else str(row.cycles),
    ]


def selection_markdown(rows: Sequence[Selection]) -> str:
    """The table as Markdown that also reads well in a terminal."""
    lines: list[str] = []
    for run, budget in dict.fromkeys((r.run, r.budget) for r in rows):
        mine = [r for r in rows if (r.run, r.budget) == (run, budget)]
        marked, footnotes = marks([r.strategy for r in mine], _notes(mine))
        lines += [f"### {run}, budget {budget}: what selection takes per cycle", ""]
        lines += grid([HEAD, *([marked[r.strategy], *_cells(r)] for r in mine)])
        lines += ["", *footnotes, ""] if footnotes else [""]
    if not rows:
        lines += ["No strategy has selected a cycle yet.", ""]
    lines += [
        "Medians over cycles and seeds, the total of the sums; seconds include starting Python and",
        "imports; shards count one after the other. Predictions of the shared first cycle count in",
        "full for each strategy that reads them. Memory: the largest of any stage but training.",
    ]
    return "\n".join(lines) + "\n"


def _notes(rows: Iterable[Selection]) -> Mapping[str, str]:
    text = "one cycle selected; the predictions of the shared first cycle are counted, read or not"
    return {r.strategy: text for r in rows if r.assumed}
