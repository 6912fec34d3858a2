"""Warnings about masks that can all be read but are probably wrong."""

import numpy as np
import pytest
from PIL import Image

from luss.datasets import ImageMaskFolder, ImageNetS, write_mask
from luss.datasets.mask_check import check_masks, mask_doubts
from luss.datasets.mask_tally import MaskTally
from luss.datasets.statistics import count_split
from luss.datasets.transforms import FindMask, LoadMask, LoadRGBImage
from luss.errors import LussError


def doubts_of(dataset):
    return mask_doubts(dataset, check_masks(dataset))


@pytest.fixture
def masked(tmp_path, write_image):
    """Function that writes photos and 8-bit masks of given ids into a folder of both."""

    def write(classes, *masks, exif=None):
        (tmp_path / "masks").mkdir()
        (tmp_path / "classes.txt").write_text("\n".join(classes))
        for number, ids in enumerate(masks):
            ids = np.array(ids, np.uint8)
            path = tmp_path / "images" / f"{number}.jpg"
            write_image(path, width=ids.shape[1], height=ids.shape[0])
            if exif:
                with Image.open(path) as image:
                    image.load()
                data = Image.Exif()
                data[0x0112] = exif
                image.save(path, exif=data)
            Image.fromarray(ids).save(tmp_path / "masks" / f"{number}.png")
        return str(tmp_path)

    return write


def test_sound_masks_raise_no_doubt(masked, split_root):
    root = masked(["cat", "dog"], [[0, 1, 1]], [[0, 2, 255]], [[0, 2, 2]])
    assert doubts_of(ImageMaskFolder(root, "validation")) == []
    dataset = ImageNetS(str(split_root), "validation")
    assert doubts_of(dataset) == []
    assert count_split(dataset).doubts() == []


def test_foreground_that_is_255_is_never_measured(masked):
    root = masked(["object"], [[0, 0, 0, 255]], [[0, 0, 255, 255]])
    (doubt,) = doubts_of(ImageMaskFolder(root, "validation"))
    assert "class 1 ('object') occurs in no mask" in doubt
    assert "255, which is ignored, covers 37.5% of the pixels" in doubt
    assert "mask_id_shift" not in doubt


def test_classes_that_begin_with_0_are_shifted_by_a_setting(masked):
    root = masked(["cat", "dog", "bird"], [[0, 2]], [[1, 2]], [[2, 255]])
    (doubt,) = doubts_of(ImageMaskFolder(root, "validation"))
    assert "class 3 ('bird') occurs in no mask" in doubt and "0 occurs in 1 of 3 masks" in doubt
    assert "data.mask_id_shift=1" in doubt
    pipeline = [LoadRGBImage(), LoadMask()]
    settings = {"mask_id_shift": 1, "pipeline": pipeline}
    dataset = ImageMaskFolder(root, "validation", **settings)
    assert doubts_of(dataset) == []
    read = [item["gt_seg_map"].tolist() for item in dataset]
    assert read == [[[1, 3]], [[2, 3]], [[3, 1000]]]
    with pytest.raises(LussError, match="mask_id_shift is 'one'"):
        ImageMaskFolder(root, "validation", mask_id_shift="one")
    with pytest.raises(LussError, match=r"0\.png contains the ids -1"):
        check_masks(ImageMaskFolder(root, "validation", mask_id_shift=-1))


def test_labels_that_luss_writes_are_not_shifted(masked, tmp_path):
    root = masked(["cat", "dog"], [[0, 1]], [[1, 0]])
    write_mask(tmp_path / "labels" / "0.png", np.array([[2, 0]]))
    find = FindMask(str(tmp_path / "labels"), 2)
    dataset = ImageMaskFolder(root, mask_id_shift=1, pipeline=[LoadRGBImage(), find, LoadMask()])
    np.testing.assert_array_equal(dataset[0]["gt_seg_map"], [[2, 0]])
    # A label of another size tells that the photo has changed.
    write_mask(tmp_path / "labels" / "0.png", np.array([[2, 0, 0]]))
    with pytest.raises(LussError, match=r"images/0\.jpg has 2 x 1 .*had 3 x 1"):
        dataset[0]


