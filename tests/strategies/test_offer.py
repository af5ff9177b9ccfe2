"""Labels that are void in parts: what is offered, and a cycle that reveals nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from al.io.errors import DataError
from al.io.labels import UNKNOWN, read_label
from al.io.tables import PoolRow, RegionRow, read_labels, write_pool, write_regions
from al.strategies.budget import Budget
from al.strategies.offer import offer_of
from al.strategies.pool_state import pool_state
from count_truth import count
from reveal_labels import reveal_labels

LAYOUT: dict[str, Any] = {"name": "folders", "classes": ["a", "b"], "options": {}}
HELD = {"full": slice(0, 24), "some": slice(4, 6), "void": slice(0, 0)}  # columns with a class


@pytest.fixture
def pool(tmp_path: Path) -> list[PoolRow]:
    """Three images of 24 x 24: with truth everywhere, in two columns, and nowhere."""
    rows = []
    for name, held in HELD.items():
        label, file = np.full((24, 24), UNKNOWN, np.uint8), tmp_path / f"{name}.png"
        label[:, held] = 1
        Image.fromarray(label).save(file)
        rows.append(PoolRow(name, "", "train", str(file), str(file), label.shape))
    write_pool(tmp_path / "pool.csv", rows)
    count(str(tmp_path / "pool.csv"), LAYOUT, str(tmp_path / "truth.json"))
    return rows


def region(image: str, x: int, cycle: int = 1) -> RegionRow:
    return RegionRow(cycle, image, "window", None, 0, x, None, 24, 2, "", None, None, 0)


def test_labels_are_opened_only_where_they_are_void_in_parts(
    pool: list[PoolRow], tmp_path: Path
) -> None:
    offer, rows = offer_of(LAYOUT, str(tmp_path / "truth.json")), {row.image: row for row in pool}
    assert offer_of(LAYOUT, None).void == {}
    assert offer.void == {"some": 528, "void": 576}
    assert offer.told(pool)[0].endswith("2 of 3 images have void, 1 nothing else")
    expected = np.zeros((24, 24), bool)
    expected[:, 4:6] = True
    np.testing.assert_array_equal(offer.annotatable(rows["some"]), expected)
    for name in ("full", "void"):
        Path(rows[name].label_path).unlink()
    assert offer.annotatable(rows["full"]) is None
    assert not offer.annotatable(rows["void"]).any()

    def room(*history: RegionRow) -> dict[str, bool]:
        state = pool_state(
            pool, list(history), None, "2d", LAYOUT["classes"], Budget(1, 1, (2, 2)), offer
        )
        return dict(zip(state.images, state.room.tolist(), strict=True))

    assert room() == {"full": True, "some": True, "void": False}
    assert room(region("some", 5), region("full", 3))["some"]
    assert room(region("some", 4)) == {"full": True, "some": False, "void": False}
    Path(rows["some"].label_path).unlink()
    assert room()["some"]  # some window holds any pixel


def test_a_cycle_that_reveals_nothing_is_told_and_a_first_one_refused(
    pool: list[PoolRow], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def cycle(number: int, *regions: RegionRow) -> dict[str, np.ndarray]:
        folder, before = tmp_path / str(number), tmp_path / f"{number - 1}/labels.csv"
        folder.mkdir(exist_ok=True)
        write_regions(folder / "regions.csv", regions)
        reveal_labels(
            pool=str(tmp_path / "pool.csv"),
            layout=LAYOUT,
            folder=str(folder / "labels"),
            labels=str(folder / "labels.csv"),
            regions=str(folder / "regions.csv"),
            before=str(before) if number > 1 else None,
        )
        return {row.image: read_label(row.path) for row in read_labels(folder / "labels.csv")}

    with pytest.raises(DataError, match="none of the 2 regions of the first cycle.*offer: truth"):
        cycle(1, region("some", 0), region("void", 0))
    first = cycle(1, region("some", 0), region("some", 4))
    assert "1 of 2 regions hold no ground truth" in capsys.readouterr().out
    assert (first["some"] != UNKNOWN).sum() == 48
    second = cycle(2, region("void", 2, 2))
    assert "nothing is revealed in this cycle" in capsys.readouterr().out
    np.testing.assert_array_equal(second["some"], first["some"])
    cycle(3)  # nothing is left to choose
    assert "nothing is revealed in this cycle" in capsys.readouterr().out
