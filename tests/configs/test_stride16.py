"""The stride-16 recipe: what is dilated, and how a pretrained backbone arrives in it."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import init_default_scope

from luss.configuration import read_config
from luss.engine.checkpoint import init_weights_from
from luss.registry import MODELS

RECIPE = Path(__file__).parents[2] / "configs/semi_supervised/pass_s_in919_adamw_stride16.py"


@pytest.fixture(scope="module")
def stages():
    init_default_scope("luss")
    return read_config(RECIPE).stages


@pytest.fixture(scope="module")
def pretrained(stages):
    torch.manual_seed(0)
    backbone = MODELS.build(stages.pretrain.model.backbone)
    for module in backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    # Not chained: train() of mmcls' backbones returns nothing.
    backbone.eval()
    return backbone


@pytest.fixture(scope="module")
def tuned(stages, pretrained, tmp_path_factory):
    """The segmentor's backbone after the recipe's own way of taking the checkpoint."""
    path = tmp_path_factory.mktemp("pretrained") / "iter_1.pth"
    state = {f"backbone.{name}": value for name, value in pretrained.state_dict().items()}
    torch.save({"state_dict": state}, path)
    finetune = stages.finetune_semi
    model = torch.nn.ModuleDict({"backbone": MODELS.build(finetune.model.backbone)})
    init_weights_from(model, path, list(finetune.init))
    model.eval()
    return model["backbone"]


def test_only_the_later_blocks_of_the_last_stage_are_dilated(tuned):
    for stage, blocks in enumerate((3, 4, 6, 3), start=1):
        layer = getattr(tuned, f"layer{stage}")
        assert len(layer) == blocks
        for index, block in enumerate(layer):
            dilation = 2 if stage == 4 and index > 0 else 1
            stride = 2 if stage in (2, 3) and index == 0 else 1
            assert block.conv1.stride == block.conv3.stride == (1, 1)
            conv = block.conv2
            assert (conv.stride, conv.dilation) == ((stride,) * 2, (dilation,) * 2), (stage, index)
            assert (conv.kernel_size, conv.padding) == ((3, 3), (dilation,) * 2), (stage, index)
            if index == 0:
                assert block.downsample[0].stride == (stride, stride)


def test_every_pretrained_tensor_arrives(tuned, pretrained):
    before, after = pretrained.state_dict(), tuned.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def plain_resnet50(state, images):
    """ResNet-50 whose last stage has stride 1 and dilations 1, 2, 2, in functions alone."""

    def conv(x, name, **kwargs):
        return F.conv2d(x, state[f"{name}.weight"], **kwargs)

    def norm(x, name):
        parts = (state[f"{name}.{part}"] for part in ("running_mean", "running_var"))
        return F.batch_norm(x, *parts, state[f"{name}.weight"], state[f"{name}.bias"])

    x = F.relu(norm(conv(images, "conv1", stride=2, padding=3), "bn1"))
    x = F.max_pool2d(x, 3, stride=2, padding=1)
    for stage, blocks in enumerate((3, 4, 6, 3), start=1):
        for index in range(blocks):
            at = f"layer{stage}.{index}"
            stride = 2 if stage in (2, 3) and index == 0 else 1
            spread = 2 if stage == 4 and index > 0 else 1
            out = F.relu(norm(conv(x, f"{at}.conv1"), f"{at}.bn1"))
            out = conv(out, f"{at}.conv2", stride=stride, padding=spread, dilation=spread)
            out = norm(conv(F.relu(norm(out, f"{at}.bn2")), f"{at}.conv3"), f"{at}.bn3")
            if index == 0:
                x = norm(conv(x, f"{at}.downsample.0", stride=stride), f"{at}.downsample.1")
            x = F.relu(out + x)
    return x


def test_features_equal_those_of_a_plain_restatement(tuned, pretrained):
    images = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        (features,) = tuned(images)
        expected = plain_resnet50(pretrained.state_dict(), images)
    assert features.shape == (1, 2048, 4, 6)
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5 * float(expected.max()))
