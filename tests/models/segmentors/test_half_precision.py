"""Mixed precision ends at the logits: up-sampling and cross entropy are in single precision."""

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
