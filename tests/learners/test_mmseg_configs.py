"""Configurations of mmsegmentation, and what is made of them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("mmseg", reason="the extra mmseg is not installed")

import torch

from al.io.errors import ConfigError
from al.learners import Start
from al.learners.mmseg.configs import check_weights, make_plan
from al.learners.mmseg.files import find_config
from al.learners.mmseg.model import Segmentor, build, load_pretrained, tag, untag
from al.learners.mmseg.preflight import check_all
from al.learners.mmseg.settings import MmsegSettings
from tests.learners.fakes import FakeLayout

ROOT = Path(__file__).resolve().parents[2]
TINY = str(Path(__file__).parent / "configs/unet_tiny.py")
NAMES = [f"c{n}" for n in range(11)]
# One of each family that mmsegmentation can build without a compiled operator or another package.
PACKAGED = [
    "segformer_mit-b0_8xb1-160k_cityscapes-1024x1024",
    "ocrnet_hr18s_4xb2-40k_cityscapes-512x1024",
    "swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512",
]


def plan(steps: int = 1000, **section: Any) -> Any:
    return make_plan(MmsegSettings.of({"config": TINY, **section}), NAMES, steps)


def edited(folder: Path, *changes: tuple[str, str]) -> str:
    """A copy of the small configuration with some text replaced."""
    text = Path(TINY).read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file = folder / "edited.py"
    file.write_text(text)
    return str(file)


@pytest.mark.parametrize("name", PACKAGED)
def test_configurations_of_the_package_build(name: str) -> None:
    found = plan(config=name)
    # A choice about weights is needed exactly where the configuration names some.
    if found.wanted:
        with pytest.raises(ConfigError, match="nothing is downloaded; allowed"):
            check_weights(MmsegSettings.of({"config": name}), found)
    check_weights(MmsegSettings.of({"config": name, "pretrained": "scratch"}), found)
    network = build(found.model, name)
    heads = network.decode_head
    heads = heads if isinstance(heads, torch.nn.ModuleList) else [heads]
    assert {head.conv_seg.out_channels for head in heads} == {11}
    assert not [m for m in network.modules() if isinstance(m, torch.nn.SyncBatchNorm)]


@pytest.mark.parametrize("file", sorted((ROOT / "config/mmseg").glob("*.py")), ids=lambda p: p.stem)
def test_our_configurations_build_and_predict(file: Path) -> None:
    found = plan(config=file.stem, inference="whole")
    network = build(found.model, file.stem).eval()
    image = np.random.default_rng(0).integers(0, 255, (96, 128, 3), dtype=np.uint8)
    p = Segmentor(network, torch.device("cpu"), FakeLayout({}), MmsegSettings.of({})).softmax(image)
    assert p.shape == (11, 96, 128)
    assert torch.allclose(p.sum(0), torch.ones(()), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("cgnet_fcn_4xb4-60k_cityscapes-680x680", 19),
        ("encnet_r50-d8_4xb2-40k_cityscapes-512x1024", 19),
    ],
)
def test_widths_and_class_weights_of_a_configuration_survive(name: str, classes: int) -> None:
    """Trained on and predicted with, as before a run."""
    section = MmsegSettings.of({"config": name, "pretrained": "scratch", "batch": 2})
    check_all(section, Start([str(n) for n in range(classes)], [], FakeLayout({})))


def test_no_weights_are_left_to_be_downloaded(tmp_path: Path) -> None:
    listed = (
        "init_cfg=[dict(type='Kaiming', layer='Conv2d'), dict(type='Pretrained', checkpoint='x')]"
    )
    file = edited(tmp_path, ('type="UNet",', f'type="UNet", pretrained=None, {listed},'))
    found = plan(config=file)
    assert found.wanted == "x"
    assert found.model["backbone"]["init_cfg"] == [{"type": "Kaiming", "layer": "Conv2d"}]
    file = edited(tmp_path, ('type="UNet",', 'type="UNet", pretrained=True,'))
    assert plan(config=file).wanted == "pretrained weights"
    assert plan(config=file).model["backbone"]["pretrained"] is False


def test_names_and_files_are_found() -> None:
    assert find_config(TINY) == Path(TINY)
    assert find_config("upernet_internimage_t").parent == ROOT / "config/mmseg"
    with pytest.raises(ConfigError, match="nowhere.py is no file"):
        find_config("nowhere.py")
    with pytest.raises(ConfigError, match=r"'fast_scn_small' is unknown; did you mean 'fast_scnn_"):
        find_config("fast_scn_small")


def test_classes_losses_and_norms_are_ours() -> None:
    text = repr(plan().model)
    assert "'num_classes': 19" not in text
    assert text.count("'num_classes': 11") == 2
    assert text.count("'avg_non_ignore': True") == text.count("'CrossEntropyLoss'") == 2
    assert "'use_sigmoid': True" not in text
    assert "SyncBN" not in text
    assert plan(crop=[24, 40]).model["data_preprocessor"]["size"] == (24, 40)


def test_a_boundary_head_keeps_its_one_output() -> None:
    found = plan(options={"model.auxiliary_head.num_classes": 1})
    assert found.model["auxiliary_head"]["num_classes"] == 1


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"options": {"optim_wraper.optimizer.lr": 1}}, "did you mean 'optim_wrapper'"),
        ({"options": {"model.decod_head.channels": 1}}, r"model\.decod_head is not there; did you"),
        ({"options": {"default_hooks.x": 1}}, "default_hooks.*allowed: crop_size, model"),
        ({"config": "mask2former_r50_8xb2-90k_cityscapes-512x1024"}, "mmdet"),
        ({"config": "convnext-tiny_upernet_8xb2-amp-160k_ade20k-512x512"}, "mmpretrain"),
        ({"accumulate": 3}, r"mmseg\.accumulate: 3; allowed: a divisor of 4"),
    ],
)
def test_sections_that_cannot_be_used_are_refused(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        plan(**section)
    assert "sys.path" not in str(caught.value)


def test_addresses_of_weights_are_told() -> None:
    name = "deeplabv3plus_r50-d8_4xb4-40k_voc12aug-512x512"
    with pytest.raises(ConfigError, match="https://.*resnet50_v1c"):
        check_weights(MmsegSettings.of({"config": name}), plan(config=name))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "train_dataloader = dict(batch_size=4)",
            "train_dataloader = dict(dataset=dict(metainfo=dict(classes=['a', 'b'])))",
            r"edited.py is for the 2 classes a, b; the dataset has 11: c0, c1",
        ),
        (
            "loss_weight=1.0",
            "loss_weight=1.0, class_weight=[1.0, 2.0]",
            "class_weight has 2 numbers, and the dataset 11 classes",
        ),
        ('type="FCNHead"', 'type="STDCHead"', "STDCHead learns the outlines of labels"),
        ('type="RandomFlip", prob=0.5', 'type="GenerateEdge"', "GenerateEdge learns the outlines"),
        ('type="FCNHead"', 'type="NoSuchHead"', "edited.py: KeyError: 'NoSuchHead"),
        ("model = dict(", "modell = dict(", "has no model; allowed: a whole configuration"),
        ("model = dict(", "model = dict)", "SyntaxError"),
        (
            "crop_size = (32",
            "_base_ = 'mmseg::fastscnn/fast_scnn_8xb4-160k_cityscapes-512x1024.py'\n"
            "crop_size = (32",
            "the file's path in .*mmseg",
        ),
        (
            'type="RandomFlip", prob=0.5',
            'type="RandomMosaic", prob=0.5',
            "RandomMosaic reads more than an image",
        ),
        ("by_epoch=False, begin=100", "by_epoch=True, begin=100", "counts epochs"),
        (
            'type="OptimWrapper"',
            'type="ApexOptimWrapper"',
            "allowed: OptimWrapper, AmpOptimWrapper",
        ),
        ("dict(batch_size=4)", "dict()", "mmseg.batch: null, and .* has no batch size"),
    ],
)
def test_what_cannot_be_used_is_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    file = edited(tmp_path, (old, new))
    with pytest.raises(ConfigError, match=message):
        build(plan(config=file).model, file)


@pytest.mark.parametrize(
    ("steps", "rise", "end"), [(1000, 100, 1000), (20, 2, 20), (5000, 100, 5000)]
)
def test_schedules_end_with_the_training(steps: int, rise: int, end: int) -> None:
    """A warm-up keeps its length, up to a tenth of the training."""
    first, second = plan(steps).schedule
    assert (first["begin"], first["end"]) == (0, rise)
    assert (second["begin"], second["end"]) == (rise, end)


def test_the_published_recipe_is_what_runs() -> None:
    settings = MmsegSettings.of({"pretrained": "scratch"})
    found = make_plan(settings, [str(n) for n in range(19)], 64000)
    assert (found.crop, found.batch) == ((512, 1024), 16)
    assert found.optim_wrapper["optimizer"] == {
        "type": "AdamW",
        "lr": 6e-5,
        "betas": (0.9, 0.999),
        "weight_decay": 0.05,
    }
    assert [(s["type"], s["begin"], s["end"]) for s in found.schedule] == [
        ("LinearLR", 0, 1500),
        ("PolyLR", 1500, 64000),
    ]
    network = build(found.model, "upernet_internimage_t")
    assert 28.7e6 < sum(p.numel() for p in network.backbone.parameters()) < 28.9e6
    from mmengine.optim import build_optim_wrapper

    optimizer = build_optim_wrapper(network, found.optim_wrapper).optimizer
    decayed = {id(p) for g in optimizer.param_groups if g["weight_decay"] for p in g["params"]}
    for name, parameter in network.named_parameters():
        assert (id(parameter) in decayed) == (parameter.ndim > 1), name


def test_published_weights_of_internimage_are_taken(tmp_path: Path) -> None:
    """Under the names of the published checkpoint, beside a classifier that is left."""
    shallow = MmsegSettings.of({"options": {"model.backbone.depths": [1, 1, 1, 1]}})
    network = build(make_plan(shallow, NAMES, 10).model, "upernet_internimage_t")
    rng = torch.Generator().manual_seed(0)
    weights = {
        k: torch.rand(v.shape, generator=rng) for k, v in network.backbone.state_dict().items()
    }
    torch.save({"model": {**weights, "head.weight": torch.zeros(3)}}, tmp_path / "weights.pth")
    told = load_pretrained(network, tmp_path / "weights.pth")
    assert "backbone from" in told and "1 other tensors left" in told
    for key, value in network.backbone.state_dict().items():
        assert torch.equal(value, weights[key]), key
    weights.popitem()
    torch.save({"model": weights}, tmp_path / "weights.pth")
    with pytest.raises(ConfigError, match='another architecture: Missing key.*"levels.3.norm'):
        load_pretrained(network, tmp_path / "weights.pth")


def test_options_and_the_learning_rate_reach_the_configuration() -> None:
    changes = {"model.decode_head.channels": 12, "param_scheduler.1.power": 0.5}
    found = plan(options=changes, learning_rate=0.25)
    assert found.model["decode_head"]["channels"] == 12
    assert found.schedule[1]["power"] == 0.5  # an element of a list
    assert found.optim_wrapper["optimizer"]["lr"] == 0.25


def test_samples_are_scaled_and_cropped_as_asked(tmp_path: Path) -> None:
    """Also where the configuration's pipeline does neither; a batch is filled up as a whole."""
    kinds = [t["type"] for t in plan().pipeline]
    assert kinds == ["ScaleImage", "CropAroundLabels", "RandomFlip", "PackSegInputs"]
    assert plan().pipeline[0] == {"type": "ScaleImage", "low": 0.9, "high": 1.1}
    assert plan(scales=[1, 2]).pipeline[0]["high"] == 2.0
    padded = plan(config="deeplabv3plus_r50-d8_4xb4-40k_voc12aug-512x512", crop=[256, 256])
    assert "Pad" not in [t["type"] for t in padded.pipeline]
    lines = re.findall(r"    dict\(type=\"Random(?:Resize|Crop)\".*\n", Path(TINY).read_text())
    file = edited(tmp_path, *[(line, "") for line in lines])
    assert [t["type"] for t in plan(config=file).pipeline] == kinds[1:]
    assert [t["type"] for t in plan(config=file, scales=[0.5, 1]).pipeline] == kinds


def test_the_form_on_disk_keeps_tuples_and_lists_apart() -> None:
    value = {"a": (1, [2, (3, "x")]), "b": {"c": None, "d": [True, 1.5]}}
    import json

    assert untag(json.loads(json.dumps(tag(value)))) == value
