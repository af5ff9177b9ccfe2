"""From a folder to its dataset's file: `make dataset`, and what docs/own-data.md says to do."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from al.cli.dataset import main
from al.config.checks import layout_of
from al.config.settings import load_settings, read_yaml
from al.generators import generate
from al.io.errors import ConfigError
from al.io.files import write_json, write_text
from al.io.tables import PoolRow
from al.layouts import get_layout
from al.layouts.label_values import name_values, read_values
from al.layouts.recognise import recognise
from tests.layouts.test_voc import make_voc

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/own-data.md").read_text()
Truth = dict[str, tuple[str, Any]]  # of each image (RoI) its split and its classes, if it has some


def save(path: Path, array: np.ndarray, palette: list[int] | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.name.endswith(".nii.gz"):
        nib.save(nib.Nifti1Image(array, np.eye(4)), path)
        return
    image = Image.fromarray(array)
    if palette:
        image.putpalette(palette)
    image.save(path)


COLOURS = np.array([(0, 0, 0), (128, 0, 0), (0, 128, 0)], np.uint8)
THREE = {0: 0, 1: 1, 2: 2}
PATIENTS = [f"p{patient:02d}_{n}" for patient in range(1, 7) for n in (1, 2, 3)]
NUMBERS = {f"{n:04d}": "test" if n % 5 == 2 else "train" for n in range(1, 13)}
LISTED = {f"img_{n}": "test" if n > 6 else "train" for n in range(1, 10)}
# By section: names (with their splits), the files of an image and of its label, classes by value
MADE: dict[str, tuple[Iterable[str], str, str, dict[int, int]]] = {
    "Images and masks": (PATIENTS, "images/{n}.jpg", "masks/{n}_mask.png", THREE | {255: 255}),
    "Splits of your own": (NUMBERS, "{s}/{n}.png", "{s}annot/{n}.png", {0: 0, 2: 1, 7: 2, 11: 255}),
    "Labels beside their images": (
        *([f"benign ({n})" for n in range(1, 9)], "{n}.png", "{n}_mask.png", {0: 0, 255: 1}),
    ),
    "Colours": ([f"a{n}" for n in range(1, 9)], "images/{n}.jpg", "colour_masks/{n}.png", THREE),
    "No labels yet": ([f"slide_{a}" for a in "abcdef"], "{n}.tif", "", {0: 0}),
    "Lists of names": (
        *(LISTED, "JPEGImages/{n}.jpg", "SegmentationClass/{n}.png", THREE | {255: 255}),
    ),
    "Many folders": (
        [f"p{p}_{n}" for p in range(1, 6) for n in (1, 2)],
        *("{a}/image/{b}.png", "{a}/label/{b}.png", {0: 0, 1: 1}),
    ),
    "Volumes": (
        *([f"la_{n:03d}" for n in range(1, 6)], "imagesTr/{n}_0000.nii.gz"),
        *("labelsTr/{n}.nii.gz", THREE),
    ),
}


def make(section: str, root: Path) -> Truth:
    """Write what a section of the page is about."""
    if section == "Regions of interest":
        return rois(root)
    names, image, label, values = MADE[section]
    rng, truth, splits = np.random.default_rng(0), {}, names if isinstance(names, dict) else {}
    shape = (9, 20, 18) if section == "Volumes" else (40, 48)
    for name in names:
        split, (first, *last) = splits.get(name, ""), name.split("_")
        at = {"n": name, "s": "val" if split == "test" else split, "a": first, "b": "".join(last)}
        ids = rng.choice([*values], shape).astype(np.uint8)
        ids.ravel()[: len(values)] = [*values]
        noise = rng.integers(0, 255, (*shape, 3) if len(shape) == 2 else shape)
        save(root / image.format(**at), noise.astype(np.uint8 if len(shape) == 2 else np.float32))
        if label:
            save(root / label.format(**at), COLOURS[ids] if section == "Colours" else ids)
        truth[name] = split, np.vectorize(values.get)(ids) if label else None
    if section == "Lists of names":
        for file, split in (("train", "train"), ("val", "test")):
            place = root / f"ImageSets/Segmentation/{file}.txt"
            write_text(place, "\n".join(name for name in names if splits[name] == split))
    if section == "Volumes":
        held = {"background": 0, "liver": 1, "tumour": 2}
        write_json(root / "dataset.json", {"labels": held, "numTraining": 5})
    return truth


def rois(root: Path) -> Truth:
    lines, truth = ["id,file,slide,patient,class_id,class"], {}
    for slide, n in product(range(1, 9), range(4)):
        save(root / f"patches/s{slide}_{n}.png", np.full((9, 9, 3), 20 * slide + n, np.uint8))
        cls = (slide + n) % 2
        name = ["benign", "malignant"][cls]
        lines.append(f"r{slide}{n},s{slide}_{n}.png,s{slide},p{slide // 2},{cls},{name}")
        truth[f"s{slide}#r{slide}{n}"] = "", cls
    write_text(root / "data_labels.csv", "\n".join(lines))
    return truth


SECTIONS = [*MADE, "Regions of interest"]


def blocks(section: str, kind: str) -> list[str]:
    text = PAGE.split(f"\n## {section}\n")[1].split("\n## ")[0]
    return re.findall(rf"^```{kind}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def look(root: Path, place: Path, *words: str) -> dict[str, Any]:
    """Return what `make dataset` writes for a folder."""
    assert main([str(root), "--name", "mine", "--replace", *words], place) == 0
    return yaml.safe_load((place / "mine.yaml").read_text())


def resolved(own: dict[str, Any], root: Path | None = None) -> dict[str, Any]:
    """Resolve a dataset's file as a run does."""
    defaults = read_yaml(ROOT / "config/config.yaml") | {"dataset": "mine"}
    return load_settings(defaults | own | ({"data_root": str(root)} if root else {}), ROOT)


