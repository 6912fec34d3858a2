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
    with pytest.raises(LussError, match=rf"m\.png contains the ids {named};"):
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
    with pytest.raises(
        LussError, match=r"(?s)2 masks.*val_10\.png contains.*val_01\.png is 9 x 12"
    ):
        check_masks(dataset)


def test_unreadable_masks_and_photos_are_among_the_complaints(split_root):
    masks = split_root / "validation-segmentation"
    (masks / "n01" / "val_10.png").write_bytes(b"no mask")
    (split_root / "validation" / "n03" / "val_01.JPEG").write_bytes(b"no photo")
    expected = r"(?s)2 masks.*val_10\.png is not a PNG.*cannot read the image .*val_01\.JPEG"
    with pytest.raises(LussError, match=expected):
        check_masks(ImageNetS(str(split_root), "validation"))


def test_the_first_ten_complaints_are_shown(split_root, write_image):
    for number in range(20):
        write_image(split_root / "validation" / "n02" / f"x{number:02d}.jpg")
        write_mask(
            split_root / "validation-segmentation" / "n02" / f"x{number:02d}.png",
            np.full((9, 12), 3 + number % 2),
        )
    with pytest.raises(LussError) as error:
        check_masks(ImageNetS(str(split_root), "validation"))
    assert str(error.value).startswith("10 masks do not fit")
    write_mask(split_root / "validation-segmentation" / "n03" / "val_01.png", np.full((9, 12), 4))
    with pytest.raises(LussError) as error:
        check_masks(ImageNetS(str(split_root), "validation"))
    lines = str(error.value).splitlines()
    assert lines[0] == "11 masks do not fit:"
    assert len(lines) == 12
    assert lines[-1] == "  and 1 more"


def test_a_truth_that_is_ignored_everywhere_is_refused(split_root):
    masks = sorted(split_root.glob("validation-segmentation/*/*.png"))
    for path in masks:
        write_mask(path, np.full((9, 12), 1000))
    with pytest.raises(LussError, match=r"5 masks .* are 1000"):
        check_masks(ImageNetS(str(split_root), "validation"))
    ids = np.full((9, 12), 1000)
    ids[4, 4] = 0
    write_mask(masks[-1], ids)
    check_masks(ImageNetS(str(split_root), "validation"))


def test_progress_is_told_for_each_image(split_root):
    steps = []
    check_masks(ImageNetS(str(split_root), "validation"), steps.append)
    assert steps == [1] * 6
