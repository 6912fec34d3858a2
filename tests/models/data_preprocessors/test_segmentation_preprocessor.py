"""Colours that change while training, and masks that do not."""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from luss.errors import LussError
from luss.models.data_preprocessors import PhotometricSegPreprocessor

# Imported by luss, which knows how to.
from mmseg.models import SegDataPreProcessor  # isort: skip

SETTINGS = {
    "mean": [120.0, 110.0, 100.0],
    "std": [60.0, 50.0, 40.0],
    "size_divisor": 1,
    "seg_pad_val": 1000,
}
SOLARIZE = {"type": "Solarize", "threshold": 0.5, "probability": 1.0}


def batch(sizes=((4, 6), (4, 6))):
    generator = torch.Generator().manual_seed(0)
    inputs, samples = [], []
    for height, width in sizes:
        inputs.append(torch.randint(0, 256, (3, height, width), generator=generator).byte())
        mask = torch.randint(0, 7, (1, height, width), generator=generator)
        samples.append(SegDataSample(gt_sem_seg=PixelData(data=mask)))
    return {"inputs": inputs, "data_samples": samples}


def test_training_changes_colours_only():
    data = batch()
    masks = [sample.gt_sem_seg.data.clone() for sample in data["data_samples"]]
    found = PhotometricSegPreprocessor(**SETTINGS, augmentations=[SOLARIZE])(data, training=True)
    images = torch.stack(batch()["inputs"]).float()
    expected = torch.where(images >= 127.5, 255 - images, images)
    expected = (expected - torch.tensor([120.0, 110.0, 100.0]).view(3, 1, 1)) / torch.tensor(
        [60.0, 50.0, 40.0]
    ).view(3, 1, 1)
    torch.testing.assert_close(found["inputs"], expected)
    for sample, mask in zip(found["data_samples"], masks, strict=True):
        assert torch.equal(sample.gt_sem_seg.data, mask)


@pytest.mark.parametrize(("augmentations", "training"), [([SOLARIZE], False), ([], True)])
def test_else_it_is_that_of_mmseg(augmentations, training):
    ours = PhotometricSegPreprocessor(**SETTINGS, augmentations=augmentations)
    found = ours(batch(), training)["inputs"]
    assert torch.equal(found, SegDataPreProcessor(**SETTINGS)(batch(), training)["inputs"])


def test_bad_input():
    with pytest.raises(LussError, match="RGB"):
        PhotometricSegPreprocessor(**SETTINGS, bgr_to_rgb=True, augmentations=[SOLARIZE])
    preprocessor = PhotometricSegPreprocessor(**SETTINGS, augmentations=[SOLARIZE])
    with pytest.raises(LussError, match="crop them to one size"):
        preprocessor(batch(((4, 6), (5, 6))), training=True)


def test_mean_and_deviation_of_values_in_0_to_1():
    mean, std = [0.5, 0.25, 0.1], [0.2, 0.3, 0.4]
    found = PhotometricSegPreprocessor(mean=mean, std=std, unit=255)(batch(), training=True)
    images = torch.stack(batch()["inputs"]) / 255
    expected = (images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    torch.testing.assert_close(found["inputs"], expected)


def test_padded_pixels_are_ignored():
    data = batch(sizes=((4, 6), (2, 6)))
    preprocess = PhotometricSegPreprocessor(mean=[0, 0, 0], std=[1, 1, 1])
    found = preprocess(data, training=True)["data_samples"][1].gt_sem_seg.data
    assert found.shape == (1, 4, 6)
    assert (found[:, 2:] == 1000).all() and (found[:, :2] < 7).all()