def read(settings: dict[str, Any]) -> Truth:
    """Read all of a dataset as it is configured."""
    layout = get_layout(**layout_of(settings))
    rows = layout.index(Path(settings["data_root"]))
    layout.check(rows)
    return {f"{r.image}#{r.roi}" if r.roi else r.image:
            (r.split, layout.open_label(r) if r.label_path else None) for r in rows}  # fmt: skip


def same(found: Truth, truth: Truth) -> None:
    assert found.keys() == truth.keys()
    for name, (split, label) in truth.items():
        assert found[name][0] == split and np.array_equal(found[name][1], label), name


def test_every_section_with_a_file_is_tried() -> None:
    assert {*re.findall("^## (.*)$", PAGE, re.MULTILINE)} == {*SECTIONS}


@pytest.mark.parametrize("section", SECTIONS)
def test_page_and_proposal_read_what_was_made(section: str, tmp_path: Path, capsys) -> None:
    root = tmp_path / "data"
    truth = make(section, root)
    for line in blocks(section, "text")[0].splitlines():
        assert (root / line).is_file(), line
    if section == "Colours":  # told, and converted by the lines of the page
        assert main([str(root)], tmp_path) == 1
        assert "(128, 0, 0)" in capsys.readouterr().err
        subprocess.run([sys.executable, "-c", blocks(section, "python")[0]], cwd=root, check=True)
    if section == "Many folders":
        assert main([str(root)], tmp_path) == 1
        assert "Many folders" in capsys.readouterr().err
        subprocess.run(["bash", "-ec", blocks(section, "sh")[0]], cwd=root, check=True)
        root = tmp_path / "linked"
    words = []
    for text in blocks(section, "yaml"):
        page = resolved(yaml.safe_load(text), root)
        same(read(page), truth)
        unknown = ["void"] if section == "Splits of your own" else []
        words = [f"classes={','.join([*page['classes'], *unknown])}"]
    assert look(root, tmp_path)["classes"]
    found = resolved(look(root, tmp_path, *words))
    same(read(found), truth)
    for key in ("task", "annotator", "classes", "class_colours", "background") if words else ():
        assert page[key] == found[key], key
    said = capsys.readouterr().out
    assert 'make run ARGS="dataset=mine' in said and 'make run ARGS="dataset=mine"' in PAGE
    assert ("make annotate RUN=mine" in said) == (section == "No labels yet")


def test_other_lines_of_the_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for n in (1, 2, 3, 4):
        save(tmp_path / f"v/images/la_{n}.nii.gz", np.random.default_rng(n).random((6, 9, 9)))
        save(
            tmp_path / f"v/labels/la_{n}.nii.gz",
            np.arange(486, dtype=np.uint8).reshape(6, 9, 9) % 3,
        )
        for cls in ("tumour", "stroma"):
            save(tmp_path / f"r/{cls}/s{n}_7.png", np.full((8, 8, 3), 30 * n, np.uint8))
    (tmp_path / "v").rename(tmp_path / "data")
    subprocess.run(["bash", "-ec", blocks("Volumes", "sh")[0]], cwd=tmp_path / "data", check=True)
    assert sorted(read(resolved(look(tmp_path / "raw", tmp_path)))) == [
        f"la_{n}" for n in (1, 2, 3, 4)
    ]
    assert "6 cycles ask for 60 regions, and no more than" in capsys.readouterr().out
    lines = blocks("Regions of interest", "python")[0]
    subprocess.run([sys.executable, "-c", lines], cwd=tmp_path / "r", check=True)
    own = look(tmp_path / "r", tmp_path)
    assert (
        own["classes"] == ["stroma", "tumour"] and own["layout_options"]["image_column"] == "slide"
    )
    assert len(read(resolved(own))) == 8


