"""``al.config.settings`` without Snakemake: forms of values, refusals, and the guard of a run."""

from __future__ import annotations

import inspect
import shutil
from copy import deepcopy
from importlib import import_module
from pathlib import Path

import pytest
import yaml

from al.config.settings import load_settings, normalise, read_yaml, save_settings
from al.generators import GENERATORS, sizes_in
from al.io.errors import ConfigError

from .kit import ROOT, config, guard, load

EVERY_CLASS_0 = dict.fromkeys(config()["classes"], 0)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"seeds": 3}, {"seeds": [0, 1, 2]}),
        ({"seeds": "3"}, {"seeds": [0, 1, 2]}),
        ({"seeds": 2.0}, {"seeds": [0, 1]}),
        ({"seeds": "0,2"}, {"seeds": [0, 2]}),
        ({"seeds": ["0", "2"]}, {"seeds": [0, 2]}),
        ({"seeds": [4]}, {"seeds": [4]}),
        ({"seeds": "4,"}, {"seeds": [4]}),
        ({"strategies": "decomp, random"}, {"strategies": ["decomp", "random"]}),
        ({"references": "none"}, {"references": []}),
        ({"references": None}, {"references": []}),
        ({"references": "full"}, {"references": ["full"]}),
        ({"budget": "5x4,10x2"}, {"budget": ["5x4", "10x2"]}),
        ({"cycles": 3.0, "steps": "10"}, {"cycles": 3, "steps": 10}),
        ({"region": "24x32"}, {"region": [24, 32]}),
        ({"region": "24,32"}, {"region": [24, 32]}),
        ({"region": ["24", "32"]}, {"region": [24, 32]}),
        ({"thresholds": "0.3,0.7"}, {"thresholds": [0.3, 0.7]}),
        ({"thresholds": 0.7}, {"thresholds": [0.7]}),
        ({"run": None}, {"run": "cityscapes_mini-convnet"}),
        ({"run": 1000.0}, {"run": "1000.0"}),
        ({"run": 7}, {"run": "7"}),
        ({"split": {"folds": "5"}}, {"split": {"folds": 5}}),
        ({"groups": {"all": ["1", "2"]}}, {"groups": {"all": [1, 2]}}),
    ],
)
def test_forms_of_the_command_line_become_one(given: dict, expected: dict) -> None:
    once = normalise(config(**given))
    assert {key: once[key] for key in expected} == expected
    assert normalise(once) == once


def test_nested_text_from_the_command_line_gets_its_type() -> None:
    found = normalise(
        config(
            decomp={"tau": "0.5", "cap": "null", "score": "fraction", "emphasis": {"car": "2"}},
            convnet={"crop": ["32", "32"], "augment": "false"},
            layout_options={"downsample": "2"},
            report={"overlay_images": "1", "colours": {"decomp": "#112233"}},
        )
    )
    section = found["decomp"]
    assert (section["tau"], section["cap"], section["score"]) == (0.5, None, "fraction")
    assert section["emphasis"] == {"car": 2}
    assert found["convnet"].items() >= {"crop": [32, 32], "augment": False}.items()
    assert found["layout_options"]["downsample"] == 2
    assert found["report"]["overlay_images"] == 1
    assert found["report"]["colours"]["decomp"] == "#112233"
    load_settings(found, ROOT)


def test_names_that_look_like_numbers_stay_text() -> None:
    found = normalise(config("kits23", layout_options={"exclude": ["00015"]}))
    assert found["layout_options"]["exclude"] == ["00015"]
    assert normalise(config("bracs_mini"))["classes"][0] == "N"


def test_normalise_leaves_its_argument_alone_and_home_is_found() -> None:
    given = config(data_root="~/data")
    before = deepcopy(given)
    assert normalise(given)["data_root"] == str(Path.home() / "data")
    assert given == before


