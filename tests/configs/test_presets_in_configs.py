"""``backbone = dict(preset=NAME, weights=FILE)``: one entry sets all stages of a config."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from luss.configuration import read_config
from luss.datasets.transforms.resizing import sides_divisor
from luss.errors import LussError
from luss.models.backbones.presets import PRESETS, Preset
from luss.stages.stand_ins import loads_features

CONFIGS = Path(__file__).parents[2] / "configs"
PHOTOS = CONFIGS / "pass" / "pass_s_photos.py"
NAMES = (
    "pass/pass_s_photos.py",
    "pass/pass_s_photos_prior.py",
    "pass/pass_p_photos.py",
    "pass/pass_s_in300.py",
    "pass/pass_s_in50.py",
    "pass/pass_s_in919.py",
    "pass/nearest_centroid_photos.py",
    "pass/pretrained_photos.py",
    "pass/nearest_centroid_photos.py",
    "semi_supervised/pass_s_in50_adamw.py",
    "semi_supervised/pass_s_photos_lars.py",
    "semi_supervised/pass_s_photos_adamw.py",
    "distance_matching/resnet50.py",
    "pretrained/distance_matching.py",
    "pretrained/in50.py",
    "pretrained/in300.py",
    "pretrained/in919.py",
    "pretrained/semi_supervised.py",
    "pretrained/tuned_photos.py",
)
MEAN, STD = (0.1, 0.2, 0.3), (0.4, 0.5, 0.6)


@pytest.fixture(autouse=True)
def weights(monkeypatch, tmp_path):
    """The file of a preset ``vit14`` with its own normalisation."""
    preset = Preset(
        network="ViT",
        backbone={"type": "mmcls.VisionTransformer", "patch_size": 14},
        weights={"layout": "dinov2"},
        trained="",
        labels=False,
        file="vit14.pth",
        source="somebody",
        licence="",
        multiple=14,
        mean=MEAN,
        std=STD,
    )
    monkeypatch.setitem(PRESETS, "vit14", preset)
    path = tmp_path / "w.pth"
    path.write_bytes(b"")
    return str(path)


def entries(value, key):
    """All values of a key in a nested config."""
    if isinstance(value, Mapping):
        if key in value:
            yield value[key]
        for inner in value.values():
            yield from entries(inner, key)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from entries(inner, key)


@pytest.mark.parametrize("name", NAMES)
def test_all_stages_follow_the_preset(name, weights):
    options = {"backbone.weights": weights, "backbone.preset": "vit14"}
    config = read_config(CONFIGS / name, options)
    stages = config.stages
    assert config.weights == {"file": weights, "layout": "dinov2"}
    backbones = [one for one in entries(stages, "backbone") if isinstance(one, Mapping)]
    assert backbones and all(one == PRESETS["vit14"].backbone for one in backbones)
    # A stage that takes its checkpoint from the file looks at no photo.
    looking = [stage for stage in stages.values() if "pretrained" not in stage]
    for key, value in (("mean", MEAN), ("std", STD)):
        found = set(map(tuple, entries(looking, key)))
        assert found == {value}
    pipelines = [one for one in entries(looking, "pipeline") if one and not loads_features(one)]
    assert pipelines and all(sides_divisor(pipeline) % 14 == 0 for pipeline in pipelines)


def child(tmp_path, text):
    path = tmp_path / "child.py"
    path.write_text(f"_base_ = {str(PHOTOS)!r}\n{text}\n")
    return path


def test_the_entry_in_a_file_and_by_options(tmp_path, weights):
    entry = f"backbone = dict(preset='vit14', weights={weights!r})"
    config = read_config(child(tmp_path, entry))
    options = {"backbone.preset": "vit14", "weights": weights}
    assert config.stages == read_config(PHOTOS, options).stages
    # 96, 64 and 32 pixels.
    assert (config.short_side, config.crop_size, config.small_crop_size) == (98, 70, 28)
    config = read_config(child(tmp_path, entry), {"short_side": 447, "backbone.img_size": 28})
    assert config.short_side == 448
    assert config.stages.finetune.model.backbone.img_size == 28
    text = f"backbone = dict(preset='vit14', weights=dict(file={weights!r}, key='ema'))"
    config = read_config(child(tmp_path, text))
    assert config.weights == {"file": weights, "layout": "dinov2", "key": "ema"}


def test_further_keys_replace_those_of_the_preset(weights):
    options = {
        "backbone.preset": "vit14",
        "backbone.weights": weights,
        "backbone.out_indices": [2, 5],
        "backbone.mean": (0, 0, 0),
    }
    config = read_config(CONFIGS / "pass" / "pretrained_photos.py", options)
    model = config.stages.finetune.model
    assert model.backbone.out_indices == [2, 5]
    assert model.decode_head.in_index == [0, 1]
    assert model.data_preprocessor["mean"] == (0, 0, 0)
    assert model.data_preprocessor.std == STD


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "vit15", "weights": "FILE"}, "'vit15'.*'vit14'"),
        ({"preset": "vit14"}, r"backbone\.weights=FILE.*vit14\.pth of somebody"),
        ({"preset": "vit14", "weights": "no.pth"}, r"no\.pth.*vit14\.pth of somebody"),
        ({"preset": "vit14", "weights": "hub"}, "'hub'"),
        ({"preset": "vit14", "weights": "FILE", "type": "mmcls.ResNet"}, "type='mmcls.ResNet'"),
        ({"preset": "vit14", "weights": "FILE", "_weights": "b.pth"}, r"b\.pth"),
        ({"preset": "vit14", "weights": "FILE", "_mean": (0, 0, 0)}, r"backbone\.mean"),
    ],
)
def test_contradictions_are_rejected(options, message, weights):
    given = {
        key[1:] if key.startswith("_") else f"backbone.{key}": weights if value == "FILE" else value
        for key, value in options.items()
    }
    with pytest.raises(LussError, match=message):
        read_config(PHOTOS, given)


def test_contradictions_in_a_file_are_rejected(tmp_path, weights):
    entry = f"backbone = dict(preset='vit14', weights={weights!r})"
    path = child(tmp_path, f"{entry}\nstd = (1, 1, 1)")
    with pytest.raises(LussError, match=r"std = \(1, 1, 1\).*backbone\.std"):
        read_config(path)
    text = "stages = dict(one=dict(type='Train', model=dict(backbone='${config.backbone}')))"
    path.write_text(f"{entry}\n{text}\n")
    with pytest.raises(LussError, match=r"\$\{facts.weights\}"):
        read_config(path)


def differences(ours, theirs, place=""):
    """Places where two nested configs differ."""
    if not (isinstance(ours, Mapping) and isinstance(theirs, Mapping)):
        return {place} if ours != theirs else set()
    return {
        found
        for key in ours.keys() | theirs.keys()
        for found in differences(ours.get(key), theirs.get(key), f"{place}.{key}".strip("."))
    }


def differences_from_photos(name, **options):
    photos = read_config(CONFIGS / "pass" / "pretrained_photos.py")
    config = read_config(CONFIGS / "pretrained" / f"{name}.py", options)
    return differences(config.stages.to_dict(), photos.stages.to_dict())


@pytest.mark.parametrize("name", ["in50", "in300", "in919"])
def test_imagenet_s_has_the_recipe_of_photos(name):
    """As a row beside the paper's: photos of 256 pixels, read again, and no refinement."""
    config = read_config(CONFIGS / "pretrained" / f"{name}.py")
    assert config.short_side == 256 and config.stages.evaluate.refiner is None
    steps = {step["type"] for one in entries(config.stages, "pipeline") for step in one}
    assert "LoadFeatures" not in steps
    found = differences_from_photos(name, short_side=224)
    labels = "label_generation.test_dataloader"
    # So many photos cannot be clustered by their graph.
    generator = {name for name in found if ".test_cfg.generator." in name}
    assert config.stages.label_generation.test_cfg.generator.type == "TorchKMeans"
    assert found - generator - {"finetune.train_cfg.max_epochs"} == {
        "features",
        f"{labels}.embedding.dataset.pipeline",
        f"{labels}.pixels.dataset.pipeline",
        f"{labels}.validation.dataset.pipeline",
        "finetune.model.scales",
        "finetune.train_dataloader.dataset.pipeline",
        "evaluate.refiner",
        "report.title",
    }


def test_tuning_only_changes_the_optimizer_and_what_is_trained():
    wrapper = "finetune.optim_wrapper"
    assert differences_from_photos("tuned_photos") == {
        "finetune.model.frozen_backbone",
        "finetune.model.norm_eval",
        f"{wrapper}.constructor",
        f"{wrapper}.paramwise_cfg",
        "finetune.train_dataloader.dataset.pipeline",
        "report.title",
    }
