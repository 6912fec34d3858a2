"""The fine-tuned segmentor as configs build and train it."""

import math

import pytest
import torch
import torch.nn.functional as F
from mmengine.optim import OptimWrapper
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData

from luss.errors import LussError
from luss.models.refiners import refine_ids
from luss.models.segmentors import predict_ids
from luss.registry import MODELS

from mmseg.structures import SegDataSample  # isort: skip

CLASSES = 4
BACKBONES = {
    "mmselfsup.ResNet": {"out_indices": [4]},
    "mmcls.ResNet": {"out_indices": [3]},
    "mmseg.ResNet": {"out_indices": [3]},
}


def config(backbone="mmcls.ResNet", **changes):
    return {
        "type": "PassSegmentor",
        "data_preprocessor": {
            "type": "mmseg.SegDataPreProcessor",
            "mean": [123.675, 116.28, 103.53],
            "std": [58.395, 57.12, 57.375],
            "bgr_to_rgb": False,
            "size_divisor": 1,
            "seg_pad_val": 1000,
        },
        "backbone": {"type": backbone, "depth": 18, "base_channels": 8, "stem_channels": 8}
        | BACKBONES[backbone],
        "decode_head": {"type": "luss.PassHead", "in_channels": 64, "num_classes": CLASSES + 1},
    } | changes


@pytest.fixture
def scope():
    """The default scope that luss' configs run under."""
    with DefaultScope.overwrite_default_scope("luss"):
        yield


def sample(labels=None, **meta):
    sample = SegDataSample(metainfo=meta)
    if labels is not None:
        sample.gt_sem_seg = PixelData(data=labels[None])
    return sample


@pytest.mark.parametrize("backbone", BACKBONES)
def test_training_steps_reduce_the_loss(scope, backbone):
    torch.manual_seed(0)
    model = MODELS.build(config(backbone))
    model.init_weights()
    optimizer = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9))
    images = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    labels = torch.zeros(2, 64, 64, dtype=torch.int64)
    labels[0, :32], labels[1, :, 32:] = 3, 1
    losses = []
    for _ in range(8):
        data = {"inputs": list(images), "data_samples": [sample(y) for y in labels]}
        losses.append(model.train_step(data, optimizer)["loss"].item())
    assert losses[-1] < losses[0] / 2


def test_the_head_is_one_convolution(scope):
    head = MODELS.build(config()).decode_head
    assert {name: tuple(p.shape) for name, p in head.named_parameters()} == {
        "conv_seg.weight": (CLASSES + 1, 64, 1, 1),
        "conv_seg.bias": (CLASSES + 1,),
    }


def test_head_weights_are_kaiming_fan_out(scope):
    model = MODELS.build(
        config(
            neck={"type": "mmseg.FPN", "in_channels": [64], "out_channels": 256, "num_outs": 1},
            decode_head={"type": "PassHead", "num_classes": 400},
        )
    )
    bias = model.decode_head.conv_seg.bias.clone()
    model.init_weights()
    deviation = float(model.decode_head.conv_seg.weight.detach().std())
    assert deviation == pytest.approx(math.sqrt(2 / 400), rel=0.02)
    # The bias keeps PyTorch's default.
    assert torch.equal(model.decode_head.conv_seg.bias, bias)


def test_ignored_pixels_count_neither_in_sum_nor_in_mean(scope):
    torch.manual_seed(0)
    head = MODELS.build(config()).decode_head
    logits = torch.randn(1, CLASSES + 1, 6, 6)
    labels = torch.randint(0, CLASSES + 1, (6, 6))
    labels[2:5] = 1000
    loss = head.loss_by_feat(logits, [sample(labels)])["loss_ce"]
    rows = [row for row in range(6) if not 2 <= row < 5]
    torch.testing.assert_close(loss, F.cross_entropy(logits[:, :, rows], labels[None, rows]))
    nothing = head.loss_by_feat(logits, [sample(torch.full((6, 6), 1000))])["loss_ce"]
    assert float(nothing) == 0