@pytest.mark.parametrize("name", ["cityscapes", "kits23", "bracs", "voc"])
def test_published_layouts(name: str, tmp_path: Path) -> None:
    root = tmp_path / "archive" / "data"  # one folder further down, as unpacked
    if name == "voc":
        make_voc(root)
    else:
        sizes = {"cityscapes": {"train": 5, "val": 2}, "kits23": {"cases": 4}}
        generate(f"{name}_mini", root, 0, **sizes.get(name, {"train": 7, "val": 2, "test": 3}))
    own = look(tmp_path / "archive", tmp_path)
    known = read_yaml(ROOT / f"config/datasets/{name}.yaml")
    assert (own["layout"], own["classes"]) == (name, known["classes"])
    assert own["class_colours"] == known["class_colours"] and own["data_root"] == str(root)
    rows = get_layout(name, {}, known["classes"]).index(root)
    assert {row.split for row in rows} == {split for split, _ in read(resolved(own)).values()}
    assert len(read(resolved(own))) == len(rows)


def test_what_is_odd_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "data"
    make(SECTIONS[0], root)
    (root / "images/Thumbs.db").write_bytes(b"")
    (root / "masks/p02_2_mask.png").unlink()
    (root / "masks/.hidden.png").write_bytes(b"")
    own = look(root, tmp_path, "classes=ground, vessel,tumour,nerve,bone")
    assert "in no label that was read: nerve, bone" in capsys.readouterr().out
    own = look(root, tmp_path, "classes=ground, vessel,tumour,void")
    said = capsys.readouterr().out
    assert own["classes"] == ["ground", "vessel", "tumour"]
    assert own["layout_options"]["exclude"] == ["p02_2"] and len(read(resolved(own))) == 17
    assert re.search(own["group"], "p01_3")[1] == "p01"
    for told in (
        "1 .db",
        "p02_2): left out by name",
        "value 255",
        "6 groups",
        "'p01_3' is of 'p01'",
    ):
        assert told in said, told
    half = (root / "images/p01_1.jpg").read_bytes()[:-50]
    (root / "images/p01_1.jpg").write_bytes(half)
    look(root, tmp_path)
    assert re.search("a run will refuse: (?s:.*)p01_1.jpg", capsys.readouterr().out)
    for file in sorted((root / "masks").glob("p0[1-3]*")):
        file.unlink()
    assert look(root, tmp_path)["annotator"] == "human"
    before = (tmp_path / "mine.yaml").read_bytes()
    for words, told in (
        ([], "mine.yaml is there already"),
        (["--replace", "clases=a"], "did you mean 'classes'"),
        (["--replace", "classes=a,b"], "hold the values 0, 1, 2, 255; allowed: a name for each"),
    ):
        assert main([str(root), "--name", "mine", *words], tmp_path) == 1
        assert told in capsys.readouterr().err
    assert (tmp_path / "mine.yaml").read_bytes() == before


def test_splits_and_channels_are_told(tmp_path: Path, capsys, monkeypatch) -> None:
    make("Splits of your own", tmp_path / "s")
    for path in sorted((tmp_path / "s").glob("*/*.png")):
        path.rename(path.with_name(f"v{int(path.stem) % 4}_{path.name}"))
    (tmp_path / "s/test").mkdir()
    Image.effect_noise((48, 40), 90).convert("RGB").save(tmp_path / "s/test/v9_1.png")
    look(tmp_path / "s", tmp_path)
    said = capsys.readouterr().out
    assert "scores are computed on val/" in said and "test/ is left out: 1 image" in said
    assert "lies in several splits" in said
    for name in [*(f"train/{n}" for n in range(5)), *(f"val/{n}" for n in range(3))]:
        save(tmp_path / f"twice/images/{name}.png", np.zeros((9, 9, 3), np.uint8))
        save(tmp_path / f"twice/labels/{name}.png", np.zeros((9, 9), np.uint8))
    assert main([str(tmp_path / "twice")], tmp_path) == 1
    assert "0: 2 files carry this name" in capsys.readouterr().err
    make("Volumes", tmp_path / "v")
    held = {"labels": {"b": 0, "x": 1, "y": 2}, "channel_names": {"0": "T1", "1": "T2"}}
    write_json(tmp_path / "v/dataset.json", held)
    monkeypatch.setattr("al.cli.dataset.CELLS", 1000)  # more are taken for a long wait
    own = look(tmp_path / "v", tmp_path)
    assert (own["layout_options"], own["pixels"]) == ({"channel": 0}, {"cells": 20_000})
    assert "{0: 'T1', 1: 'T2'}" in (tmp_path / "mine.yaml").read_text()


