"""The head for features of a frozen backbone, and the backbone that stays as it is."""

import copy
import math
import re

import pytest
import torch
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData

from luss.errors import LussError
from luss.models.segmentors import StandardisedHead
from luss.models.segmentors.standardised_head import join_maps
from luss.registry import MODELS
from luss.structures import pack_maps

from mmseg.structures import SegDataSample  # isort: skip

CLASSES = 4


@pytest.fixture
def maps():
    """Two maps of very different length, the finer one second."""
    torch.manual_seed(0)
    return [1e3 * torch.randn(2, 3, 2, 3), 1e-3 * torch.randn(2, 5, 4, 6) + 1e-3]


def test_joined_maps_have_unit_length_at_the_finest_resolution(maps):
    joined = join_maps(maps)
    assert joined.shape == (2, 8, 4, 6)
    finer = maps[1] / maps[1].pow(2).sum(dim=1, keepdim=True).sqrt()
    torch.testing.assert_close(joined[:, 3:], finer)
    # Each corner of the finer map reads only the corner of the coarser one.
    coarser = maps[0] / maps[0].pow(2).sum(dim=1, keepdim=True).sqrt()
    torch.testing.assert_close(joined[:, :3, ::3, ::5], coarser[:, :, :, ::2])


def test_channels_are_standardised_before_the_convolution(maps):
    head = StandardisedHead([3, 5], CLASSES + 1, [0, 1])
    seen = []
    head.conv_seg.register_forward_pre_hook(lambda _, inputs: seen.extend(inputs))
    head(maps)
    (found,) = seen
    joined = join_maps(maps)
    mean, deviation = (
        side(joined, dim=(0, 2, 3), keepdim=True)
        for side in (torch.mean, lambda *a, **k: torch.std(*a, correction=0, **k))
    )
    torch.testing.assert_close(found, (joined - mean) / deviation, rtol=1e-3, atol=1e-3)
    assert {name for name, _ in head.named_parameters()} == {"conv_seg.weight", "conv_seg.bias"}


def test_inference_standardises_by_running_statistics(maps):
    head = StandardisedHead([3, 5], CLASSES + 1, [0, 1])
    for _ in range(300):
        head(maps)
    trained = head.train()._transform_inputs(maps)
    torch.testing.assert_close(head.eval()._transform_inputs(maps), trained, rtol=0, atol=0.05)
    # A photo does not depend on the others of its batch.
    one = head._transform_inputs([each[:1] for each in maps])
    torch.testing.assert_close(one, head._transform_inputs(maps)[:1])


def test_the_loss_starts_at_chance(maps):
    head = StandardisedHead([3, 5], CLASSES + 1, [0, 1])
    head.init_weights()
    labels = torch.randint(0, CLASSES + 1, (2, 16, 24))
    samples = [SegDataSample(gt_sem_seg=PixelData(data=mask[None])) for mask in labels]
    loss = head.loss_by_feat(head(maps), samples)["loss_ce"]
    torch.testing.assert_close(loss, torch.tensor(math.log(CLASSES + 1)))


def segmentor(**changes):
    config = {
        "type": "PassSegmentor",
        "frozen_backbone": True,
        "backbone": {
            "type": "mmcls.ResNet",
            "depth": 18,
            "base_channels": 8,
            "stem_channels": 8,
            "out_indices": [2, 3],
        },
        "decode_head": {
            "type": "StandardisedHead",
            "in_index": [0, 1],
            "num_classes": CLASSES + 1,
        },
        "data_preprocessor": {"type": "PhotometricSegPreprocessor"},
    }
    with DefaultScope.overwrite_default_scope("luss"):
        return MODELS.build({**config, **changes})


def stored(model, images, labels):
    """Samples with the features of a model's backbone, as ``LoadFeatures`` loads them."""
    with torch.no_grad():
        maps = model.eval().extract_feat(images)
    samples = []
    for place, mask in enumerate(labels):
        sample = SegDataSample(gt_sem_seg=PixelData(data=mask[None]))
        sample.features = pack_maps([one[place].permute(1, 2, 0).numpy() for one in maps])
        samples.append(sample)
    return samples


def test_training_on_stored_features_equals_training_on_photos():
    torch.manual_seed(0)
    model = segmentor()
    model.init_weights()
    images = torch.rand(2, 3, 64, 96)
    labels = torch.randint(0, CLASSES + 1, (2, 64, 96))
    samples = stored(model, images, labels)
    states = []
    for batch in (
        {"inputs": list(images), "data_samples": samples_without(samples)},
        {"data_samples": samples},
    ):
        trained = copy.deepcopy(model).train()
        optimizer = torch.optim.AdamW(trained.parameters(), lr=0.01)
        for _ in range(2):
            trained.train_step(copy.deepcopy(batch), OptimWrapper(optimizer))
        states.append(trained.state_dict())
    for name, value in states[0].items():
        assert torch.equal(value, states[1][name]), name
    assert states[0]["decode_head.conv_seg.weight"].any()


def samples_without(samples):
    return [SegDataSample(gt_sem_seg=sample.gt_sem_seg) for sample in samples]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"frozen_backbone": False}, "frozen_backbone=True"),
        (
            {
                "data_preprocessor": {"type": "PhotometricSegPreprocessor"}
                | {"augmentations": [{"type": "ColorJitter", "brightness": 0.1}]}
            },
            "augmentations do not change stored features",
        ),
        (
            {"backbone": {"type": "mmcls.ResNet", "depth": 18, "out_indices": [2, 3]}},
            r"have \[32, 64\] channels, those of the backbone \[256, 512\]",
        ),
    ],
)
def test_stored_features_that_do_not_fit(changes, message):
    images, labels = torch.rand(1, 3, 64, 64), torch.zeros(1, 64, 64, dtype=torch.int64)
    batch = {"data_samples": stored(segmentor(), images, labels)}
    model = segmentor(**changes)
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    with pytest.raises(LussError, match=message):
        model.train_step(batch, optimizer)


def train(**settings):
    """Losses of three steps, the backbone's tensors before, and the model after."""
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope("luss"):
        model = segmentor(
            data_preprocessor={"type": "mmseg.SegDataPreProcessor", "size_divisor": 1}, **settings
        )
        model.init_weights()
        before = copy.deepcopy(model.backbone.state_dict())
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.001, weight_decay=0.1)
        labels = torch.arange(64).reshape(1, 8, 8).repeat_interleave(8, 1).repeat_interleave(8, 2)
        samples = [SegDataSample(gt_sem_seg=PixelData(data=labels % (CLASSES + 1)))] * 2
        batch = {"inputs": [torch.rand(3, 64, 64)] * 2, "data_samples": samples}
        model.train()
        losses = [
            model.train_step(copy.deepcopy(batch), OptimWrapper(optimizer))["loss"].item()
            for _ in range(3)
        ]
    return losses, before, model


@pytest.mark.parametrize(
    ("settings", "kept"),
    [
        ({}, ""),
        ({"frozen_backbone": False, "norm_eval": True}, "running|num_batches"),
        ({"frozen_backbone": False}, "nothing"),
    ],
)
def test_what_changes_in_a_backbone(settings, kept):
    losses, before, model = train(**settings)
    assert losses[0] == pytest.approx(math.log(CLASSES + 1), rel=1e-5)
    assert losses[2] < losses[0]
    for name, value in model.backbone.state_dict().items():
        assert torch.equal(value, before[name]) == bool(re.search(kept, name)), name
    frozen = settings.get("frozen_backbone", True)
    assert model.decode_head.training and model.backbone.training == (not frozen)
