"""The loss against values known beforehand, and the configs as they are read."""

from pathlib import Path

import pytest
import torch

from luss.configuration import read_config
from luss.structures import ViewFeatures
from template import TemplateLoss, alignment_loss

CONFIGS = Path(__file__).parents[1] / "configs"


def test_loss_of_known_directions():
    right, up = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 3.0]])
    assert alignment_loss(right, 5 * right).item() == pytest.approx(0)
    assert alignment_loss(right, up).item() == pytest.approx(2)
    assert alignment_loss(right, -right).item() == pytest.approx(4)


def test_loss_compares_the_two_large_crops():
    # Two photos, two crops of each: the first photo's crops agree, the second's are opposite.
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0], [2.0, 0.0], [0.0, -1.0]])
    views = ViewFeatures([{4: features[:, :, None, None]}], batch_size=2, geometry=[])
    assert TemplateLoss()(views)[""].item() == pytest.approx(2)


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.py")), ids=lambda path: path.stem)
def test_configs_name_the_loss(path):
    objectives = read_config(path).stages.pretrain.model.objectives
    assert objectives.template.type == "TemplateLoss"
