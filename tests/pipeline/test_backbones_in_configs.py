"""Other backbones through whole pipelines, and what is refused before the first stage starts."""

import copy
import json
import re

import pytest
import torch
from tiny_run import REPOSITORY, TINY, read_tiny

from luss.configuration import read_config
from luss.datasets.transforms.resizing import sides_divisor
from luss.errors import LussError
from luss.models.backbones.layouts import LAYOUTS
from luss.pipeline import Pipeline
from luss.registry import MODELS

VIT = {"embed_dims": 16, "num_layers": 2, "num_heads": 2, "feedforward_channels": 16}
SWIN = {"embed_dims": 8, "depths": [1] * 4, "num_heads": [1] * 4}


def narrowed(name, **options):
    """A config of the repository on tiny data, with its own backbone as narrow as it can be."""
    config = read_config(REPOSITORY / "configs" / "pass" / name, options)
    tiny = read_config(TINY)
    config.merge_from_dict({"data": tiny.data, "num_workers": 0, "seed": 3})
    config.stages.pop("report")
    for key, stage in config.stages.items():
        like = tiny.stages.get("finetune" if key == "finetune_semi" else key)
        if like is None:
            continue
        if "train_dataloader" in stage:
            loader = like.train_dataloader
            stage.train_dataloader.batch_size = loader.batch_size
            steps = copy.deepcopy(loader.dataset.pipeline)
            if key == "finetune_semi":
                steps = [step for step in steps if step.type != "FindMask"]
            stage.train_dataloader.dataset.pipeline = steps
            # More than those that warm up.
            stage.train_cfg.max_epochs = 6 if key == "finetune_semi" else 1
        if "test_dataloader" in like:
            stage.test_dataloader = copy.deepcopy(like.test_dataloader)
        if key == "label_generation":
            stage.test_cfg.generator = copy.deepcopy(like.test_cfg.generator)
        clustering = stage.model.get("clustering") if "train_cfg" in stage else None
        if clustering:
            clustering.num_prototypes = 10
    return config


def backbones(config):
    models = [stage.model for stage in config.stages.values() if "train_cfg" in stage]
    return [model.backbone for model in models]


def pipelines(config):
    for stage in config.stages.values():
        if "pretrained" in stage:
            continue  # looks at no photo
        loader = stage.get("train_dataloader") or stage.get("test_dataloader", {})
        loaders = [loader] if "dataset" in loader else loader.values()
        yield from (each.dataset.pipeline for each in loaders)


def test_dinov2_sees_whole_patches_and_is_tuned_as_a_vit_s():
    """ImageNetSegModel's recipe for ViT-S; its rate is of 256 images."""
    config = read_config(REPOSITORY / "configs/pass/dinov2_photos.py")
    assert {sides_divisor(pipeline) for pipeline in pipelines(config)} == {14, 224}
    stage = config.stages.finetune_semi
    assert stage.model.backbone.drop_path_rate == 0.1
    assert stage.optim_wrapper.paramwise_cfg.layer_decay == 0.5
    optimizer = stage.optim_wrapper.optimizer
    assert optimizer.weight_decay == 0.05
    assert optimizer.lr / stage.train_dataloader.batch_size == pytest.approx(5e-4 / 256)
    preprocessor = stage.model.data_preprocessor
    assert [step.type for step in preprocessor.augmentations][-1] == "GaussianBlur"
    of_backbone = [
        config.stages.pixel_attention.model.data_preprocessor,
        config.stages.label_generation.data_preprocessor,
    ]
    assert {tuple(each.std) for each in of_backbone} == {(0.229, 0.224, 0.225)}


@pytest.mark.parametrize(
    "name", ["pass_s_swin_photos.py", "densecl_swin_photos.py", "dinov2_photos.py"]
)
def test_configs_are_short(name):
    assert len((REPOSITORY / "configs" / "pass" / name).read_text().splitlines()) <= 30


def test_pass_s_on_a_swin(tmp_path):
    config = narrowed("pass_s_swin_photos.py")
    for backbone in backbones(config):
        backbone.arch = SWIN
    config.stages.pretrain.model.objectives.clustering.num_prototypes = 10
    Pipeline(config, str(tmp_path)).run()
    results = json.loads((tmp_path / "results.json").read_text())
    assert 0 <= results["fully_unsupervised"]["val"]["mIoU"] <= 100


