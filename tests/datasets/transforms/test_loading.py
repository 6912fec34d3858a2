import numpy as np
import pytest

from luss.datasets import ImageNetS, write_mask
from luss.datasets.transforms import LoadMask, LoadRGBImage, PackInputs
from luss.errors import LussError

LOADED = [LoadRGBImage(), LoadMask()]


@pytest.fixture
def split_root(tmp_path, write_image):
    pixels = write_image(tmp_path / "validation" / "n01" / "a.png")
    write_mask(
        tmp_path / "validation-segmentation" / "n01" / "a.png", np.arange(108).reshape(9, 12) % 2
    )
    write_image(tmp_path / "validation" / "n01" / "b.png")
    return tmp_path, pixels


def test_image_and_mask_are_packed(split_root):
    root, pixels = split_root
    item = ImageNetS(str(root), "validation", pipeline=[*LOADED, PackInputs()])[0]
    np.testing.assert_array_equal(item["inputs"], pixels.transpose(2, 0, 1))
    sample = item["data_samples"]
    assert sample.gt_sem_seg.data.shape == (1, 9, 12)
    assert str(sample.gt_sem_seg.data.dtype) == "torch.int64"
    np.testing.assert_array_equal(sample.gt_sem_seg.data[0].ravel(), np.arange(108) % 2)
    assert sample.image_id == "n01/a"
    assert sample.category == 1
    assert sample.sample_idx == 0
    assert sample.ori_shape == sample.img_shape == (9, 12)


def test_an_image_without_mask_passes_only_where_that_is_meant(split_root):
    root, _ = split_root
    with pytest.raises(LussError, match=r"b\.png has no mask"):
        _ = ImageNetS(str(root), "validation", pipeline=LOADED)[1]
    optional = [LoadRGBImage(), LoadMask(optional=True), PackInputs()]
    item = ImageNetS(str(root), "validation", pipeline=optional)[1]
    assert "gt_sem_seg" not in item["data_samples"]


def test_a_mask_that_does_not_fit_is_named(split_root):
    root, _ = split_root
    path = root / "validation-segmentation" / "n01" / "a.png"
    dataset = ImageNetS(str(root), "validation", pipeline=LOADED)
    write_mask(path, np.full((9, 12), 7))
    with pytest.raises(LussError, match=r"a\.png contains the ids 7"):
        _ = dataset[0]
    pseudo = ImageNetS(str(root), "validation", pipeline=LOADED, num_mask_classes=7)
    assert pseudo[0]["gt_seg_map"].max() == 7
    write_mask(path, np.zeros((8, 12), int))
    with pytest.raises(LussError, match=r"a\.png is 12 x 8"):
        _ = dataset[0]