@pytest.mark.parametrize(
    "dataset", sorted(p.stem for p in (ROOT / "config/datasets").glob("*.yaml"))
)
def test_every_dataset_resolves_and_again_from_its_own_result(dataset: str, tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text('{"labels": {"background": 0, "a": 1, "b": 2}}')
    changes = {} if dataset.endswith("_mini") else {"data_root": str(tmp_path)}
    settings = load(dataset, **changes)
    assert normalise(settings) == settings
    people = settings["annotator"] == "human"
    known = {"decomp"} if people else {"random", "uncertainty", "decomp"}
    assert set(settings["definitions"]) == known
    assert len(settings["seeds"]) == 1 or not people


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cyles": 3}, "unknown key 'cyles', did you mean 'cycles'"),
        ({"decomp": {"tua": 0.5}}, "unknown key 'decomp.tua', did you mean 'tau'"),
        ({"report": {"colors": {}}}, "unknown key 'report.colors', did you mean 'colours'"),
        ({"convnet": {"widht": 3}}, "convnet.widht: unknown key; did you mean 'width'"),
        ({"layout_options": {"downsampel": 2}}, "did you mean 'downsample'"),
        ({"annotator": "human", "strategies": "decomp,random"}, "with annotator=human: one"),
        ({"annotator": "human", "strategies": "random_fg33"}, "reads ground truth, which people"),
        ({"annotator": "human", "initial": "nnactive"}, "human: random, diverse, labelled"),
        ({"initial": "labelled"}, "takes annotator=human"),
        ({"strategies": "decmp"}, "strategy 'decmp' is unknown; did you mean 'decomp'"),
        ({"strategies": "decomp,decomp"}, "non-unique"),
        ({"strategies": ""}, "strategy '' is unknown"),
        ({"strategies": "none", "references": "none"}, "nothing is left to run"),
        ({"learner": "convnett"}, "learner 'convnett' is unknown; did you mean 'convnet'"),
        ({"layout": "cityscape"}, "layout 'cityscape' is unknown; did you mean 'cityscapes'"),
        ({"task": "3d"}, "holds task '2d', not '3d'"),
        ({"references": "fulll"}, "'full', 'full_same_steps'"),
        ({"seeds": 0}, "seeds: "),
        ({"seeds": "0,-1"}, "seeds.1"),
        ({"seeds": [1, 1]}, "non-unique"),
        ({"seeds": True}, "seeds.0"),
        ({"cycles": 0}, "cycles: 0"),
        ({"cycles": 2.5}, "cycles: 2.5"),
        ({"budget": "5by3"}, "5by3"),
        ({"budget": "0x3"}, "0x3"),
        ({"region": "24"}, "region"),
        ({"run": "a/b"}, "a/b"),
        ({"run": "../up"}, "../up"),
        ({"shards": 0}, "shards"),
        (
            {"decomp": {"emphasis": {"rode": 2}}},
            "decomp.emphasis: class 'rode' is unknown; did you mean 'road'",
        ),
        ({"decomp": {"tau": 0.6}}, "tau 0.6"),
        ({"background": 19}, "background 19"),
        ({"patch": "4x8x8"}, "patch [4, 8, 8] has 3 sides; task '2d' takes 2"),
        ({"decomp": {"emphasis": EVERY_CLASS_0}}, "emphasis is 0 for every class"),
        ({"strategies": "pe", "clasp": {"stride": [1, 2, 2]}}, "3 numbers; allowed: one, or 2"),
        ({"clasp": {"beta": 1e10}}, "clasp.beta"),
        ({"spatial": {"sigma": 1e-7}}, "spatial.sigma"),
        ({"footprint": "annulus", "region": "1x1"}, "region [1, 1]: hole is 0.5"),
        ({"region": "1:30,24"}, "region.0: '1:30' is not of type 'integer'"),
        ({"region": "24,100001"}, "region.1: 100001 is greater than the maximum of 100000"),
        ({"full_steps": 10**12}, "greater than the maximum"),
        ({"convnet": {"members": 10**9}}, "a whole number from 1 to 100. Networks of an ensemble"),
        ({"report": {"share": float("nan")}}, "report.share: nan; allowed: finite"),
        ({"random_centres": {"low": float("-inf")}}, "random_centres.low: -inf"),
        ({"clasp": {"beta_first": float("nan")}}, "clasp.beta_first: nan"),
        ({"footprint": "circle"}, "'square', 'disc', 'annulus'"),
        ({"initial": "nnactive", "footprint": "disc"}, "footprint 'disc' is for windows"),
        ({"initial": "nnActive"}, "'random', 'diverse', 'nnactive'"),
        ({"clasp": {"bta": 1}}, "unknown key 'clasp.bta', did you mean 'beta'"),
        ({"uncertainty": "mutual_information"}, "(convnet.members is 1); allowed: entropy"),
        ({"groups": {"all": [0, 19]}}, "groups.all"),
        ({"split": {"train": 0.5, "val": 0.1, "test": 0.3}}, "sum to 0.9"),
        ({"split": {"folds": 2}, "seeds": 3}, "there are 2"),
        ({"split": {"folds": 1}}, "split"),
        ({"group": "(p"}, "group: '(p': missing )"),
        ({"group": "p", "layout_options": {"group_column": "x"}}, "group: 'p' beside group_column"),
        ({"changed_data": "keep"}, "'keep' is not one of ['refuse', 'take']"),
        ({"split": {"train": 0.5}}, "split"),
        ({"data_root": "/nowhere/at/all"}, "'/nowhere/at/all' is not a folder"),
        (
            {"generate": {"heigth": 64}},
            "generate.heigth: no size of cityscapes_mini; did you mean 'height'? "
            "allowed: height, train, val, width",
        ),
        (
            {"dataset": "kits23_mini", "generate": {"height": 64}},
            "no size of kits23_mini; allowed: cases, depth, side",
        ),
        ({"generate": {"seeed": 1}}, "generate.seeed: no size of cityscapes_mini"),
        ({"generate": {"height": 15}}, "generate.height: 15 is less than the minimum of 16"),
        ({"generate": {"train": 0}}, "generate.train: 0 is less than the minimum of 1"),
        ({"generate": {"train": 2.5}}, "generate.train: 2.5 is not of type 'integer'"),
        ({"generate": {"name": "city_mini"}}, "did you mean 'cityscapes_mini'"),
        (
            {"data_root": "/nowhere/at/all", "generate": {"train": 3}},
            "generate: sizes (train) of data to generate, and data_root '/nowhere/at/all'",
        ),
    ],
)
def test_mistakes_name_the_key_and_what_is_allowed(changes: dict, message: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        load(**changes)
    assert message in str(refusal.value)


def test_a_dataset_that_is_not_generated_needs_its_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="dataset 'camvid' needs data_root=FOLDER"):
        load("camvid")
    assert load("camvid", data_root=str(tmp_path))["generate"] is None
    assert load()["data_root"] == "data/cityscapes_mini"