def test_densecl_on_a_swin(tmp_path):
    """DenseCL, its hook, P2P and D2S on one backbone; the widths of its neck are read off."""
    config = narrowed("densecl_swin_photos.py")
    for backbone in backbones(config):
        backbone.arch = SWIN
    pretrain = config.stages.pretrain
    pretrain.model.objectives.clustering.num_prototypes = 10
    pretrain.custom_hooks[-1].start_iters = 2
    config.default_hooks.logger.interval = 1
    Pipeline(config, str(tmp_path)).run()
    (path,) = (tmp_path / "pretrain").glob("iter_*.pth")
    state = torch.load(path, weights_only=True)["state_dict"]
    assert state["neck.mlp.0.weight"].shape == (768, 64)
    assert state["encoder_k.steps"] == int(path.stem.removeprefix("iter_")) > 2
    (scalars,) = tmp_path.glob("pretrain/*/vis_data/scalars.json")
    logged = [json.loads(line) for line in scalars.read_text().splitlines()]
    for iteration, losses in enumerate(logged):
        # DenseCLHook holds the dense loss back at first.
        assert (losses["loss_dense"] > 0) == (iteration >= 2)
        assert losses["loss"] == pytest.approx(
            losses["loss_single"]
            + losses["loss_dense"]
            + 0.5 * (losses["loss_clustering"] + losses["loss_d2s_stage3"])
            + losses["loss_p2p"],
            rel=1e-5,
        )
    results = json.loads((tmp_path / "results.json").read_text())
    assert 0 <= results["fully_unsupervised"]["val"]["mIoU"] <= 100


@pytest.fixture
def dinov2(tmp_path):
    """A file of a tiny network with the names of DINOv2."""
    backbone = MODELS.build(
        {
            "type": "LayerScaleVisionTransformer",
            "arch": VIT,
            "patch_size": 8,
            "img_size": 64,
            "layer_scale": 0.3,
        }
    )
    names = [
        ("patch_embed.projection.", "patch_embed.proj."),
        ("attn.gamma1.weight", "ls1.gamma"),
        ("ffn.layers.3.weight", "ls2.gamma"),
        ("ffn.layers.0.0.", "mlp.fc1."),
        ("ffn.layers.1.", "mlp.fc2."),
        (".ln", ".norm"),
        ("layers.", "blocks."),
        ("ln1.", "norm."),
    ]
    state = {"mask_token": torch.zeros(1, 16)}
    for name, value in backbone.state_dict().items():
        for ours, theirs in names:
            name = name.replace(ours, theirs)
        state[name] = value
    torch.save(state, tmp_path / "dinov2.pth")
    return tmp_path / "dinov2.pth"


def test_dinov2_into_all_steps_and_protocols(tmp_path, dinov2):
    assert "dinov2" in LAYOUTS
    config = narrowed("dinov2_photos.py", weights=str(dinov2))
    for backbone in backbones(config):
        backbone.update(arch=VIT, patch_size=8, img_size=32)
    config.stages.distance_matching.test_dataloader.dataset.pipeline = copy.deepcopy(
        config.stages.evaluate.test_dataloader.dataset.pipeline
    )
    Pipeline(config, str(tmp_path / "run")).run()
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    for protocol in ("fully_unsupervised", "distance_matching", "semi_supervised"):
        assert 0 <= results[protocol]["val"]["mIoU"] <= 100
    # M_I is not in the file: it has been trained with the attention.
    start = torch.load(tmp_path / "run" / "pretrain" / "iter_0.pth", weights_only=True)
    (path,) = (tmp_path / "run" / "pixel_attention").glob("iter_*.pth")
    trained = torch.load(path, weights_only=True)
    assert not any("projector" in name for name in start["state_dict"])
    optimized = trained["optimizer"]["state"]
    learnt = re.compile(r"(projector|attention)\.(?!.*(running|num_batches))")
    assert len(optimized) == len([name for name in trained["state_dict"] if learnt.search(name)])
    for name, value in start["state_dict"].items():
        assert torch.equal(trained["state_dict"][name], value), name


