"""Graphs of RoIs against slow independent ones, and at the limits of what a RoI can be."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from al.io.errors import ConfigError
from tests.learners.hact_graph_kit import BLUE, PALE, PINK, Folder, resnet, section

pytest.importorskip("skimage", reason="the extra `hact` is not installed")

import torch
from safetensors.torch import save_file

from al.learners.hact.building import both_ways, build_graph, build_part, nearest_edges
from al.learners.hact.graph_file import PIECES, Shard
from al.learners.hact.node_features import NAMES, Cnn, cut, handcrafted, patch_places
from al.learners.hact.nuclei import find_nuclei
from al.learners.hact.settings import GraphSettings
from al.learners.hact.tissue import centroids, find_superpixels, merge, neighbours

SETTINGS = GraphSettings()


def test_nuclei_are_found_where_they_were_drawn() -> None:
    image, places = section(400, 500)
    found = centroids(find_nuclei(image, SETTINGS))
    assert len(found) == len(places)
    far = np.linalg.norm(places[:, None] - found, axis=2).min(1)
    assert far.max() < 3


def test_a_clump_without_outlines_is_divided() -> None:
    """What is larger than any nucleus is many: their middles are darker."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:200, :200]
    image = np.empty((200, 200, 3), np.float32)
    image[:] = PINK
    image[30:170, 30:170] = np.array(BLUE) + 25
    middles = np.stack(np.meshgrid(range(44, 160, 28), range(44, 160, 28)), -1).reshape(-1, 2)
    for row, column in middles:
        near = np.exp(-((y - row) ** 2 + (x - column) ** 2) / 150)
        image -= 25 * near[..., None]
    image = np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)
    found = centroids(find_nuclei(image, SETTINGS))
    assert len(found) == len(middles)
    assert np.linalg.norm(middles[:, None] - found, axis=2).min(1).max() < 4


def test_tiles_change_no_nucleus() -> None:
    """Nor does one without tissue."""
    image, _ = section(300, 420, 3)
    image[:110, 90:230] = 255
    whole = find_nuclei(image, SETTINGS)
    np.testing.assert_array_equal(find_nuclei(image, SETTINGS, 97), whole)


def test_tiles_through_one_clump_hold_each_nucleus_once() -> None:
    """In a clump larger than a tile's surroundings, borders may differ by a little."""
    image, _ = section(300, 420, 5, gap=22)
    whole, tiled = find_nuclei(image, SETTINGS), find_nuclei(image, SETTINGS, 150)
    assert abs(int(whole.max()) - int(tiled.max())) <= 0.02 * whole.max()
    assert ((whole > 0) == (tiled > 0)).mean() > 0.99
    assert sorted(set(np.unique(tiled))) == list(range(tiled.max() + 1))


@pytest.mark.parametrize("shape", [(1, 1), (30, 130)])
def test_images_of_nothing(shape: tuple[int, int]) -> None:
    """No nucleus, one superpixel; with noise, too."""
    rng = np.random.default_rng(0)
    for colour, noise in ((PINK, 0), (PINK, 5), ((255,) * 3, 5)):
        values = np.array(colour) + rng.normal(0, noise, (*shape, 3))
        graph = build_graph(np.clip(values, 0, 255).astype(np.uint8), SETTINGS)
        graph.check("a RoI")
        assert graph.cells.features.shape == (0, len(NAMES) + 2)
        assert graph.tissue.features.shape == (1, len(NAMES) + 2)
        assert graph.cells.edges.shape == graph.tissue.edges.shape == (2, 0)


@pytest.mark.parametrize(
    ("shape", "downsample"), [((1, 1), 4), ((1, 7), 1), ((3, 500), 4), ((131, 71), 4)]
)
def test_images_of_noise(shape: tuple[int, int], downsample: int) -> None:
    image = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    settings = GraphSettings(tissue_downsample=downsample, superpixel_size=50)
    labels = find_superpixels(image, settings)
    assert labels.shape == shape
    assert labels.dtype == np.int32
    assert list(np.unique(labels)) == list(range(1, labels.max() + 1))
    build_graph(image, settings).check("a RoI")


