"""Masks that are written while a model is tested."""

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import BaseDataElement, PixelData

from luss.datasets.mask_codec import read_mask
from luss.errors import LussError
from luss.registry import METRICS


def sample(ids, **meta):
    element = BaseDataElement(metainfo=meta)
    element.pred_sem_seg = PixelData(data=torch.from_numpy(ids)[None])
    return element


def test_each_image_has_a_mask_under_its_id(tmp_path):
    masks = {
        "a/1": np.array([[0, 255, 256], [1, 919, 300]]),
        "b/1": np.array([[7, 7]]),
    }
    evaluator = Evaluator([METRICS.build({"type": "DumpMasks", "folder": str(tmp_path)})])
    evaluator.process([sample(ids, image_id=name) for name, ids in masks.items()])
    assert evaluator.evaluate(2) == {}
    assert sorted(tmp_path.rglob("*.png")) == [tmp_path / "a/1.png", tmp_path / "b/1.png"]
    for name, ids in masks.items():
        np.testing.assert_array_equal(read_mask(tmp_path / f"{name}.png"), ids)


def test_what_has_no_name_or_no_prediction(tmp_path):
    evaluator = Evaluator([METRICS.build({"type": "DumpMasks", "folder": str(tmp_path)})])
    with pytest.raises(LussError, match=r"photo\.jpg has no image_id"):
        evaluator.process([sample(np.zeros((1, 1), int), img_path="photo.jpg")])
    with pytest.raises(LussError, match="no pred_sem_seg"):
        evaluator.process([BaseDataElement(metainfo={"image_id": "a"})])
