import numpy as np
import pytest

from luss.datasets import ImageNetS
from luss.datasets.mask_check import check_mask, check_masks
from luss.datasets.mask_codec import write_mask
from luss.errors import LussError


@pytest.mark.parametrize("ids", [[[0, 1, 2]], [[1000, 0, 2]], [[2, 2, 2]]])
def test_masks_that_fit_pass(ids):
    check_mask(np.array(ids), (1, 3), 2, "m.png")


@pytest.mark.parametrize(
    ("ids", "named"), [([[3, 0, 1]], "3"), ([[1000, 999, 1001]], "999, 1001"), ([[-1, 0, 0]], "-1")]
)
def test_ids_of_no_class_are_named(ids, named):
    with pytest.raises(LussError, match=rf"m\.png holds the ids {named};"):
        check_mask(np.array(ids), (1, 3), 2, "m.png")


def test_another_size_is_named():
    with pytest.raises(LussError, match=r"m\.png is 3 x 1 pixels .* image is 1 x 3"):
        check_mask(np.zeros((1, 3), int), (3, 1), 2, "m.png")


def test_all_masks_of_a_data_set_are_checked(split_root):
    dataset = ImageNetS(str(split_root), "validation")
    check_masks(dataset)
    masks = split_root / "validation-segmentation"
    write_mask(masks / "n01" / "val_10.png", np.full((9, 12), 4))
    write_mask(masks / "n03" / "val_01.png", np.zeros((12, 9), int))
    with pytest.raises(LussError, match=r"(?s)2 masks.*val_10\.png holds.*val_01\.png is 9 x 12"):
        check_masks(dataset)