def test_labels_pass_the_preprocessor_unchanged(scope):
    model = MODELS.build(config())
    labels = torch.tensor([[0, 255, 256], [1000, 1, 919]])
    images = [torch.full((3, 2, 3), 124, dtype=torch.uint8)]
    data = model.data_preprocessor({"inputs": images, "data_samples": [sample(labels)]}, True)
    assert torch.equal(data["data_samples"][0].gt_sem_seg.data[0], labels)
    red = (124 - 123.675) / 58.395
    torch.testing.assert_close(data["inputs"][0, 0], torch.full((2, 3), red), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("original", [(90, 131), (40, 50), (1100, 1300)])
def test_a_step_of_testing_predicts_at_the_original_size(scope, original):
    torch.manual_seed(0)
    model = MODELS.build(config()).eval()
    image = torch.randint(0, 256, (3, 64, 75), dtype=torch.uint8)
    data = {"inputs": [image], "data_samples": [sample(ori_shape=original, img_shape=(64, 75))]}
    (result,) = model.test_step(data)
    assert result.keys() == ["pred_sem_seg"]
    found = result.pred_sem_seg.data
    assert found.shape == (1, *original)
    assert found.dtype == torch.int64

    mean, std = (torch.tensor(config()["data_preprocessor"][key]) for key in ("mean", "std"))
    normalised = (image - mean.view(3, 1, 1)) / std.view(3, 1, 1)
    with torch.no_grad():
        logits = model.decode_head.conv_seg(model.backbone(normalised[None])[-1])
    if original[0] * original[1] > 1_000_000:
        small = (1000, int(1000 * original[1] / original[0]))
        ids = F.interpolate(logits, size=small, mode="bilinear").argmax(dim=1)
        expected = F.interpolate(ids[None].double(), size=original, mode="nearest")[0].long()
    else:
        expected = F.interpolate(logits, size=original, mode="bilinear").argmax(dim=1)
    assert torch.equal(found, expected)


def test_images_of_a_batch_may_differ_in_size(scope):
    """The predictions equal those of single images, in the samples' order."""
    torch.manual_seed(0)
    model = MODELS.build(config()).eval()
    sizes = [(64, 75), (40, 40), (64, 75), (75, 64)]
    images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for size in sizes]

    def batch(rows):
        samples = [sample(ori_shape=(50 + row, 60), sample_idx=row) for row in rows]
        return {"inputs": [images[row] for row in rows], "data_samples": samples}

    with torch.no_grad():
        together = model.test_step(batch(range(4)))
        alone = [model.test_step(batch([row]))[0] for row in range(4)]
    assert [result.sample_idx for result in together] == [0, 1, 2, 3]
    for found, expected in zip(together, alone, strict=True):
        assert torch.equal(found.pred_sem_seg.data, expected.pred_sem_seg.data)


def test_without_samples_the_input_size_is_predicted(scope):
    model = MODELS.build(config()).eval()
    with torch.no_grad():
        results = model(torch.randn(2, 3, 32, 48), mode="predict")
    assert [tuple(result.pred_sem_seg.shape) for result in results] == [(32, 48)] * 2


def test_another_head_of_mmseg_can_be_swapped_in(scope):
    head = {
        "type": "mmseg.FCNHead",
        "in_channels": 64,
        "channels": 8,
        "num_convs": 1,
        "num_classes": CLASSES + 1,
        "ignore_index": 1000,
        "loss_decode": {"type": "mmseg.CrossEntropyLoss"},
    }
    model = MODELS.build(config(decode_head=head))
    losses = model.loss(torch.randn(2, 3, 32, 32), [sample(torch.ones(32, 32).long())] * 2)
    assert torch.isfinite(losses["decode.loss_ce"])
    with torch.no_grad():
        (result,) = model.eval()(torch.randn(1, 3, 32, 32), mode="predict")
    assert result.pred_sem_seg.shape == (32, 32)