@pytest.mark.parametrize("n", [0, 1, 2, 5, 60])
def test_nearest_edges_are_those_of_all_distances(n: int) -> None:
    """Whole places, so that some are as far away as allowed."""
    places = np.random.default_rng(n).permutation(400)[:n, None] // [1, 20] % 20 * 3.0
    far = np.linalg.norm(places[:, None] - places, axis=2)
    edges = nearest_edges(places, 5, 9)
    assert edges.shape[0] == 2 and (edges[0] != edges[1]).all()
    assert len(set(map(tuple, edges.T.tolist()))) == edges.shape[1]
    for i in range(n):
        own = far[i, edges[1, edges[0] == i]].tolist()
        others = np.delete(far[i], i)
        assert own == sorted(others[others <= 9])[:5]


def test_nuclei_at_one_place_are_no_neighbours_of_themselves() -> None:
    places = np.zeros((9, 2))
    edges = nearest_edges(places, 3, 10)
    assert (edges[0] != edges[1]).all()
    assert np.bincount(edges[0]).tolist() == [3] * 9


def test_borders_are_those_of_all_pairs_of_pixels() -> None:
    labels = np.random.default_rng(2).integers(1, 9, (6, 7)).repeat(3, 0).repeat(2, 1)
    expected = set()
    for y in range(labels.shape[0]):
        for x in range(labels.shape[1]):
            for b in (labels[y + 1 : y + 2, x], labels[y, x + 1 : x + 2]):
                expected |= {tuple(sorted((int(labels[y, x]), int(v)))) for v in b}
    expected = sorted(pair for pair in expected if pair[0] != pair[1])
    assert list(map(tuple, neighbours(labels).tolist())) == expected
    edges = set(map(tuple, both_ways(neighbours(labels)).T.tolist()))
    assert edges == {*expected, *((b, a) for a, b in expected)}


def test_merging_takes_what_is_alike() -> None:
    labels = np.repeat(np.arange(1, 7, dtype=np.int32), 4)[None].repeat(4, 0)
    colours = np.array([0, 0, 10, 30, 30.5, 0])[labels - 1][..., None]
    assert merge(labels, colours, 2.0)[0, ::4].tolist() == [1, 1, 2, 3, 3, 4]
    assert merge(labels, colours, 0.1)[0, ::4].tolist() == [1, 1, 2, 3, 4, 5]
    assert merge(labels, colours, 1e3).max() == 1


def test_tissue_is_divided_where_its_colour_changes() -> None:
    image = np.empty((200, 300, 3), np.uint8)
    image[:, :140], image[:, 140:] = PINK, PALE
    labels = find_superpixels(image, SETTINGS)
    assert labels.max() == 2
    assert (labels[:, :136] == 1).all() and (labels[:, 148:] == 2).all()


def by_label(image: np.ndarray, labels: np.ndarray, names: list[str]) -> np.ndarray:
    """Features by loops over labels, with scikit-image's own measures of shape."""
    from skimage.measure import regionprops

    rows = []
    for one in regionprops(labels):
        mask = labels == one.label
        colours = image[mask] / 255
        # Second moments of pixels that are squares, not points.
        long, short = (
            math.sqrt(axis**2 + 16 / 12) for axis in (one.axis_major_length, one.axis_minor_length)
        )
        rows.append(
            {
                "red_mean": colours[:, 0].mean(), "green_std": colours[:, 1].std(),
                "blue_mean": colours[:, 2].mean(), "log_area": math.log(mask.sum()),
                "eccentricity": math.sqrt(1 - (short / long) ** 2),
                "log_major_axis": math.log(long),
                "log_minor_axis": math.log(short),
                "log_perimeter": math.log(one.perimeter_crofton),
                "solidity": one.area / one.area_convex,
            }
        )  # fmt: skip
    return np.array([[row[name] for name in names] for row in rows])


