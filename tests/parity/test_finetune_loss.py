"""The fine-tuning loss through the real segmentor and head, against the authors' code."""

import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from tolerance import assert_close
from torch import nn

from luss.datasets.mask_codec import decode_mask
from luss.models.segmentors import PassSegmentor
from luss.registry import MODELS


@MODELS.register_module()
class LogitsAsFeatures(nn.Module):
    """A backbone that gives what it is given, and that tells its width for images."""

    def __init__(self, channels):
        super().__init__()
        self.channels = channels

    def forward(self, inputs):
        if inputs.shape[1] == self.channels:
            return (inputs,)
        return (inputs.new_zeros(len(inputs), self.channels, *inputs.shape[2:]),)


def test_loss_and_gradient(golden):
    from mmseg.structures import SegDataSample

    arrays = golden("finetune_loss.npz")
    logits = torch.from_numpy(arrays["logits"]).requires_grad_()
    channels = logits.shape[1]
    segmentor = PassSegmentor(
        backbone={"type": "luss.LogitsAsFeatures", "channels": channels},
        decode_head={"type": "luss.PassHead", "in_channels": channels, "num_classes": channels},
    )
    with torch.no_grad():
        nn.init.dirac_(segmentor.decode_head.conv_seg.weight)
        segmentor.decode_head.conv_seg.bias.zero_()
    colours = arrays["labels_rgb"].transpose(0, 2, 3, 1)
    labels = [torch.from_numpy(decode_mask(rgb).astype(np.int64)) for rgb in colours]
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label[None])) for label in labels]

    thinned = [segmentor._thinned(sample).gt_sem_seg.data for sample in samples]
    np.testing.assert_array_equal(torch.cat(thinned), arrays["labels_used"])
    losses = segmentor.loss(logits, samples)
    assert list(losses) == ["decode.loss_ce"]
    loss = losses["decode.loss_ce"]
    loss.backward()
    assert float(loss) == pytest.approx(float(arrays["loss"]), rel=1e-5)
    assert_close(logits.grad, arrays["grad_logits"])
