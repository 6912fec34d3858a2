"""A classifier of images that segments, and class activation maps."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData

from luss.errors import LussError
from luss.models.segmentors import ImageLevelHead, PassSegmentor
from luss.models.segmentors.cam import activation_map, cam_ids
from luss.registry import MODELS

from mmseg.structures import SegDataSample  # isort: skip


def test_the_loss_is_that_of_a_linear_layer_on_pooled_features():
    torch.manual_seed(0)
    head = ImageLevelHead(in_channels=8, num_classes=6)
    features, labels = torch.randn(3, 8, 4, 5), torch.tensor([1, 5, 2])
    samples = [
        SegDataSample(gt_sem_seg=PixelData(data=torch.full((1, 7, 9), int(label))))
        for label in labels
    ]
    loss = head.loss_by_feat(head([features]), samples)["loss_ce"]
    weight, bias = head.conv_seg.weight.flatten(1), head.conv_seg.bias
    logits = F.linear(features.mean(dim=(2, 3)), weight, bias)
    torch.testing.assert_close(loss, F.cross_entropy(logits, labels))


def slow_cam(logits, size, threshold):
    """The whole map at full size, one image at a time."""
    found = []
    for image in logits.double():
        full = F.interpolate(image[None], size=size, mode="bilinear")[0]
        strongest = torch.stack([image[k].clamp(min=0) for k in range(1, len(image))]).max(0).values
        if strongest.max() > 0:
            strongest = strongest / strongest.max()
        seen = F.interpolate(strongest[None, None], size=size, mode="bilinear")[0, 0]
        ids = full[1:].argmax(dim=0) + 1
        found.append(torch.where(seen >= threshold, ids, 0))
    return torch.stack(found)


def test_activation_maps():
    logits = torch.tensor([[[[9.0, 9.0]], [[4.0, -1.0]], [[1.0, 2.0]]]])
    assert activation_map(logits).tolist() == [[[[1.0, 0.5]]]]
    assert not activation_map(-logits.abs()).any()


@pytest.mark.parametrize("threshold", [0.2, 0.6])
def test_a_segmentor_predicts_by_activation_maps(threshold):
    torch.manual_seed(0)
    model = MODELS.build(
        {
            "type": "PassSegmentor",
            "cam_threshold": threshold,
            "backbone": {
                "type": "mmselfsup.ResNet",
                "depth": 18,
                "stem_channels": 8,
                "base_channels": 8,
                "out_indices": (4,),
            },
            "decode_head": {"type": "luss.PassHead", "in_index": -1, "num_classes": 6},
        }
    ).eval()
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        # Untrained features differ little from their mean.
        features = model.extract_feat(images)[-1].mean(dim=(0, 2, 3))
        model.decode_head.conv_seg.bias.copy_(
            -model.decode_head.conv_seg.weight.flatten(1) @ features
        )
        logits = model.decode_head(model.extract_feat(images))
        found = [sample.pred_sem_seg.data[0] for sample in model.predict(images)]
    expected = slow_cam(logits, (64, 96), threshold)
    assert (torch.stack(found) == expected).float().mean() > 0.999
    assert 0 < (expected == 0).float().mean() < 1


def test_where_nothing_is_active_all_is_other():
    ids = torch.ones(1, 3, 3, dtype=torch.int64)
    assert not cam_ids(ids, -torch.ones(1, 4, 2, 2), 0.1).any()


def test_a_threshold_that_is_none():
    with pytest.raises(LussError, match=r"cam_threshold is 3, expected 0\.\.1"):
        PassSegmentor(
            cam_threshold=3,
            backbone={"type": "mmselfsup.ResNet", "depth": 18, "out_indices": (4,)},
            decode_head={"type": "luss.PassHead", "in_index": -1, "num_classes": 6},
        )