def test_generated_data_of_other_sizes_lie_in_a_folder_of_their_own() -> None:
    assert load(generate={"seed": 1})["data_root"] == "data/cityscapes_mini"
    small = load(generate={"width": "64", "height": 32})
    assert small["generate"] == {"name": "cityscapes_mini", "seed": 0, "height": 32, "width": 64}
    assert small["data_root"] == "data/cityscapes_mini-height32-width64"
    assert load(generate={"height": 32, "width": 65})["data_root"] != small["data_root"]


@pytest.mark.parametrize("name", GENERATORS)
def test_the_schema_knows_every_size_of_a_generator(name: str) -> None:
    schema = yaml.safe_load((ROOT / "config/schemas/config.schema.yaml").read_text())
    known = schema["properties"]["generate"]["properties"]
    sizes = inspect.signature(import_module(f"al.generators.{name}").write).parameters.keys()
    sizes -= {"root", "seed"}
    assert sizes <= known.keys()
    settings = load(name, generate=dict.fromkeys(sizes, 16))
    assert sizes_in(settings["generate"]) == dict.fromkeys(sizes, 16)


def test_the_same_key_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "twice.yaml"
    file.write_text("a: 1\nb: {c: 1, c: 2}\n")
    with pytest.raises(ConfigError, match=r"twice.yaml: \['c'\] defined twice"):
        read_yaml(file)


def with_strategies(folder: Path, text: str) -> Path:
    """Return a project folder that holds these strategies beside the usual ones."""
    shutil.copytree(ROOT / "config", folder / "config")
    with (folder / "config/strategies.yaml").open("a") as file:
        file.write(text)
    return folder


