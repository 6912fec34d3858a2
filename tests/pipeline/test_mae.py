"""A masked autoencoder as L_e, and distance matching of its encoder, read into a plain one."""

import copy
import json

import pytest
import torch
from tiny_run import read_tiny

from luss.engine.checkpoint import load
from luss.errors import LussError
from luss.pipeline import Pipeline
from luss.registry import MODELS

ENCODER = {
    "arch": {"embed_dims": 16, "num_layers": 2, "num_heads": 2, "feedforward_channels": 24},
    "img_size": 32,
    "patch_size": 8,
}
MAE = {
    "type": "mmselfsup.MAE",
    "neck": {
        "type": "MAEPretrainDecoder",
        "num_patches": 16,
        "patch_size": 8,
        "embed_dim": 16,
        "decoder_embed_dim": 16,
        "decoder_depth": 1,
        "decoder_num_heads": 2,
    },
    "head": {
        "type": "MAEPretrainHead",
        "norm_pix": True,
        "patch_size": 8,
        "loss": {"type": "MAEReconstructionLoss"},
    },
}
PLAIN = {"type": "mmcls.VisionTransformer", "output_cls_token": False, **ENCODER}


def configured(backbone=PLAIN):
    """Pretraining of a MAE, and distance matching of what it learnt."""
    config = read_tiny()
    pretrain = config.stages.pretrain
    pretrain.model = {
        "type": "AlgorithmWithObjectives",
        "algorithm": copy.deepcopy(MAE),
        "backbone": {"type": "mmselfsup.MAEViT", **copy.deepcopy(ENCODER)},
    }
    pretrain.train_dataloader.dataset.pipeline = copy.deepcopy(
        config.stages.pixel_attention.train_dataloader.dataset.pipeline
    )
    pretrain.train_cfg.max_epochs = 1
    pretrain.custom_hooks = []
    matching = {
        "type": "Test",
        "protocol": {"type": "DistanceMatching"},
        "model": {"type": "DistanceMatcher", "backbone": copy.deepcopy(backbone)},
        "weights": "${pretrain.checkpoint}",
        "test_dataloader": {
            "splits": "${facts.evaluated_splits}",
            "batch_size": 8,
            "dataset": copy.deepcopy(config.stages.evaluate.test_dataloader.dataset),
        },
    }
    config.stages = {"pretrain": pretrain, "distance_matching": matching}
    return config


def test_distance_matching_of_a_mae(tmp_path):
    Pipeline(configured(), str(tmp_path / "run")).run()
    found = json.loads((tmp_path / "run" / "results.json").read_text())["distance_matching"]
    assert 0 < found["val"]["mIoU"] <= 100

    # The same from the encoder alone, by its own names, as a file that somebody gives.
    (path,) = (tmp_path / "run" / "pretrain").glob("iter_*.pth")
    state = load(path)["state_dict"]
    encoder = {
        name.removeprefix("backbone."): value
        for name, value in state.items()
        if name.startswith("backbone.")
    }
    assert encoder.keys() == MODELS.build(copy.deepcopy(PLAIN)).state_dict().keys()
    torch.save(encoder, tmp_path / "encoder.pth")
    config = configured()
    config.data_root = str(tmp_path / "run" / "data")
    config.data.type = "auto"
    for key in ("size", "train", "train_semi", "validation", "test"):
        config.data.pop(key)
    matching = config.stages.distance_matching
    matching.weights = "${facts.weights}"
    config.stages = {"distance_matching": matching}
    config.weights = str(tmp_path / "encoder.pth")
    Pipeline(config, str(tmp_path / "alone")).run()
    alone = json.loads((tmp_path / "alone" / "results.json").read_text())["distance_matching"]
    assert alone == found


def test_its_own_encoder_gives_no_maps(tmp_path):
    with pytest.raises(LussError, match=r"mmcls\.VisionTransformer for mmselfsup\.MAEViT"):
        Pipeline(configured("${pretrain.model.backbone}"), str(tmp_path)).run()
    assert not (tmp_path / "pretrain").exists()
