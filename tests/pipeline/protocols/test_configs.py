"""The configs of the protocols: whole, and of components that exist."""

from pathlib import Path

import pytest
import torch
from mmengine.registry import init_default_scope

from luss.configuration import read_config
from luss.models.backbones import FeatureMap
from luss.pipeline import Pipeline
from luss.pipeline.protocols import PROTOCOLS, protocol_stage
from luss.registry import MODELS

CONFIGS = Path(__file__).parents[3] / "configs"
TABLE_14 = sorted((CONFIGS / "distance_matching").glob("*.py"))
RECIPES = sorted((CONFIGS / "semi_supervised").glob("*.py"))


def named(paths):
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.stem)


@named(TABLE_14)
def test_a_backbone_for_distance_matching(path):
    stage = protocol_stage(read_config(path), "distance_matching")
    assert (stage.k, stage.temperature) == (10, 0.07)
    init_default_scope("luss")
    assert MODELS.get(stage.backbone["type"]) is not None


@named(TABLE_14)
@pytest.mark.slow
def test_the_feature_map_of_a_backbone(path):
    """Of stride 32, more or less: Inception has no padding, others round up."""
    stage = protocol_stage(read_config(path), "distance_matching")
    init_default_scope("luss")
    backbone = MODELS.build(dict(stage.backbone))
    backbone.eval()
    with torch.no_grad():
        features = FeatureMap(backbone, stage.layer)(torch.zeros(1, 3, 256, 320))
    assert features.shape[2] in (6, 8)
    assert features.shape[3] in (8, 10)
    assert features.shape[1] >= 768


@named(RECIPES)
def test_a_semi_supervised_recipe(path, tmp_path):
    config = read_config(path)
    assert list(config.stages) == ["pretrain", "finetune_semi", "semi_supervised"]
    pipeline = Pipeline(config, str(tmp_path))
    assert isinstance(pipeline.stages["semi_supervised"], PROTOCOLS["semi_supervised"])
    tuning = config.stages.finetune_semi
    epochs = {"lars": 30, "adamw": 100}[path.stem.split("_")[3]]
    assert tuning.train_cfg.max_epochs == epochs
    assert tuning.init_from == {"pretrain": ["backbone"]}
    backbone = dict(config.stages.pretrain.model.backbone, out_indices=(4,))
    own = {k: v for k, v in tuning.model.backbone.items() if k not in ("strides", "dilations")}
    assert own.items() <= backbone.items()
