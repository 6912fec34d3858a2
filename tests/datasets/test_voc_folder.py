"""PASCAL VOC's layout: lists of names, and masks with a palette in which 255 is ignored."""

import numpy as np
import pytest
from PIL import Image

from luss.datasets import VOCFolder, describe, kind_of_data, split_config
from luss.datasets.mask_check import check_masks
from luss.datasets.transforms import LoadMask, LoadRGBImage
from luss.datasets.voc_folder import VOC_CLASSES
from luss.errors import LussError

IDS = np.array([[0, 1, 2], [20, 255, 0]], np.uint8)


def write_palette(path, ids):
    """A PNG of one byte a pixel that names a colour; the colours are random."""
    image = Image.fromarray(ids, "P")
    image.putpalette(np.random.default_rng(0).integers(0, 256, 768, np.uint8).tobytes())
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


@pytest.fixture
def root(tmp_path, write_image):
    root = tmp_path / "VOC2012"
    lists = {"train": ["a", "b"], "val": ["c"], "test": ["d", "e"]}
    for list_name, names in lists.items():
        for name in names:
            write_image(root / "JPEGImages" / f"{name}.jpg", width=3, height=2)
            if list_name != "test":
                write_palette(root / "SegmentationClass" / f"{name}.png", IDS)
        path = root / "ImageSets" / "Segmentation" / f"{list_name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(f"{name}\n" for name in names))
    write_image(root / "SegmentationObject" / "a.png")
    return root


def test_it_describes_its_lists(root):
    settings = {"type": "VOCFolder", "data_root": str(root)}
    found = describe(settings)
    assert found.splits == ("train", "train-semi", "validation", "test")
    assert found.masked == ("train-semi", "validation")
    assert found.evaluated == ("validation", "test")
    assert (found.num_classes, found.has_categories) == (20, False)
    assert found.classes == VOC_CLASSES
    without = describe({**settings, "lists": {"train-semi": None, "test": None}})
    assert without.splits == ("train", "validation")
    assert split_config(settings, "validation") == {**settings, "split": "validation"}


def test_items_of_each_split(root):
    def items(split):
        dataset = VOCFolder(str(root), split)
        return [dataset.get_data_info(index) for index in range(len(dataset))]

    assert [item["image_id"] for item in items("train")] == ["a", "b"]
    assert not any("seg_map_path" in item for item in items("train") + items("test"))
    labelled = items("train-semi")
    assert [item["image_id"] for item in labelled] == ["a", "b"]
    assert labelled[1]["seg_map_path"] == f"{root}/SegmentationClass/b.png"
    (measured,) = items("validation")
    assert measured["img_path"] == f"{root}/JPEGImages/c.jpg"
    assert (measured["num_mask_classes"], measured["mask_encoding"]) == (20, "index")


def test_masks_are_indices_and_255_is_ignored(root):
    dataset = VOCFolder(
        str(root), "validation", require_masks=True, pipeline=[LoadRGBImage(), LoadMask()]
    )
    expected = [[0, 1, 2], [20, 1000, 0]]
    np.testing.assert_array_equal(dataset[0]["gt_seg_map"], expected)
    check_masks(dataset)
    Image.fromarray(IDS).save(root / "SegmentationClass" / "c.png")
    np.testing.assert_array_equal(dataset[0]["gt_seg_map"], expected)


def test_classes_that_do_not_fit_are_found(root):
    few = VOCFolder(str(root), "validation", classes=["a", "b"])
    assert few.metainfo["classes"] == ("other", "a", "b")
    message = r"c.png contains the ids 20; expected 0 to 2 and 255 .*data.classes"
    with pytest.raises(LussError, match=message):
        check_masks(few)
    (root / "classes.txt").write_text("cat\n\ndog\n")
    assert describe({"type": VOCFolder, "data_root": root}).classes == ("cat", "dog")
    (root / "classes.txt").write_text("cat\ncat\n")
    with pytest.raises(LussError, match=r"classes.txt contains 2 class names, 1 of them diff"):
        VOCFolder(str(root))
    with pytest.raises(LussError, match=r"data.classes is 'cat', expected a list"):
        VOCFolder(str(root), classes="cat")
    with pytest.raises(LussError, match="255 class names"):
        VOCFolder(str(root), classes=map(str, range(255)))


def test_another_list(root):
    (root / "ImageSets" / "Segmentation" / "trainaug.txt").write_text("d 1\ne -1\n")
    dataset = VOCFolder(str(root), lists={"train": "trainaug"})
    assert [dataset.get_data_info(index)["image_id"] for index in (0, 1)] == ["d", "e"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"split": "val"}, "None of the split 'val'"),
        ({"lists": {"train": "trainaug"}}, "trainaug.txt.*contains test.txt, train.txt, val.txt"),
        ({"lists": {"val": "val"}}, "data.lists .*splits val"),
        ({"split": "test", "require_masks": True}, "2 of 2 images of 'test' have no mask.*d.png"),
        (
            {"mask_folder": "Masks", "split": "validation", "require_masks": True},
            "Masks.*'validation'",
        ),
    ],
)
def test_what_is_missing_is_named(root, settings, message):
    with pytest.raises(LussError, match=message):
        VOCFolder(str(root), **settings)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("a\nb\na\n", "photos twice: a"),
        ("a\nz\n", "1 of the 2 photos in .*JPEGImages: z"),
    ],
)
def test_lists_that_cannot_be_followed(root, text, message):
    (root / "ImageSets" / "Segmentation" / "train.txt").write_text(text)
    with pytest.raises(LussError, match=message):
        VOCFolder(str(root))


def test_it_is_recognised(root, write_image):
    assert kind_of_data(root) == "VOCFolder"
    write_image(root / "holiday" / "a.jpg")
    with pytest.raises(LussError, match=r"holiday/a.jpg is a photo outside.*type=VOCFolder"):
        kind_of_data(root)