def test_padding_and_windows_are_rejected(scope):
    model = MODELS.build(config()).eval()
    padded = sample(ori_shape=(30, 32), img_padding_size=(0, 0, 0, 2), img_path="a.JPEG")
    with torch.no_grad(), pytest.raises(LussError, match=r"a\.JPEG was padded"):
        model(torch.randn(1, 3, 32, 32), [padded], mode="predict")
    with pytest.raises(LussError, match="expected 'whole'"):
        MODELS.build(config(test_cfg={"mode": "slide", "stride": (8, 8), "crop_size": (16, 16)}))


@pytest.mark.parametrize(
    ("size", "large"), [((800, 1250), False), ((1250, 800), False), ((1001, 1000), True)]
)
def test_only_more_than_a_million_pixels_take_the_way_round(size, large):
    """800 x 1250 are 1,000,000 pixels exactly."""
    logits = torch.randn(1, CLASSES + 1, 5, 6, generator=torch.Generator().manual_seed(0))
    height, width = size
    straight = F.interpolate(logits, size=size, mode="bilinear").argmax(dim=1)
    small = (1000, int(1000 * width / height))
    ids = F.interpolate(logits, size=small, mode="bilinear").argmax(dim=1)
    rows = torch.arange(height) * 1000 // height
    columns = torch.arange(width) * small[1] // width
    around = ids[:, rows][:, :, columns]
    assert not torch.equal(straight, around), "the inputs do not distinguish the two rules"
    assert torch.equal(predict_ids(logits, size), around if large else straight)


def test_predictions_are_refined_at_the_photo(scope):
    torch.manual_seed(0)
    model = MODELS.build(config(refiner={"type": "PAMR"})).eval()
    image = torch.randint(0, 256, (3, 64, 75), dtype=torch.uint8)
    photo = torch.randint(0, 256, (3, 90, 131), dtype=torch.uint8)

    def predict(**fields):
        given = sample(ori_shape=(90, 131))
        given.set_data(fields)
        with torch.no_grad():
            return model.test_step({"inputs": [image], "data_samples": [given]})[0]

    refined = predict(photo=photo)
    assert refined.keys() == ["pred_sem_seg"]
    for fields in ({}, {"photo": photo[:, :80]}):
        with pytest.raises(LussError, match="KeepPhoto"):
            predict(**fields)
    refiner, model.refiner = model.refiner, None
    plain = predict(photo=photo)
    assert plain.keys() == ["pred_sem_seg"]
    expected = refine_ids(refiner, photo, plain.pred_sem_seg.data[0])
    assert torch.equal(refined.pred_sem_seg.data[0], expected)


@torch.no_grad()
def test_several_scales_average_the_logits(scope):
    torch.manual_seed(0)
    model = MODELS.build(config(scales=(1.5, 1))).eval()
    images = torch.randn(1, 3, 64, 96)
    small = model.decode_head(model.extract_feat(images))
    larger = F.interpolate(images, size=(96, 144), mode="bilinear")
    large = model.decode_head(model.extract_feat(larger))
    expected = (F.interpolate(small, size=large.shape[2:], mode="bilinear") + large) / 2
    torch.testing.assert_close(model.logits(images), expected)
    (found,) = model.predict(images, [sample(ori_shape=(50, 70))])
    assert torch.equal(found.pred_sem_seg.data, predict_ids(expected, (50, 70)))
    # Sides are multiples of those of patches: 64 * 1.5 = 96 is nearest to 100, 144 to 150.
    model.multiple_of = 50
    sizes = []
    model.backbone.register_forward_pre_hook(lambda _, args: sizes.append(args[0].shape[2:]))
    model.logits(images)
    assert sizes == [(64, 96), (100, 150)]


@pytest.mark.parametrize("scales", [[], [1, 0]])
def test_scales_are_positive(scope, scales):
    with pytest.raises(LussError, match=r"scales is \["):
        MODELS.build(config(scales=scales))
