"""``hact``: graphs are prepared in parts, once, and told from others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from al.io.errors import ConfigError, DataError
from al.io.files import read_json
from al.io.locking import LockedError, locked
from al.learners import Start, get_learner
from tests.learners.fakes import CLASSES, Toy

pytest.importorskip("torch")
pytest.importorskip("skimage", reason="the extra `hact` is not installed")

from al.learners.hact import preparing
from al.learners.hact.graph_file import Graphs, RoiGraph, write_shard
from al.learners.hact.settings import HactSettings
from tests.learners.test_hact import SMALL, fit, graph, graph_of, opened, saved, with_graphs


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> Toy:
    return with_graphs(monkeypatch, Toy("roi", 24))


def on_disk(toy: Toy, folder: Path) -> Toy:
    """Give every RoI a file, whose name tells another class than it has."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (key, row) in enumerate(list(toy.rows.items())):
        path = folder / f"BRACS_{row.image}_DCIS_{number}.png"
        path.write_bytes(b"x" * (100 + number))
        toy.rows[key] = replace(row, path=str(path))
    return toy


def prepare(toy: Toy, folder: Path, **settings: Any) -> dict[str, Any]:
    rows = list(toy.rows.values())
    get_learner("hact").prepare(toy.layout, rows, folder, {**SMALL, **settings}, CLASSES)
    return read_json(folder / "plans.json")


def test_parts_are_made_in_any_order_and_once(toy: Toy, tmp_path: Path) -> None:
    learner, rows = get_learner("hact"), list(on_disk(toy, tmp_path / "data").rows.values())
    folder = tmp_path / "p"
    for part in (3, 1):
        learner.prepare_part(toy.layout, rows[::-1], part, folder, SMALL, CLASSES)
    keys = sorted(toy.rows)
    assert toy.built == keys[2::3] + keys[0::3]
    plans = prepare(toy, folder)
    assert toy.built == keys[2::3] + keys[0::3] + keys[1::3]
    learner.prepare_part(toy.layout, rows, 2, folder, SMALL, CLASSES)
    assert prepare(toy, folder) == plans
    assert len(toy.built) == len(keys)
    assert Graphs.of(folder / "graphs").place.keys() == toy.rows.keys()
    # Elsewhere at once: the same key, and other settings another one.
    assert prepare(toy, tmp_path / "q")["key"] == plans["key"]
    assert prepare(toy, tmp_path / "r", graph_shards=2)["key"] != plans["key"]


def test_a_part_is_made_by_one_at_a_time(toy: Toy, tmp_path: Path) -> None:
    learner, rows = get_learner("hact"), list(toy.rows.values())
    with locked(tmp_path / "locks/002-of-003"):
        learner.prepare_part(toy.layout, rows, 1, tmp_path, SMALL, CLASSES)
        with pytest.raises(LockedError):
            learner.prepare_part(toy.layout, rows, 2, tmp_path, SMALL, CLASSES)


def test_plans_tell_what_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made: list[RoiGraph] = []

    def make(image: np.ndarray) -> RoiGraph:
        made.append(graph(len(made) % 4, 3, len(made), 100.0))
        return made[-1]

    toy = with_graphs(monkeypatch, Toy("roi", 10), make)
    plans = prepare(toy, tmp_path, graph_shards=11)
    assert len(list((tmp_path / "graphs").glob("*.safetensors"))) == 11  # one of no RoI
    assert plans["dims"] == {"cells": 4, "tissue": 3}
    nuclei = [len(g.cells) for g in made]
    counts = {"median": float(np.median(nuclei)), "min": 0, "max": 3}
    assert plans["counts"] == {"rois": 10, "nuclei": counts, "rois_without_nuclei": 3}
    for kind in ("cells", "tissue"):
        nodes = np.concatenate([getattr(g, kind).features for g in made]).astype(np.float64)
        found = plans["moments"][kind]
        np.testing.assert_allclose(found["mean"], nodes.mean(0), rtol=1e-9)
        deviation = np.where(nodes.std(0) == 0, 1, nodes.std(0))
        np.testing.assert_allclose(found["deviation"], deviation, rtol=1e-6)
    assert "3 RoIs have no nucleus" in capsys.readouterr().out