def test_the_masks_of_a_split_root_are_shifted_and_generated_ones_are_not(split_root):
    masks = sorted(split_root.glob("validation-segmentation/*/*.png"))
    for path in masks:
        write_mask(path, np.full((9, 12), int(path.parent.name[1:]) - 1))
    shifted = ImageNetS(str(split_root), "validation", mask_id_shift=1)
    assert doubts_of(shifted) == []
    generated = ImageNetS(
        str(split_root),
        "validation",
        mask_root=str(split_root / "validation-segmentation"),
        mask_id_shift=1,
    )
    assert check_masks(generated).with_class.tolist() == [2, 1, 2, 0]


def test_folders_that_sort_in_another_order_than_the_ids(split_root):
    for path in split_root.glob("*/n01"):
        path.rename(path.with_name("zebra"))
    dataset = ImageNetS(str(split_root), "validation")
    # n02 is 1, n03 is 2, zebra is 3, but their masks hold 2, 3 and 1.
    tally = check_masks(dataset)
    for found in (tally, count_split(dataset)):
        doubts = mask_doubts(dataset, found)
        assert len(doubts) == 3
        assert "'n02' contains its id 1; its 1 masks contain 2" in doubts[0]
        assert "n02/val_20.png" in doubts[0]
        assert "rename the folders" in doubts[2]


def test_a_folder_with_one_mask_of_its_own_id_is_sound(split_root):
    masks = sorted((split_root / "validation-segmentation" / "n03").glob("*.png"))
    write_mask(masks[0], np.full((9, 12), 1))
    assert doubts_of(ImageNetS(str(split_root), "validation")) == []
    # Masks that are ignored everywhere hold no id, so that they do not tell.
    write_mask(masks[1], np.full((9, 12), 1000))
    (absent, own) = doubts_of(ImageNetS(str(split_root), "validation"))
    assert "class 3 ('n03') occurs in no mask" in absent
    assert "'n03' contains its id 3; its 1 masks contain 1" in own


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_photos_that_are_turned_while_masks_are_not(masked, orientation):
    root = masked(["cat"], [[0, 1]], [[1, 0]], exif=orientation)
    dataset = ImageMaskFolder(root, "validation")
    doubts = doubts_of(dataset)
    if orientation == 1:
        assert doubts == []
    else:
        assert "2 of the 2 photos with a mask have an EXIF" in doubts[0]
        assert "0.jpg" in doubts[0]


def test_much_that_is_ignored_is_said(masked):
    root = masked(["cat"], [[0, 1, 255, 255]])
    (doubt,) = doubts_of(ImageMaskFolder(root, "validation"))
    assert "255, which is ignored, covers 50.0% of the pixels" in doubt


def test_folders_that_are_no_class_of_the_masks_are_passed_over():
    tally = MaskTally(1)
    for category in (0, 2):
        tally.add_mask(np.array([[0, 1]]), category, "mask.png")
    assert tally.doubts() == []
    assert MaskTally(1).doubts() == []


def test_the_tally_of_parts_adds_up():
    rng = np.random.default_rng(0)
    masks = [rng.choice([0, 1, 2, 1000], (4, 5)) for _ in range(6)]
    whole, parts = MaskTally(2), [MaskTally(2), MaskTally(2)]
    for number, mask in enumerate(masks):
        whole.add_mask(mask, 2, str(number))
        parts[number % 2].add_mask(mask, 2, str(number))
    total = parts[0] + parts[1]
    for name, value in vars(whole).items():
        np.testing.assert_equal(getattr(total, name), value)
    ids = np.stack(masks)
    assert whole.ignored_share == np.mean(ids == 1000)
    assert whole.pixels.tolist() == [np.sum(ids == index) for index in range(3)]
