"""Small real runs with HACT-Net as the learner, graphs included, on generated tissue."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("skimage", reason="the extra `hact` is not installed")

from al.config.start import StartRefused
from al.generators import generate
from al.io.errors import ConfigError
from al.io.tables import read_labels, read_pool, read_regions
from tests.config.kit import begin, typed

from .conftest import TINY, Run, once

pytestmark = pytest.mark.slow

CYCLE = "2x3/decomp/seed-0/cycle-002"
SMALL = {"graph_shards": 2, "width": 4, "hidden": 4, "layers": 1, "batch": 4, "checkpoint_every": 1}
SETTINGS = {
    **TINY,
    "dataset": "bracs_mini",
    "learner": "hact",
    "strategies": "decomp,coreset",
    "cycles": "3",
    "references": "full",
    "full_steps": "8",
    "steps": json.dumps({"hact": {"epochs": 5, "most": 60}}),
    "hact": json.dumps(SMALL),
    "features": json.dumps({"earlier_centres": True}),
}


def make_tissue(folder: Path) -> None:
    """Write a few slides; some RoIs have no nucleus, or one pixel."""
    generate("bracs_mini", folder / "data", 0, train=5, val=3, test=2)
    paths = sorted((folder / "data/train").rglob("*.png"))
    Image.new("RGB", (40, 30), (240, 235, 240)).save(paths[0])  # one superpixel
    Image.new("RGB", (1, 1), (120, 60, 140)).save(paths[1])
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(paths[2])


@pytest.fixture(scope="module")
def tissue(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return once(tmp_path_factory, "tissue", make_tissue) / "data"


@pytest.fixture(scope="module")
def whole(tissue: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that nothing disturbed."""
    settings = {**SETTINGS, "data_root": str(tissue)}
    ends = ("2x3/decomp/seed-0/cycle-003", "references/full/seed-0")
    targets = [f"results/tiny/{end}/metrics.json" for end in ends]
    targets.append("results/tiny/2x3/coreset/seed-0/cycle-002/history.csv")
    make = lambda folder: Run(folder, settings).run("--cores", "2", *targets)  # noqa: E731
    return Run(once(tmp_path_factory, "hact", make), settings)


def test_rois_are_annotated_once_and_none_of_the_test_slides(whole: Run) -> None:
    """The published code offered annotated RoIs again, and counted them twice."""
    results = whole.folder / "results/tiny"
    splits = {row.image: row.split for row in read_pool(results / "pools/seed-0.csv")}
    for strategy, cycles in (("decomp", 3), ("coreset", 2)):
        last = results / f"2x3/{strategy}/seed-0/cycle-00{cycles}"
        history = read_regions(last / "history.csv")
        assert len({(row.image, row.roi) for row in history}) == len(history)
        assert {splits[row.image] for row in history} == {"train", "val"}
        opened = {(row.cycle, row.image) for row in history if splits[row.image] == "val"}
        assert set(Counter(cycle for cycle, _ in opened).values()) == {1}  # max(1, 2 // 3)
        assert len({image for _, image in opened}) == cycles  # each once before any is again
    assert len(read_labels(results / "2x3/decomp/seed-0/cycle-003/labels.csv")) >= len(history)


def test_costs_and_steps(whole: Run) -> None:
    results = whole.folder / "results/tiny"
    pool = [r for r in read_pool(results / "pools/seed-0.csv") if r.split != "test"]
    splits = {row.image: row.split for row in pool}
    for name, content in whole.files("tiny/2x3/*/seed-0/cycle-*/metrics.json").items():
        found, cycle = json.loads(content), (whole.folder / "results" / name).parent
        history = read_regions(cycle / "history.csv")
        steering = [row for row in history if splits[row.image] == "val"]
        costs = found["costs"]
        assert costs["images_percent"] == 100 * len({r.image for r in history}) / 8
        assert costs["rois_percent"] == pytest.approx(100 * len(history) / len(pool))
        assert costs["validation_regions"] == len(steering) > 0
        training = json.loads((cycle / "training.json").read_text())
        assert training["rois"] == len(history) - len(steering)
        assert training["steps"] == min(60, 5 * -(-training["rois"] // 4))
        assert training["validation"]["rois"] == len(steering)
    (full,) = whole.files("tiny/references/full/seed-0/metrics.json").values()
    costs = json.loads(full)["costs"]
    assert (costs["images"], costs["validation_images"]) == (8, 3)
    (plans,) = whole.folder.glob("data/prepared/*/plans.json")
    assert json.loads(plans.read_text())["counts"]["rois_without_nuclei"] >= 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hact": '{"layer": 3}'}, "did you mean 'layers'"),
        ({"hact": '{"weights": "nowhere.pth"}'}, "hact.weights: nowhere.pth: no such file"),
        ({"hact": '{"graphs": "nowhere"}'}, "hact.graphs: nowhere: 0 shards of graphs"),
        ({"hact": '{"graphs": "histocartography"}'}, "needs an environment of its own"),
        ({"hact": '{"validation": "none"}'}, "with this section is steered by them; allowed: 0"),
        ({"learner": "convnet", "validation_images": "third"}, "of learner 'convnet'"),
        ({"validation_images": "half"}, "validation_images: 'half' is not valid"),
    ],
)
def test_bad_settings_are_refused_before_the_first_job(
    changes: dict[str, str], message: str, tissue: Path, tmp_path: Path
) -> None:
    words = {**SETTINGS, "data_root": str(tissue), "steps": "6", **changes}
    with pytest.raises((ConfigError, StartRefused)) as refusal:
        begin(tmp_path, **typed(words))
    assert message in str(refusal.value)
    assert not list(tmp_path.glob("results/**/*.*"))


def test_bad_data_are_refused_before_the_first_job(tissue: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(tissue, data)
    path = sorted((data / "train").rglob("*.png"))[0]
    Image.new("CMYK", (30, 30)).save(path, "TIFF")
    run = Run(tmp_path / "run", {**SETTINGS, "data_root": str(data)})
    run.folder.mkdir()
    printed = run.run("--cores", "1", fails=True)
    assert f"{path}: image mode CMYK; allowed:" in printed and "Traceback" not in printed
    assert not (run.folder / "results/tiny/pool.csv").exists()