@pytest.mark.parametrize("strip", [5000, 1 << 20])
def test_handcrafted_features_by_loops(strip: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("al.learners.hact.tissue.STRIP", strip)
    image, _ = section(150, 210, 4)
    labels = find_nuclei(image, SETTINGS)
    found = handcrafted(image, labels)
    assert found.shape == (labels.max(), len(NAMES))
    exact = ["red_mean", "green_std", "blue_mean", "log_area"]
    exact += ["eccentricity", "log_major_axis", "log_minor_axis"]
    near = {"log_perimeter": 0.08, "solidity": 0.08}
    expected = by_label(image, labels, [*exact, *near])
    columns = [NAMES.index(name) for name in (*exact, *near)]
    of_exact = len(exact)
    np.testing.assert_allclose(found[:, columns[:of_exact]], expected[:, :of_exact], rtol=1e-5)
    for number, allowed in enumerate(near.values(), of_exact):
        assert np.abs(found[:, columns[number]] - expected[:, number]).max() < allowed


def test_texture_by_pairs_of_pixels() -> None:
    from al.learners.hact.nuclei import stain

    image = np.random.default_rng(7).integers(0, 256, (9, 8, 3), dtype=np.uint8)
    labels = np.ones((9, 8), np.int32)
    labels[:, 5:] = 2
    levels = np.clip(stain(image, 0) * 4, 0, 7).astype(int)
    found = handcrafted(image, labels)
    for label in (1, 2):
        table = np.zeros((8, 8))
        for y in range(9):
            for x in range(8):
                for other in ((y + 1, x), (y, x + 1), (y - 1, x), (y, x - 1)):
                    inside = 0 <= other[0] < 9 and 0 <= other[1] < 8
                    if inside and labels[y, x] == labels[other] == label:
                        table[levels[y, x], levels[other]] += 1
        share = table / table.sum()
        p, q = np.indices((8, 8))
        expected = {
            "contrast": (share * (p - q) ** 2).sum(),
            "homogeneity": (share / (1 + (p - q) ** 2)).sum(),
            "energy": (share**2).sum(),
            "entropy": -(share[share > 0] * np.log(share[share > 0])).sum(),
        }
        for name, value in expected.items():
            at = NAMES.index(name)
            assert found[label - 1, at] == pytest.approx(value, rel=1e-5)


def test_positions_and_assignment() -> None:
    image, _ = section(300, 420, 6)
    graph = build_graph(image, SETTINGS)
    nuclei, superpixels = find_nuclei(image, SETTINGS), find_superpixels(image, SETTINGS)
    for label in range(1, nuclei.max() + 1):
        y, x = (axis.mean() for axis in np.nonzero(nuclei == label))
        place = (x + 0.5) / 420, (y + 0.5) / 300
        assert graph.cells.features[label - 1, -2:] == pytest.approx(place, abs=1e-6)
        assert graph.assignment[label - 1] == superpixels[int(y + 0.5), int(x + 0.5)] - 1


def test_a_part_does_not_depend_on_workers(tmp_path: Path) -> None:
    layout = Folder(tmp_path)
    rows = [layout.add(f"r{n}", section(60 + 50 * n, 150, n)[0]) for n in range(2)]
    rows.append(layout.add("white", np.full((40, 50, 3), 255, np.uint8)))
    for workers in (1, 2):
        build_part(layout, rows, tmp_path / f"{workers}", SETTINGS, "cpu", workers)
    shard, other = Shard(tmp_path / "1"), Shard(tmp_path / "2")
    assert (shard.keys, shard.facts) == (other.keys, other.facts)
    for key in shard.keys:
        for piece in PIECES:  # the order of a header's entries is safetensors' own
            a, b = (held.file.get_tensor(f"{key}|{piece}") for held in (shard, other))
            np.testing.assert_array_equal(a, b)
    assert shard.keys == [row.key for row in rows]
    graphs = [shard.load(key) for key in shard.keys]
    nodes = {key: [len(g.cells), len(g.tissue)] for key, g in zip(shard.keys, graphs, strict=True)}
    assert shard.facts["nodes"] == nodes and nodes["slide/white"][0] == 0
    held, sums = np.concatenate([g.tissue.features for g in graphs]), shard.facts["tissue"]
    assert held.shape == (sums["n"], len(NAMES) + 2)
    assert sums["edges"] == sum(g.tissue.edges.shape[1] for g in graphs)
    np.testing.assert_allclose(sums["sum"], held.sum(0, dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(sums["sum_squares"], (held.astype(float) ** 2).sum(0), rtol=1e-6)


def test_network_sees_patches_around_places(tmp_path: Path) -> None:
    image, _ = section(150, 210, 4)
    superpixels = find_superpixels(image, SETTINGS)
    nuclei = centroids(find_nuclei(image, SETTINGS))
    settings = GraphSettings(weights=str(resnet(tmp_path / "w.pth")))
    cnn, graph = Cnn(settings), build_graph(image, settings)
    found, tissue = graph.cells.features[:, :-2], graph.tissue.features[:, :-2]
    assert found.shape == (len(nuclei), 512) and found.dtype == np.float32
    places, owner = patch_places(superpixels, 144)
    whole = cnn.embed(image, places, 144)
    mean = [whole[owner == n].mean(0) for n in range(superpixels.max())]
    np.testing.assert_allclose(tissue, mean, rtol=1e-4, atol=1e-5)
    padded = np.pad(image, ((80, 80), (80, 80), (0, 0)), mode="reflect")
    for place in nuclei:
        y, x = (int(v + 0.5) for v in place)
        expected = padded[y + 80 - 36 : y + 80 + 36, x + 80 - 36 : x + 80 + 36]
        np.testing.assert_array_equal(cut(image, place, 72), expected)
    assert cut(image[:1, :1], np.zeros(2), 72).shape == (72, 72, 3)
    assert cnn.embed(image, np.zeros((0, 2)), 72).shape == (0, 512)


def test_every_superpixel_has_a_patch() -> None:
    labels = np.ones((300, 300), np.int32)
    labels[100:104, 100:104] = 2
    places, owner = patch_places(labels, 144)
    assert owner.tolist() == [0, 0, 0, 0, 1]
    assert places[-1].tolist() == [101.5, 101.5]
    assert (labels[tuple(places[:-1].astype(int).T)] == 1).all()


@pytest.mark.parametrize(("name", "dim"), [("resnet34", 512), ("resnet50", 2048)])
def test_networks_are_told_apart(tmp_path: Path, name: str, dim: int) -> None:
    path = tmp_path / "w.safetensors"
    weights = torch.load(resnet(tmp_path / "w.pth", name), weights_only=True)
    save_file(weights, path)
    cnn = Cnn(GraphSettings(weights=str(path)))
    held = cnn.network.state_dict()
    assert cnn.dim == dim
    assert all(torch.equal(held[key], weights[key]) for key in held)


def test_wrong_weights_are_told(tmp_path: Path) -> None:
    wrong: dict[str, Any] = {
        "list": [1, 2], "other": {"encoder.weight": torch.zeros(3)},
    }  # fmt: skip
    for name, value in wrong.items():
        torch.save(value, tmp_path / f"{name}.pth")
    for name in ("junk.pth", "junk.safetensors"):
        (tmp_path / name).write_bytes(b"no weights at all")
    resnet(tmp_path / "cut.pth", **{"conv1.weight": None})
    told = {
        "absent.pth": "no such file", "list.pth": "unreadable", "junk.pth": "unreadable",
        "other.pth": "no complete", "junk.safetensors": "unreadable",
        "cut.pth": "no complete resnet18 .*conv1.weight",
    }  # fmt: skip
    for name, words in told.items():
        with pytest.raises(ConfigError, match=rf"{name}: {words}.*allowed"):
            Cnn(GraphSettings(weights=str(tmp_path / name)))
    headless = resnet(tmp_path / "headless.pth", **{"fc.weight": None, "fc.bias": torch.zeros(3)})
    Cnn(GraphSettings(weights=str(headless)))
