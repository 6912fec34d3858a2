"""Tiny networks with random weights that stand for trained ones."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # for spawned processes, too

import pytest
import torch
from mmengine.registry import init_default_scope
from tiny_networks import NARROW, segmentor, spread_norms

from luss.registry import MODELS


@pytest.fixture(scope="session")
def random_backbone(tmp_path_factory):
    """File with the weights of ``NARROW``, as OpenMMLab saves a model's backbone."""
    init_default_scope("luss")
    torch.manual_seed(0)
    model = MODELS.build(dict(NARROW))
    model.init_weights()
    spread_norms(model)
    path = tmp_path_factory.mktemp("weights") / "backbone.pth"
    state = {f"backbone.{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": state, "meta": {}}, path)
    return path


@pytest.fixture
def random_segmentor(tmp_path):
    """Function from a number of outputs to the file of a segmentor with random weights."""

    def make(num_outputs):
        init_default_scope("luss")
        torch.manual_seed(1)
        model = MODELS.build(segmentor(num_outputs))
        model.init_weights()
        spread_norms(model)
        path = tmp_path / f"segmentor_{num_outputs}.pth"
        torch.save({"state_dict": model.state_dict(), "meta": {}}, path)
        return path

    return make
