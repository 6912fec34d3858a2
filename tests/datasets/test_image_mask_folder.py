"""Photos and masks of the same names, without splits."""

import numpy as np
import pytest
from PIL import Image

from luss.datasets import ImageMaskFolder, describe, image_mask_folder, kind_of_data, write_mask
from luss.datasets.transforms import LoadMask, LoadRGBImage
from luss.errors import LussError


@pytest.fixture
def root(tmp_path, write_image):
    root = tmp_path / "data"
    for name in ("a", "deep/b", "c"):
        write_image(root / "images" / f"{name}.jpg", width=3, height=2)
    return root


@pytest.fixture
def masked(root):
    """Of the three photos, two with a mask: one by index, one by colour."""
    (root / "masks" / "deep").mkdir(parents=True)
    Image.fromarray(np.array([[0, 1, 2], [2, 255, 0]], np.uint8)).save(root / "masks" / "a.png")
    write_mask(root / "masks" / "deep" / "b.png", np.array([[0, 1, 2], [2, 1000, 0]]))
    (root / "classes.txt").write_text("cat\ndog\n")
    return root


def items(dataset):
    return [dataset.get_data_info(index) for index in range(len(dataset))]


def test_photos_alone(root):
    assert describe({"type": "ImageMaskFolder", "data_root": str(root)}).splits == ("train",)
    found = items(ImageMaskFolder(str(root)))
    assert [item["image_id"] for item in found] == ["a", "c", "deep/b"]
    assert all(item["upright"] for item in found)
    with pytest.raises(LussError, match=r"'validation' .*masks"):
        ImageMaskFolder(str(root), "validation")


def test_photos_with_masks_are_measured_and_that_is_said(masked, monkeypatch):
    said = []
    monkeypatch.setattr(
        image_mask_folder, "log_once", lambda text, level: said.append((text, level))
    )
    found = describe({"type": "ImageMaskFolder", "data_root": str(masked)})
    assert (found.splits, found.masked) == (("train", "validation"), ("validation",))
    assert found.classes == ("cat", "dog")
    train = items(ImageMaskFolder(str(masked)))
    assert len(train) == 3
    assert not any("seg_map_path" in item or item["upright"] for item in train)
    (masked / "masks" / "z.png").write_bytes(b"")
    measured = ImageMaskFolder(
        str(masked), "validation", pipeline=[LoadRGBImage(), LoadMask()], require_masks=True
    )
    assert [item["image_id"] for item in items(measured)] == ["a", "deep/b"]
    for item in measured:
        np.testing.assert_array_equal(item["gt_seg_map"], [[0, 1, 2], [2, 1000, 0]])
    (unused, level), (same, _) = said
    assert "1 masks have no photo: z.png" in unused
    assert "2 of the 3 TRAINING photos" in same
    assert level == 30


def test_one_channel_of_plain_ids(masked):
    ids = np.full((2, 3), 255, np.uint8)
    Image.fromarray(ids).save(masked / "masks" / "a.png")
    settings = {"mask_encoding": "rgb", "classes": [str(number) for number in range(300)]}
    dataset = ImageMaskFolder(
        str(masked), "validation", pipeline=[LoadRGBImage(), LoadMask()], **settings
    )
    np.testing.assert_array_equal(dataset[0]["gt_seg_map"], ids)
    with pytest.raises(LussError, match=r"300 .*1 to 254"):
        ImageMaskFolder(str(masked), **{**settings, "mask_encoding": "index"})


def test_what_is_missing_is_named(masked):
    for settings, message in (
        ({"split": "test"}, "no split 'test'"),
        ({"require_masks": True}, "3 of 3 images of 'train' have no mask"),
        ({"image_folder": "pictures"}, "pictures is missing"),
    ):
        with pytest.raises(LussError, match=message):
            ImageMaskFolder(str(masked), **settings)
    for name in ("a", "deep/b"):
        (masked / "masks" / f"{name}.png").rename(masked / "masks" / f"{name}_mask.png")
    with pytest.raises(LussError, match=r"none of the 3 photos .*contains a_mask.png, deep/b_mask"):
        ImageMaskFolder(str(masked), "validation")
    (masked / "classes.txt").unlink()
    with pytest.raises(LussError, match=r"masks in .*classes.txt"):
        describe({"type": "ImageMaskFolder", "data_root": str(masked)})


def test_it_is_recognised(masked, write_image):
    assert kind_of_data(masked) == "ImageMaskFolder"
    write_image(masked / "c.jpg")
    with pytest.raises(LussError, match=r"c.jpg is a photo outside.*type=ImageMaskFolder"):
        kind_of_data(masked)
