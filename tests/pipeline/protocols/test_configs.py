"""The configs of the protocols: whole, and of components that exist."""

from pathlib import Path

import pytest

from luss.configuration import read_config
from luss.pipeline import Pipeline
from luss.pipeline.protocols import PROTOCOLS

CONFIGS = Path(__file__).parents[3] / "configs"
RECIPES = sorted((CONFIGS / "semi_supervised").glob("*.py"))


def named(paths):
    return pytest.mark.parametrize("path", paths, ids=lambda path: path.stem)


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
