"""Vision transformers of published layouts through ``luss train`` and all protocols."""

import importlib.util

import pytest
import torch
from official import dinov3, tensor, vit, with_values

from luss.configuration import read_config
from luss.datasets import draw_demo_data
from luss.files import read_json
from luss.models.backbones.presets import PRESETS, Preset
from luss.pipeline import Pipeline
from luss.planning.photo_run import PhotoRun

WIDTH, HEADS, DEPTH, PATCH = 24, 2, 2, 8
TINY = {
    "arch": {
        "embed_dims": WIDTH,
        "num_layers": DEPTH,
        "num_heads": HEADS,
        "feedforward_channels": 4 * WIDTH,
    },
    "patch_size": PATCH,
    "img_size": 32,
}
REGISTERS = {"num_registers": 4, "interpolate_offset": 0.0, "antialias": True}
LAYOUTS = {
    "dinov2_reg": (
        {"type": "LayerScaleVisionTransformer", **TINY, **REGISTERS},
        lambda: (
            vit(WIDTH, PATCH, 32, DEPTH, scale=True, registers=4) | {"mask_token": tensor(1, WIDTH)}
        ),
    ),
    "dinov3": (
        {
            "type": "DINOv3VisionTransformer",
            "model_name": "vit_small_patch16_dinov3_qkvb",
            "embed_dim": WIDTH,
            "depth": DEPTH,
            "num_heads": HEADS,
        },
        lambda: dinov3(WIDTH, HEADS, DEPTH),
    ),
    "mae": (
        {"type": "mmcls.VisionTransformer", **TINY},
        lambda: {"model": vit(WIDTH, PATCH, 32, DEPTH)},
    ),
}


@pytest.fixture(params=LAYOUTS)
def options(request, monkeypatch, tmp_path):
    """Options of a config that set a small preset of the layout, and a random file in it."""
    layout = request.param
    if layout == "dinov3" and importlib.util.find_spec("timm") is None:
        pytest.skip("timm is not installed")
    backbone, content = LAYOUTS[layout]
    facts = {"network": "", "trained": "", "labels": False, "file": "", "source": "", "licence": ""}
    multiple = 16 if layout == "dinov3" else PATCH
    preset = Preset(backbone=backbone, weights={"layout": layout}, multiple=multiple, **facts)
    monkeypatch.setitem(PRESETS, "tiny", preset)
    torch.save(with_values(content()), tmp_path / "w.pth")
    return {"backbone.preset": "tiny", "backbone.weights": str(tmp_path / "w.pth")}


def test_all_protocols(options, tmp_path):
    root = draw_demo_data(tmp_path / "data", size=48, train=2, train_semi=1, validation=1, test=1)
    photo_run = PhotoRun(
        str(root),
        str(tmp_path / "train"),
        minutes=2,
        foreground="boundary-centre",
        backbone=options["backbone.preset"],
        weights=options["backbone.weights"],
        options={"num_workers": 0, "short_side": 48, "stages.finetune.train_cfg.max_epochs": 1},
    )
    photo_run.run()
    results = read_json(tmp_path / "train" / "results.json")
    given = {**options, "data_root": str(root), "num_workers": 0, "short_side": 48}
    semi = {"crop_size": 48, "stages.finetune_semi.train_cfg.max_epochs": 6}
    for name, others in (("distance_matching", {}), ("semi_supervised", semi)):
        config = read_config(f"luss::pretrained/{name}.py", {**given, **others})
        Pipeline(config, str(tmp_path / name)).run()
        results |= read_json(tmp_path / name / "results.json")
    for protocol in ("fully_unsupervised", "distance_matching", "semi_supervised"):
        assert 0 < results[protocol]["val"]["mIoU"] <= 100
