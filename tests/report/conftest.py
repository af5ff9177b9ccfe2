"""Metrics files small enough to work out by hand, and data that whole runs share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .run_files import Data

WriteMetrics = Callable[..., Path]


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Generated datasets, each made once."""
    return Data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def write_metrics(tmp_path: Path) -> WriteMetrics:
    """Write one metrics file: strategy, seed, cycle, score, annotated area in percent."""

    def write(strategy: str, seed: int, cycle: int, score: float, area: float, **more: Any) -> Path:
        metrics = {
            "dataset": "toy",
            "run": "toy-convnet",
            "budget": "2x3",
            "strategy": strategy,
            "seed": seed,
            "cycle": cycle,
            "task": "2d",
            "classes": ["road", "pole"],
            "score": score,
            "score_name": "mIoU",
            "per_class": {"road": score + 0.1, "pole": None},
            "secondary": {"pixel accuracy": 0.5},
            "costs": {"images": 2 * cycle, "area_percent": area, "foreground_percent": None},
            "steps": 10,
            "train_seconds": 1.5,
        } | more
        names = (metrics["run"], metrics["budget"], strategy, str(seed), str(cycle))
        path = tmp_path.joinpath("metrics", *names, "metrics.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(metrics), encoding="utf-8")
        return path

    return write
