"""The loss of the segmentation head: in single precision, without ignored pixels."""

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData

from luss.models.segmentors import PassHead

from mmseg.structures import SegDataSample  # isort: skip


def test_the_loss_of_half_precision_logits_is_taken_in_single_precision():
    torch.manual_seed(0)
    head = PassHead(in_channels=8, num_classes=6)
    logits = (20 * torch.randn(2, 6, 4, 4)).bfloat16()
    labels = torch.randint(0, 6, (2, 16, 16))
    samples = [SegDataSample(gt_sem_seg=PixelData(data=mask[None])) for mask in labels]
    loss = head.loss_by_feat(logits, samples)["loss_ce"]
    upsampled = F.interpolate(logits.float(), scale_factor=4, mode="bilinear")
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, F.cross_entropy(upsampled, labels), rtol=1e-6, atol=0)


def test_a_head_by_itself_ignores_1000_and_learns_255():
    torch.manual_seed(0)
    head = PassHead(in_channels=8, num_classes=300)
    logits = torch.randn(1, 300, 8, 8)
    labels = torch.randint(0, 300, (1, 8, 8))
    labels[:, :2], labels[:, 2:4] = 1000, 255
    samples = [SegDataSample(gt_sem_seg=PixelData(data=mask[None])) for mask in labels]
    loss = head.loss_by_feat(logits, samples)["loss_ce"]
    expected = F.cross_entropy(logits, labels, ignore_index=1000)
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=0)