@pytest.mark.parametrize(
    ("image", "label", "options"),
    [
        ("{n}_img.png", "{n}_inst.png", {"image_tail": "_img", "label_tail": "_inst"}),
        ("imagesTr/{n}_0000.png", "labelsTr/{n}.png", {"image_tail": "_0000"}),
        ("instruments/{n}.png", "drawn/{n}.png", {}),
        ("scan/{n}.png", "image_labels/{n}.png", {}),
    ],
)
def test_folders_by_names_or_by_what_they_hold(image, label, options, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (9, 9, 3), np.uint8)
    save(tmp_path / "a/unlike/011_y.png", noise)  # begins as a label does
    for n in ("01", "02", "10"):
        save(tmp_path / image.format(n=n), noise)
        save(tmp_path / label.format(n=n), np.arange(81, dtype=np.uint8).reshape(9, 9) % 3)
    held = {"images": str(Path(image).parent), "labels": str(Path(label).parent)}
    assert recognise(tmp_path).options == {"splits": {"unsplit": held}, **options}


def test_it_needs_neither_torch_nor_snakemake(tmp_path: Path) -> None:
    make(SECTIONS[0], tmp_path / "data")
    code = "import sys; from pathlib import Path; from al.cli.dataset import main\n"
    code += f"assert main([{str(tmp_path / 'data')!r}], Path({str(tmp_path)!r})) == 0\n"
    code += "assert not {'torch', 'snakemake'} & {*sys.modules}"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT / "scripts")


@settings(deadline=None)
@given(st.sets(st.integers(0, 255), min_size=1, max_size=12), st.randoms(), st.booleans())
def test_values_and_colours_of_any_palette(tmp_path_factory, values, random, palette) -> None:
    file = tmp_path_factory.mktemp("label") / "label.png"
    ids = np.array(random.choices(sorted(values), k=99) + sorted(values), np.uint8)[None]
    colours = [random.randrange(256) for _ in range(768)]
    save(file, ids, colours if palette else None)
    counts, found = read_values([PoolRow("a", "", "", "", str(file), ids.shape)])
    assert counts == {v: int((ids == v).sum()) for v in sorted(values)}
    assert all(found[v] == colours[3 * v : 3 * v + 3] for v in values) if palette else not found
    names = [random.choice(["void", f"n{v}"]) for v in counts]
    classes, kept, void = name_values([*counts], names)
    assert dict(zip(kept, classes, strict=True)) == {
        v: n for v, n in zip(counts, names, strict=True) if n != "void"
    } and sorted(kept + void) == [*counts]
    classes, kept, void = name_values([*counts], [])
    assert sorted(kept + void) == [*counts] and void in ([], [255])
    options = {"splits": {"unsplit": {"images": "."}}, "ids": kept, "void": void}
    layout = get_layout("folders", options, classes, unlabelled=True)
    label = layout.open_label(PoolRow("a", "", "", "", str(file), ids.shape))
    assert all(
        kept[c] == v if c != 255 else v in void for c, v in zip(label[0], ids[0], strict=True)
    )


@pytest.mark.parametrize(
    ("values", "void"),
    [([0, 255], []), ([0, 127, 255], []), ([0, 85, 170, 255], []), ([0, 1, 255], [255]),
     ([1, 2, 3], []), ([*range(200), 255], [255]), ([255], []), ([0, 3, 7, 255], [255]),
     ([0, 64, 255], []), ([0, 50, 255], [])],
)  # fmt: skip
def test_255_is_void_unless_it_ends_a_scale_of_greys(values: list[int], void: list[int]) -> None:
    assert name_values(values, [])[1:] == ([v for v in values if v not in void], void)
    with pytest.raises(ConfigError, match="label files hold the values 2, 5, 9; allowed"):
        name_values([2, 5, 9], ["a", "b"])
