"""Heads of mmseg on any backbone: what their configs leave open is filled in."""

import pytest
import torch
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from luss.build_errors import clear_build_errors
from luss.datasets.mask_codec import IGNORE_ID
from luss.errors import LussError
from luss.registry import MODELS

CLASSES = 300  # more than mmseg's own ignored id
MIT = {
    "type": "mmseg.MixVisionTransformer",
    "embed_dims": 8,
    "num_layers": [1] * 4,
    "num_heads": [1, 1, 2, 2],
    "sr_ratios": [8, 4, 2, 1],
}
FCN = {"type": "mmseg.FCNHead", "channels": 8, "num_convs": 1, "num_classes": CLASSES}
JOINED = {"channels": 8, "in_index": [0, 1, 2, 3], "num_classes": CLASSES}
HEADS = {
    "fcn": {"decode_head": FCN},
    "fcn with auxiliary": {"decode_head": FCN, "auxiliary_head": {**FCN, "in_index": 2}},
    "several auxiliary": {
        "decode_head": FCN,
        "auxiliary_head": [{**FCN, "in_index": 1}, {**FCN, "in_index": 2}],
    },
    "uper": {"decode_head": {"type": "mmseg.UPerHead", **JOINED}},
    "segformer": {"decode_head": {"type": "mmseg.SegformerHead", **JOINED}},
    "pass": {"decode_head": {"type": "PassHead", "num_classes": CLASSES}},
}


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope("luss"):
        yield


def build(**settings):
    config = {"type": "PassSegmentor", "backbone": dict(MIT), **settings}
    with clear_build_errors("model"):
        return MODELS.build(config)


@pytest.mark.parametrize("name", HEADS)
def test_two_iterations(name):
    torch.manual_seed(0)
    model = build(**HEADS[name])
    model.train()
    images = torch.randn(2, 3, 64, 64)
    labels = torch.randint(0, CLASSES, (2, 1, 64, 64))
    labels[:, :, :8] = 255  # a class like any other
    labels[:, :, -8:] = IGNORE_ID
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(2):
        losses = model(images, samples, mode="loss")
        loss, _ = model.parse_losses(losses)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.isfinite()
    heads = [part for part in model.modules() if hasattr(part, "conv_seg")]
    assert len(heads) == len([key for key in losses if key.endswith("loss_ce")])
    for head in heads:
        assert (head.num_classes, head.ignore_index) == (CLASSES, IGNORE_ID)
        assert head.conv_seg.weight.grad[255].any()
    model.eval()
    (found,) = model.predict(images[:1])
    assert found.pred_sem_seg.data.shape == (1, 64, 64)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"decode_head": {**FCN, "in_channels": 7}}, r"in_channels=7, but .* have 16"),
        ({"decode_head": {**FCN, "in_index": 4}}, r"decode_head.in_index contains 4, .* are 4"),
        ({"decode_head": {**FCN, "ignore_index": 255}}, "ignore_index=255.*1000"),
        (
            {"decode_head": {**JOINED, "type": "mmseg.UPerHead", "in_index": -1}},
            r"in_index=\[0, 1, 2, 3\]",
        ),
        ({"decode_head": [FCN, FCN]}, "expected one head"),
        ({}, "model: .*'decode_head'"),
    ],
)
def test_what_does_not_fit_is_rejected(settings, message):
    with pytest.raises(LussError, match=message):
        build(**settings)
