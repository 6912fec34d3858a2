"""An algorithm of mmselfsup as L_e, from photos to weights that later stages start from."""

import json

import pytest
import torch
from tiny_run import TINY, finish, start

from luss.configuration import read_config
from luss.engine.checkpoint import load
from luss.errors import LussError
from luss.pipeline import Pipeline

DENSECL = TINY.with_name("tiny_densecl.py")


def test_densecl_with_objectives_from_photos(tmp_path):
    code, said = finish(
        start("train.py", DENSECL, "--work-dir", tmp_path, "--stage", "pretrain", num_workers=0)
    )
    assert code == 0, said
    done = json.loads((tmp_path / "pretrain" / "done.json").read_text())
    assert done["iterations"] == 12
    checkpoint = load(tmp_path / "pretrain" / done["checkpoint"])
    assert checkpoint["state_dict"]["encoder_k.steps"] == 12
    assert {name.split(".")[0] for name in checkpoint["state_dict"]} >= {"backbone", "objectives"}

    (scalars,) = tmp_path.glob("pretrain/*/vis_data/scalars.json")
    first, *_, last = map(json.loads, scalars.read_text().splitlines())
    assert first["loss_dense"] == 0 < last["loss_dense"]
    total = (
        first["loss_single"]
        + first["loss_dense"]
        + 0.5 * (first["loss_clustering"] + first["loss_d2s_stage3"])
        + first["loss_p2p"]
    )
    assert first["loss"] == pytest.approx(total, rel=1e-5)

    # The next step starts from its backbone, projector and prototypes, frozen there.
    pipeline = Pipeline(read_config(DENSECL, {"num_workers": 0}), str(tmp_path))
    pipeline.run("pixel_attention")
    done = json.loads((tmp_path / "pixel_attention" / "done.json").read_text())
    trained = load(tmp_path / "pixel_attention" / done["checkpoint"])["state_dict"]
    for name in ("backbone.layer4.1.conv2.weight", "objectives.clustering.projector.0.weight"):
        assert torch.equal(trained[name], checkpoint["state_dict"][name]), name


def test_masked_images_and_objectives_are_refused_before_the_first_stage(tmp_path):
    mae = {"type": "mmselfsup.MAE", "neck": None, "head": None}
    vit = {"type": "mmselfsup.MAEViT", "img_size": 32, "arch": "deit-tiny", "patch_size": 8}
    config = read_config(DENSECL, {"num_workers": 0})
    model = config.stages.pretrain.model
    model.algorithm, model.backbone = dict(mae), dict(vit)
    with pytest.raises(LussError, match=r"MAEViT: .*some are missing.*remove"):
        Pipeline(config, str(tmp_path)).run()
    assert not (tmp_path / "pretrain").exists()
