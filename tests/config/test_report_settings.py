"""What a report cannot show is refused before the first job, not after the last."""

from __future__ import annotations

from typing import Any

import pytest

from al.io.errors import ConfigError
from al.report.look import look_of

from .kit import load


@pytest.mark.parametrize(
    ("dataset", "report", "message"),
    [
        ("cityscapes_mini", {"cost": "rois_percent"}, "no 'rois_percent'; allowed: images, "),
        ("cityscapes_mini", {"cost": "foreground_percent"}, "no 'foreground_percent'"),
        ("kits23_mini", {"cost": "validation_images"}, "no 'validation_images'"),
        ("bracs_mini", {"cost": "area_percent"}, "no 'area_percent'"),
        ("kits23_mini", {"cost": "money"}, "report.cost"),
        (
            "kits23_mini",
            {"colours": {"decmp": "#112233"}},
            "'decmp' is unknown; did you mean 'decomp'",
        ),
    ],
)
def test_refusals(dataset: str, report: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(dataset, report=report)


@pytest.mark.parametrize(
    ("dataset", "cost"),
    [
        ("cityscapes_mini", "regions"),
        ("kits23_mini", "foreground_percent"),
        ("bracs_mini", "rois_percent"),
    ],
)
def test_costs_that_there_are(dataset: str, cost: str) -> None:
    assert look_of(load(dataset, report={"cost": cost}))["x"] == cost


def test_colours_follow_the_order_of_strategies() -> None:
    """Markers do, and a saved configuration has its keys sorted."""
    given = {"decomp": "#111111", "badge": "#222222", "random": "#333333", "full": "#444444"}
    known = ["random", "decomp", "badge"]
    look = look_of(load("cityscapes_mini", report={"colours": given}), known)
    assert list(look["colours"])[:3] == known and look["colours"]["badge"] == "#222222"