def test_an_ablation_is_three_lines(tmp_path: Path) -> None:
    root = with_strategies(tmp_path, "mine:\n  images: uncertainty\n  regions: decomp\n")
    settings = load_settings(config(strategies="mine", decomp={"tau": 0.5}), root)
    mine = settings["definitions"]["mine"]
    assert (mine["images"], mine["regions"], mine["tau"]) == ("uncertainty", "decomp", 0.5)


def test_a_wrong_option_is_refused_for_all_strategies_too() -> None:
    with pytest.raises(ConfigError, match=r"tau 0\.6 is not among"):
        load(strategies="all", decomp={"tau": 0.6})


def test_more_cycles_are_refused_only_where_the_noise_has_a_schedule(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    names = "pe,clasp_pe_beta_1,clasp_pe_no_noise,power_pe,random"
    save_settings(load(strategies=names, cycles=3), file)
    guard(load(strategies=names, cycles=5), file)


def test_all_strategies_are_those_that_can_run_here() -> None:
    street, kidney = load(strategies="all"), load("kits23_mini", strategies="all")
    assert "spatial" in street["strategies"] and "bald" not in street["strategies"]
    assert "spatial" not in kidney["strategies"] and "clasp_pe" in kidney["strategies"]
    pair = load("kits23_mini", strategies="all", convnet={"members": 2})
    assert {"bald", "power_bald"} == set(pair["strategies"]) - set(kidney["strategies"])
    assert "clasp_pe" not in load("bracs_mini", strategies="all")["strategies"]
    assert set(pair["definitions"]) == set(pair["strategies"])


def test_the_schedule_of_the_noise_is_part_of_a_run(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    save_settings(load(strategies="clasp_pe", cycles=5), file)
    guard(load(strategies="clasp_pe", cycles=8, clasp={"beta_steps": 5}), file)
    with pytest.raises(ConfigError, match=r"definitions\.clasp_pe\.beta_steps: 5 -> 8"):
        guard(load(strategies="clasp_pe", cycles=8), file)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("mine: {images: decomp}", "has ['images']; allowed: `images` and `regions`, or `pool`"),
        ("mine: {tau: 0.3}", "has neither"),
        ("mine: {images: decomp, regions: decomp, pool: clasp}", "or `pool` alone"),
        ("mine: {pool: clasp, beta: 0}", "mine.beta"),
        ("mine: {pool: clsp}", "did you mean 'clasp'"),
        ("mine: {pool: uncertainty, tau: 0.3}", "they have no options"),
        ("mine: {images: decomp, regions: decmp}", "did you mean 'decomp'"),
        (
            "mine: {images: decomp, regions: decomp, tua: 1}",
            "option 'tua' is not read by its selectors; did you mean 'tau'",
        ),
        ("mine: {images: decomp, regions: decomp, tau: 0.6}", "tau 0.6"),
        ("mine: {images: decomp, regions: decomp, emphasis: {x: 1}}", "class 'x'"),
        ("initial: {images: decomp, regions: decomp}", "initial"),
        ("decomp: {images: decomp, regions: decomp}", "['decomp'] defined twice"),
    ],
)
def test_wrong_strategies_are_refused(entry: str, message: str, tmp_path: Path) -> None:
    root = with_strategies(tmp_path, f"{entry}\n")
    with pytest.raises(ConfigError) as refusal:
        load_settings(config(strategies="mine" if "mine" in entry else "decomp"), root)
    assert message in str(refusal.value)


