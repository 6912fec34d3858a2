import json
import logging
import os

import numpy as np
import pytest
from mmengine.registry import DefaultScope
from PIL import Image

from luss.datasets import ImageNetS
from luss.datasets.imagenet_s import find_categories
from luss.datasets.palette import make_palette
from luss.datasets.transforms import LoadRGBImage
from luss.errors import LussError
from luss.registry import DATASETS


def test_ids_come_from_the_sorted_class_folders(split_root):
    dataset = ImageNetS(str(split_root))
    assert dataset.metainfo["classes"] == ("other", "n01", "n02", "n03")
    assert dataset.num_classes == 3
    items = [dataset.get_data_info(index) for index in range(len(dataset))]
    assert [item["category"] for item in items] == [1] * 3 + [2] * 3 + [3] * 3
    assert items[0]["image_id"] == "n01/n01_0"
    assert items[0]["img_path"] == f"{split_root}/train/n01/n01_0.JPEG"
    assert items[4]["sample_idx"] == 4
    assert "seg_map_path" not in items[0]


def test_masks_lie_beside_the_split(split_root):
    dataset = ImageNetS(str(split_root), "validation")
    masks = {
        item["image_id"]: item.get("seg_map_path")
        for item in map(dataset.get_data_info, range(len(dataset)))
    }
    assert len(masks) == 6
    assert masks["n01/val_10"] == f"{split_root}/validation-segmentation/n01/val_10.png"
    assert masks["n02/val_21"] is None


def test_masks_may_come_from_elsewhere(split_root, tmp_path):
    elsewhere = tmp_path / "pseudo" / "n02"
    elsewhere.mkdir(parents=True)
    (elsewhere / "n02_1.png").touch()
    dataset = ImageNetS(str(split_root), mask_root=str(tmp_path / "pseudo"), num_mask_classes=5)
    found = [item.get("seg_map_path") for item in map(dataset.get_data_info, range(9))]
    assert [path for path in found if path] == [str(elsewhere / "n02_1.png")]
    assert dataset.get_data_info(0)["num_mask_classes"] == 5


def test_required_masks_that_are_missing_are_named(split_root):
    with pytest.raises(LussError, match=r"1 of 6 images .*n02/val_21\.png"):
        ImageNetS(str(split_root), "validation", require_masks=True)
    with pytest.raises(LussError, match="train-segmentation"):
        ImageNetS(str(split_root), "train", require_masks=True)


def test_other_folders_count_for_train_full_only(split_root, write_image):
    write_image(split_root / "train-full" / "n00" / "a.JPEG")
    write_image(split_root / "train-full" / "n02" / "b.JPEG")
    dataset = ImageNetS(str(split_root), "train-full")
    assert [dataset.get_data_info(index)["category"] for index in range(2)] == [0, 2]
    write_image(split_root / "test" / "n00" / "a.JPEG")
    with pytest.raises(LussError, match="n00"):
        ImageNetS(str(split_root), "test")


def test_without_train_the_other_splits_name_the_classes(tmp_path, write_image):
    write_image(tmp_path / "test" / "b" / "1.jpg")
    write_image(tmp_path / "validation" / "a" / "1.jpg")
    assert ImageNetS(str(tmp_path), "test").metainfo["classes"] == ("other", "a", "b")


def test_hidden_and_foreign_files_are_passed_over(split_root):
    (split_root / "train" / "n01" / "._n01_0.JPEG").touch()
    (split_root / "train" / "n01" / "notes.txt").touch()
    (split_root / "train" / ".cache").mkdir()
    assert len(ImageNetS(str(split_root))) == 9


def test_stray_folders_are_no_classes(split_root, write_image):
    for name in ("__MACOSX", "@eaDir", ".thumbnails", "0_run"):
        write_image(split_root / "train" / name / "a.JPEG")
        write_image(split_root / "validation" / name / "a.JPEG")
        (split_root / "train" / name / "pipeline.json").write_text(json.dumps({"config_hash": ""}))
        (split_root / "validation" / name / "pipeline.json").write_text('{"config_hash": ""}')
    assert find_categories(split_root) == ["n01", "n02", "n03"]
    assert len(ImageNetS(str(split_root))) == 9
    assert len(ImageNetS(str(split_root), "validation")) == 6


def test_class_folders_without_photos_are_refused_in_train(split_root):
    (split_root / "train" / "a_new_folder").mkdir()
    (split_root / "train" / "n02_old").mkdir()
    (split_root / "train" / "n02_old" / "notes.txt").touch()
    with pytest.raises(LussError, match=r"2 of the 5 class folders .*a_new_folder, n02_old\."):
        find_categories(split_root)