def test_graphs_of_several_kinds_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def make(image: np.ndarray) -> RoiGraph:
        found = graph_of(image)
        wide = np.repeat(found.tissue.features, 2, axis=1)
        return replace(found, tissue=replace(found.tissue, features=wide)) if toy.built else found

    toy = with_graphs(monkeypatch, Toy("roi", 6), make)
    with pytest.raises(
        DataError, match=r"tissue: different numbers of features: 3 \(slide0/r0\), 6"
    ):
        prepare(toy, tmp_path)
    assert not (tmp_path / "plans.json").exists()


def check_start(toy: Toy, folder: Path, **settings: Any) -> None:
    rows = list(toy.rows.values())
    start = Start(CLASSES, rows, toy.layout, prepared=folder)
    get_learner("hact").check_start({**SMALL, **settings}, start)


def test_changed_files_are_refused(toy: Toy, tmp_path: Path) -> None:
    on_disk(toy, tmp_path / "data")
    folder, (first, last) = tmp_path / "p", (list(toy.rows)[0], list(toy.rows)[-1])
    prepare(toy, folder)
    check_start(toy, folder)
    rows = list(toy.rows.values())
    fit(toy, tmp_path, 2, prepared=folder)
    model = tmp_path / "model"
    path = Path(toy.rows[first].path)
    path.write_bytes(b"y" * 7)
    for act in (
        lambda: check_start(toy, folder),
        lambda: fit(toy, tmp_path / "other", 2, prepared=folder),
        lambda: opened(toy, model).classify(rows),
    ):
        with pytest.raises(DataError, match=rf"{first} has another file size \(7, not 100\)"):
            act()
    assert len(opened(toy, model).classify(rows[1:])) == len(rows) - 1
    path.unlink()
    with pytest.raises(DataError, match=rf"{first} has no file any more"):
        check_start(toy, folder)
    path.write_bytes(b"x" * 100)
    new = replace(toy.rows[last], roi="new")
    with pytest.raises(DataError, match=r"slide5/new is new"):
        opened(toy, model).classify([new])
    del toy.built[:]
    path.write_bytes(b"y" * 7)
    prepare(toy, folder)  # the part of what changed, alone
    assert sorted(toy.built) == sorted(toy.rows)[0::3]


def test_a_model_needs_its_graphs(toy: Toy, tmp_path: Path, monkeypatch: Any) -> None:
    """Named as the workflow does, by a path from the folder it works in."""
    on_disk(toy, tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    prepare(toy, Path("p"))
    fit(toy, tmp_path, 2, prepared=Path("p"))
    rows, model = list(toy.rows.values()), tmp_path / "model"
    whole = opened(toy, model).classify(rows)
    model.rename(tmp_path / "moved")
    again = opened(toy, tmp_path / "moved").classify(rows)
    np.testing.assert_array_equal(again, whole)
    Path("p/graphs/002-of-003.safetensors").rename("gone")
    with pytest.raises(DataError, match="2 shards of graphs.*start the target prepare_learner"):
        opened(toy, tmp_path / "moved").classify(rows)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"p/plans\.json: the graphs .* are not there"):
        opened(toy, tmp_path / "moved").classify(rows)


def test_graphs_made_anew_are_not_those_of_the_model(toy: Toy, tmp_path: Path) -> None:
    on_disk(toy, tmp_path / "data")
    prepare(toy, tmp_path / "p")
    stats = fit(toy, tmp_path, 2, prepared=tmp_path / "p")
    (tmp_path / "p/plans.json").unlink()
    toy.rows.popitem()
    prepare(toy, tmp_path / "p")
    rows = list(toy.rows.values())
    with pytest.raises(DataError, match="made anew"):
        opened(toy, tmp_path / "model").classify(rows)
    with pytest.raises(DataError, match="not those of the cycle before"):
        fit(toy, tmp_path / "b", 2, prepared=tmp_path / "p", before=stats)
    with pytest.raises(ConfigError, match="something else is prepared"):
        fit(toy, tmp_path / "b", 2, prepared=tmp_path / "p", settings={"graph_shards": 2})
    with pytest.raises(ConfigError, match="nothing is prepared there"):
        fit(toy, tmp_path / "b", 2, prepared=tmp_path / "q")