# What is refused


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"stages__finetune__model__backbone__base_channels": 16},
            "'backbone' of stages.finetune cannot start from that of stages.pretrain: .*downsample",
        ),
        (
            {"stages__finetune__model__backbone__depth": 34},
            "'backbone' of stages.finetune cannot start.*only here: backbone.layer1.2",
        ),
        (
            {"stages__pixel_attention__model__clustering__hidden_channels": 24},
            "'objectives.clustering.projector' of stages.pixel_attention.*shape",
        ),
        (
            {"stages__finetune__model__decode_head__in_channels": 65},
            "stages.finetune|decode_head has in_channels=65, but .* 64",
        ),
        ({"stages__finetune__model__decode_head__num_classes": 4}, "num_classes is 4.* 7 classes"),
        (
            {"stages__pretrain__model__objectives__p2p__in_channels": 63},
            r"objectives.p2p has in_channels=63, but the backbone returns 64 \(stage 3 of 32",
        ),
        (
            {"stages__pretrain__model__objectives__d2s__stages": (2,)},
            "objectives.d2s reads stage 2, but the backbone returns stage 3 of 32 channels",
        ),
        (
            {"stages__pixel_attention__model__attention__channels": 63},
            "attention has channels=63, but the backbone returns 64",
        ),
        (
            {"stages__finetune__weights": {"file": "nowhere.pth", "layout": "moco"}},
            "there is no checkpoint nowhere.pth",
        ),
    ],
)
def test_what_does_not_fit_is_said_before_pretraining(tmp_path, options, message):
    with pytest.raises(LussError, match=message):
        Pipeline(read_tiny(**options), str(tmp_path)).run()
    assert not (tmp_path / "pretrain").exists()


def swap(config, backbone, **of_stage):
    for name in ("pretrain", "pixel_attention", "finetune"):
        config.stages[name].model.backbone = copy.deepcopy({**backbone, **of_stage.get(name, {})})
    return config


def test_norms_of_other_outputs_are_found_before_pretraining(tmp_path):
    backbone = {
        "type": "mmcls.ConvNeXt",
        "arch": {"depths": [1] * 4, "channels": [8, 8, 8, 16]},
        "out_indices": (2, 3),
        "gap_before_final_norm": False,
    }
    config = swap(read_tiny(), backbone, finetune={"out_indices": (3,)})
    # Without crops that are too small for it.
    loaders = [config.stages[name].train_dataloader for name in ("pretrain", "pixel_attention")]
    loaders[0].dataset.pipeline = copy.deepcopy(loaders[1].dataset.pipeline)
    with pytest.raises(LussError, match=r"only there: backbone\.norm2.*out_indices"):
        Pipeline(config, str(tmp_path)).run()
    assert not (tmp_path / "pretrain").exists()


PLAIN_VIT = {"type": "mmcls.VisionTransformer", "arch": VIT, "patch_size": 8, "img_size": 32}


@pytest.mark.parametrize("stage", ["pixel_attention", "label_generation", "finetune", "evaluate"])
def test_parts_of_patches_are_found_before_pretraining(tmp_path, stage):
    config = swap(read_tiny(), PLAIN_VIT, pretrain={"out_indices": [0, 1]})
    if stage in ("evaluate", "label_generation"):
        loaders = config.stages[stage].test_dataloader
        place = loaders.get("pixels", loaders).dataset
        place.pipeline = [*place.pipeline[:-2], {"type": "ResizeShortSide", "size": 44},
                          place.pipeline[-1]]  # fmt: skip
    else:
        crop = config.stages[stage].train_dataloader.dataset.pipeline
        next(step for step in crop if "Crop" in step.type).update(
            {"views": [{"count": 2, "size": 36}]} if stage == "pixel_attention" else {"size": 36}
        )
    with pytest.raises(LussError, match=rf"stages\.{stage}\..*multiple_of=8"):
        Pipeline(config, str(tmp_path)).run()
    assert not (tmp_path / "pretrain").exists()


def test_images_that_a_backbone_does_not_take_are_found_before_pretraining(tmp_path):
    backbone = {"type": "mmcls.SwinTransformer", "arch": SWIN, "out_indices": (2, 3)}
    with pytest.raises(LussError, match=r"no image of 16 x 16 pixels.*pad_small_map"):
        Pipeline(swap(read_tiny(), backbone), str(tmp_path)).run()
    assert not (tmp_path / "pretrain").exists()