def test_the_guard_lets_more_of_the_same_pass(tmp_path: Path) -> None:
    file = tmp_path / "run/config.yaml"
    save_settings(load(strategies="decomp", seeds=1, cycles=3), file)
    same = {"strategies": "random", "seeds": 5, "cycles": 9, "budget": "1x1", "references": "none"}
    guard(load(**same, report={"share": 0.9}), file)


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"steps": 201}, "steps: 200 -> 201"),
        ({"region": "10x10"}, "region: [24, 24] -> [10, 10]"),
        ({"convnet": {"width": 8}}, "convnet.width: None -> 8"),
        ({"layout_options": {"downsample": 2}}, "layout_options.downsample: None -> 2"),
    ],
)
def test_the_guard_names_what_differs(changes: dict, difference: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    save_settings(load(steps=200), file)
    with pytest.raises(ConfigError) as refusal:
        guard(load(**{"steps": 200, **changes}), file)
    assert difference in str(refusal.value) and "run=" in str(refusal.value)


def test_a_strategy_may_be_added_but_not_redefined(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    save_settings(load(strategies="random"), file)
    save_settings(load(strategies="decomp"), file)
    assert set(read_yaml(file)["definitions"]) == {"random", "decomp"}
    changed = load(strategies="decomp,uncertainty")
    guard(changed, file)
    changed["definitions"]["decomp"]["tau"] = 0.3
    with pytest.raises(ConfigError, match=r"definitions\.decomp\.tau: 0\.7 -> 0\.3"):
        guard(changed, file)


@pytest.mark.parametrize("dataset", ["cityscapes", "voc"])
def test_steps_of_a_dataset_are_those_of_the_learner(dataset: str, tmp_path: Path) -> None:
    steps = {"mmseg": 64000 if dataset == "cityscapes" else 40000, "convnet": 20000}
    for learner, expected in steps.items():
        found = load(dataset, learner=learner, data_root=str(tmp_path))
        assert found["steps"] == expected
        assert normalise(found)["steps"] == expected
    assert load(dataset, data_root=str(tmp_path), steps="5")["steps"] == 5
    with pytest.raises(ConfigError, match="steps: the dataset has none for learner 'nnunet', only"):
        load(dataset, learner="nnunet", data_root=str(tmp_path))


@pytest.mark.parametrize("dataset", ["camvid", "cityscapes_mini", "cityscapes", "voc"])
@pytest.mark.parametrize("learner", ["convnet", "mmseg"])
def test_datasets_of_images_are_for_either_learner(
    dataset: str, learner: str, tmp_path: Path
) -> None:
    assert load(dataset, learner=learner, data_root=str(tmp_path))["learner"] == learner


def test_the_section_of_mmseg_is_checked_and_typed(tmp_path: Path) -> None:
    section = {"crop": ["32", "64"], "amp": "false", "options": {"a.b": "0.5"}}
    found = load(learner="mmseg", mmseg=section)["mmseg"]
    assert (found["crop"], found["amp"], found["options"]) == ([32, 64], False, {"a.b": 0.5})
    with pytest.raises(ConfigError, match=r"mmseg\.crp: unknown key"):
        load(learner="mmseg", mmseg={"crp": [8, 8]})
    with pytest.raises(ConfigError, match="does not do task 'roi'"):
        load("bracs_mini", learner="mmseg")
    with pytest.raises(ConfigError, match="mutual_information"):
        load(learner="mmseg", uncertainty="mutual_information")


def test_sections_of_other_learners_are_no_science(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    save_settings(load(), file)
    guard(load(mmseg={"batch": 2}), file)
    with pytest.raises(ConfigError, match=r"convnet\.width: None -> 8"):
        guard(load(convnet={"width": 8}), file)


def test_classes_of_nnunet_raw_are_those_of_its_dataset_json(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="dataset 'nnunet_raw' needs data_root=FOLDER"):
        load("nnunet_raw")
    with pytest.raises(ConfigError, match=r"dataset\.json: no such file"):
        load("nnunet_raw", data_root=str(tmp_path))
    assert load("hippocampus", data_root=str(tmp_path))["classes"][1] == "anterior"
    labels = '{"labels": {"background": 0, "Anterior": 1, "Posterior": 2, "ignore": 3}}'
    (tmp_path / "dataset.json").write_text(labels)
    found = load("nnunet_raw", data_root=str(tmp_path), decomp={"emphasis": {"Anterior": 2}})
    assert found["classes"] == ["background", "Anterior", "Posterior"]
    assert found["layout_options"]["void"] == 3
    file = tmp_path / "config.yaml"
    save_settings(found, file)
    (tmp_path / "dataset.json").write_text(labels.replace("Posterior", "posterior"))
    with pytest.raises(ConfigError, match=r"classes: .*'Posterior'\] -> .*'posterior'\]"):
        guard(load("nnunet_raw", data_root=str(tmp_path)), file)
    with pytest.raises(ConfigError, match="classes: 4 .*allowed: as many"):
        load("nnunet_raw", data_root=str(tmp_path), classes="a,b,c,d")