def imported(toy: Toy, folder: Path, skip: int = 0) -> Path:
    """Write graphs by the stem of the RoIs' files, in two shards."""
    stems = {Path(row.path).stem: graph_of(toy.images[row.key]) for row in toy.rows.values()}
    names = sorted(stems)[skip:]
    for part in (1, 2):
        held = {name: stems[name] for name in names[part - 1 :: 2]}
        write_shard(folder / f"{part:03d}-of-002.safetensors", held, {"by": "a test"})
    return folder


def test_imported_graphs_are_taken_by_the_name_of_the_file(toy: Toy, tmp_path: Path) -> None:
    on_disk(toy, tmp_path / "data")
    section = {"graphs": str(imported(toy, tmp_path / "import"))}
    check_start(toy, tmp_path / "p", **section)
    plans = prepare(toy, tmp_path / "p", **section)
    assert not toy.built
    built = prepare(toy, tmp_path / "q")
    for kind in ("cells", "tissue"):
        for name, values in built["moments"][kind].items():
            np.testing.assert_allclose(plans["moments"][kind][name], values, rtol=1e-9)
    taken, made = (Graphs.of(tmp_path / name / "graphs") for name in "pq")
    for key in toy.rows:
        np.testing.assert_array_equal(taken.load(key).cells.features, made.load(key).cells.features)
    fit(toy, tmp_path, 4, prepared=tmp_path / "p", settings=section)
    # As they are, though handcrafted ones would be standardised.
    assert not saved(tmp_path)["cells_mean"].any()
    for path in (tmp_path / "import").iterdir():  # no more needed
        path.unlink()
    check_start(toy, tmp_path / "p", **section)
    assert get_learner("hact").identity(section, Start(CLASSES, [], toy.layout)) == {}


def test_missing_imported_graphs_are_named(toy: Toy, tmp_path: Path) -> None:
    on_disk(toy, tmp_path / "data")
    section = {"graphs": str(imported(toy, tmp_path / "import", skip=2))}
    rows = list(toy.rows.values())
    for act in (check_start, prepare):
        with pytest.raises(DataError, match=r"no graphs of BRACS_slide0_DCIS_0, BRACS_slide0_DC"):
            act(toy, tmp_path / "p", **section)
    with pytest.raises(DataError, match=r"hact\.graphs: .*nowhere: 0 shards"):
        check_start(toy, tmp_path / "p", graphs=str(tmp_path / "nowhere"))
    same = [replace(row, path="a/1.png" if n else "b/1.png") for n, row in enumerate(rows[:2])]
    with pytest.raises(DataError, match="RoIs of the same name, whose graphs are one: 1"):
        preparing.check_imported(same, HactSettings.of(section))


def test_other_imported_graphs_are_refused(toy: Toy, tmp_path: Path) -> None:
    on_disk(toy, tmp_path / "data")
    section = {"graphs": str(imported(toy, tmp_path / "import"))}
    before = get_learner("hact").identity(section, Start(CLASSES, [], toy.layout))
    prepare(toy, tmp_path / "p", **section)
    toy.images = {key: 255 - image for key, image in toy.images.items()}
    imported(toy, tmp_path / "import")
    assert get_learner("hact").identity(section, Start(CLASSES, [], toy.layout)) != before
    with pytest.raises(DataError, match="is another than"):
        check_start(toy, tmp_path / "p", **section)


def test_weights_of_a_network_are_part_of_what_is_prepared(toy: Toy, tmp_path: Path) -> None:
    """And its features are taken as they are."""
    path = tmp_path / "w.pth"
    section = {"weights": str(path)}
    with pytest.raises(ConfigError, match=r"hact\.weights: .*w\.pth: no such file"):
        check_start(toy, tmp_path / "p", **section)
    path.write_bytes(b"1")
    with pytest.raises(ConfigError, match=r"hact\.weights"):
        check_start(toy, tmp_path / "p", **section)
    first = prepare(toy, tmp_path / "p", **section)
    fit(toy, tmp_path, 1, prepared=tmp_path / "p", settings=section)
    assert not saved(tmp_path)["cells_mean"].any()
    path.write_bytes(b"2")
    with pytest.raises(DataError, match=r"hact\.weights: .*w\.pth is another than"):
        check_start(toy, tmp_path / "p", **section)
    assert prepare(toy, tmp_path / "p", **section)["key"] != first["key"]
    path.unlink()
    check_start(toy, tmp_path / "p", **section)