def test_folders_without_photos_change_nothing_in_other_splits(split_root):
    (split_root / "validation" / "a_new_folder").mkdir()
    for photo in (split_root / "validation" / "n02").iterdir():
        photo.unlink()
    dataset = ImageNetS(str(split_root), "validation")
    assert [dataset.get_data_info(i)["category"] for i in range(len(dataset))] == [1, 1, 3, 3]


def test_without_train_a_class_needs_a_photo_in_some_split(tmp_path, write_image):
    write_image(tmp_path / "validation" / "a" / "1.jpg")
    (tmp_path / "test" / "a").mkdir(parents=True)
    assert find_categories(tmp_path) == ["a"]
    (tmp_path / "test" / "b").mkdir()
    with pytest.raises(LussError, match=r"1 of the 2 class folders .*: b\."):
        find_categories(tmp_path)


def test_what_is_left_out_is_said(split_root, write_image, monkeypatch):
    said = []
    monkeypatch.setattr(
        "luss.datasets.photo_listing.print_log",
        lambda message, logger, level: said.append((level, message)),
    )
    write_image(split_root / "train" / "lost.jpg")
    (split_root / "train" / "n01" / "x.heic").touch()
    os.mkfifo(split_root / "train" / "n03" / "pipe.jpg")
    assert len(ImageNetS(str(split_root))) == 9
    [(level, found), (warning, left_out)] = said
    assert (level, warning) == (logging.INFO, logging.WARNING)
    assert found == f"{split_root}/train: 9 photos (9 .jpeg)"
    assert "1 photo (1 .heic)" in left_out
    assert "1 that are not regular files" in left_out
    assert "1 outside of class folders (move them into one): lost.jpg" in left_out


def test_names_that_are_not_utf8_are_refused(split_root):
    (split_root / "train" / "n01" / os.fsdecode(b"\xe9.jpg")).touch()
    with pytest.raises(LussError, match=r"1 photos .* not UTF-8: n01/\\xe9\.jpg"):
        ImageNetS(str(split_root))


def test_photos_stay_as_their_masks_were_drawn(split_root):
    stored = np.zeros((4, 6, 3), np.uint8)
    stored[0] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(stored).save(split_root / "train" / "n01" / "a.png", exif=exif)
    item = ImageNetS(str(split_root), pipeline=[LoadRGBImage()])[0]
    np.testing.assert_array_equal(item["img"], stored)


def test_a_linked_class_folder_is_a_class_folder(split_root, tmp_path, write_image):
    write_image(tmp_path / "imagenet" / "n09" / "a.JPEG")
    (split_root / "train" / "n09").symlink_to(tmp_path / "imagenet" / "n09")
    dataset = ImageNetS(str(split_root))
    assert dataset.get_data_info(9)["image_id"] == "n09/a"


@pytest.mark.parametrize(
    ("prepare", "split", "message"),
    [
        (lambda root: None, "val", "unknown split 'val'"),
        (lambda root: None, "train-semi", "contains train, validation, validation-segmentation"),
        (lambda root: [p.unlink() for p in root.glob("train/*/*")], "train", "no images"),
        (lambda root: (root / "train/n01/n01_0.png").touch(), "train", "share one mask"),
        (
            lambda root: (root / "train").rename(root / "photos") and None,
            "train",
            "'train' is missing",
        ),
    ],
)
def test_what_is_wrong_is_said(split_root, prepare, split, message):
    prepare(split_root)
    with pytest.raises(LussError, match=message):
        ImageNetS(str(split_root), split)


def test_a_folder_of_another_kind_is_refused(tmp_path):
    with pytest.raises(LussError, match="absent is missing"):
        ImageNetS(str(tmp_path / "absent"))
    with pytest.raises(LussError, match="contains nothing"):
        ImageNetS(str(tmp_path))
    (tmp_path / "train").mkdir()
    with pytest.raises(LussError, match="no class folders"):
        ImageNetS(str(tmp_path))


def test_lazily_built_from_a_config(split_root):
    config = {"type": "ImageNetS", "data_root": str(split_root), "lazy_init": True, "indices": 4}
    with DefaultScope.overwrite_default_scope("luss"):
        dataset = DATASETS.build(config)
    assert not dataset._fully_initialized
    assert dataset.metainfo["classes"][1] == "n01"
    assert len(dataset) == 4
    assert len(dataset.get_subset([0, 2])) == 2


@pytest.mark.parametrize("count", [1, 8, 50, 919])
def test_colours_differ(count):
    palette = make_palette(count)
    assert len(palette) == len({tuple(colour) for colour in palette}) == count + 1
    assert palette[0] == [0, 0, 0]
    assert all(0 <= part <= 255 for colour in palette for part in colour)
    assert make_palette(count + 5)[: count + 1] == palette
