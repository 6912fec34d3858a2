"""Data sets read lists of photos instead of folders, and lists show what changed."""

import shutil

import numpy as np
import pytest

from luss.datasets import ReproducibleDataset
from luss.datasets.photo_lists import (
    ListedPhotos,
    describe_difference,
    read_photo_items,
    write_photo_list,
)
from luss.errors import LussError
from luss.registry import DATASETS


def items_of(dataset):
    return [dataset.get_data_info(index) for index in range(len(dataset))]


@pytest.fixture(params=["ImageNetS", "PhotoFolder", "VOCFolder", "ImageMaskFolder"])
def config(request, tmp_path, split_root, write_image):
    """A data set in ``tmp_path / "data"``; items of three of them have masks."""
    root, kind = tmp_path / "data", request.param
    if kind == "ImageNetS":
        shutil.copytree(split_root, root)
        return {"type": kind, "data_root": str(root), "split": "validation"}
    folder = {"PhotoFolder": "deep/er", "VOCFolder": "JPEGImages", "ImageMaskFolder": "images"}
    masks = {"VOCFolder": "SegmentationClass", "ImageMaskFolder": "masks"}
    for name in ("a", "b"):
        write_image(root / folder[kind] / f"{name}.jpg")
        if kind in masks:
            write_image(root / masks[kind] / f"{name}.png")
    if kind == "PhotoFolder":
        return {"type": kind, "data_root": str(root)}
    (root / "classes.txt").write_text("cat")
    (root / "ImageSets" / "Segmentation").mkdir(parents=True)
    (root / "ImageSets" / "Segmentation" / "val.txt").write_text("b\na\n")
    return {"type": kind, "data_root": str(root), "split": "validation"}


def test_a_list_gives_the_items_of_the_folder(config, tmp_path):
    listed = items_of(DATASETS.build(dict(config)))
    path = ListedPhotos().write(config, tmp_path / "lists")
    moved = (tmp_path / "data").rename(tmp_path / "moved")
    config_of_list = {**config, "data_root": str(moved), "photo_list": str(path)}
    read = DATASETS.build(dict(config_of_list))
    expected = [
        {
            key: value.replace(config["data_root"], str(moved)) if "path" in key else value
            for key, value in item.items()
        }
        for item in listed
    ]
    assert items_of(read) == expected
    part = DATASETS.build({**config_of_list, "indices": 1})
    assert [item["image_id"] for item in items_of(part)] == [listed[0]["image_id"]]


def test_photos_that_come_later_are_not_used(config, tmp_path, write_image):
    photos = ListedPhotos()
    path = photos.write(config, tmp_path)
    before = items_of(DATASETS.build({**config, "photo_list": str(path)}))
    write_image(tmp_path / "data" / "z.jpg")
    assert photos.write({**config, "seed": 3}, tmp_path) == path
    assert items_of(DATASETS.build({**config, "photo_list": str(path)})) == before


def test_a_list_of_another_split_is_rejected(split_root, tmp_path):
    config = {"type": "ImageNetS", "data_root": str(split_root), "split": "train"}
    path = ListedPhotos().write(config, tmp_path)
    with pytest.raises(LussError, match=r"'train', not 'validation'"):
        DATASETS.build({**config, "split": "validation", "photo_list": str(path)})


@pytest.mark.parametrize("content", [None, b"", b"no gzip"])
def test_a_damaged_list_is_named(tmp_path, content):
    path = tmp_path / "list.jsonl.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(LussError, match=str(path)):
        read_photo_items(path)


def test_items_are_plain_values(tmp_path):
    with pytest.raises(LussError, match="ndarray"):
        write_photo_list(tmp_path, [{"image_id": "a", "pixels": np.zeros(2)}])


@DATASETS.register_module(force=True)
class TwoPhotos(ReproducibleDataset):
    """As users write one."""

    listings = 0

    def load_data_list(self):
        TwoPhotos.listings += 1
        return [{"img_path": f"{self.data_root}/{name}.jpg", "image_id": name} for name in "ab"]


def test_data_sets_of_users_are_listed_once_too(tmp_path):
    photos, config = ListedPhotos(), {"type": "TwoPhotos", "data_root": str(tmp_path)}
    paths = {photos.write(config, tmp_path) for _ in range(2)}
    read = [DATASETS.build({**config, "photo_list": str(path)}) for path in paths]
    assert [items[1]["img_path"] for items in map(items_of, read)] == [f"{tmp_path}/b.jpg"]
    assert TwoPhotos.listings == 1


def difference(tmp_path, before, after):
    paths = [
        write_photo_list(tmp_path, [{"image_id": name, **more} for name, more in items])
        for items in (before, after)
    ]
    return describe_difference(*paths)


def test_differences_are_of_ids_order_and_sizes(tmp_path):
    a, b, c = (("a", {"bytes": 1}), ("b", {"bytes": 2}), ("c", {"bytes": 3}))
    assert difference(tmp_path, [a, b], [a, b]) is None
    assert "2, in another order" in difference(tmp_path, [a, b], [b, a])
    assert "1 is changed (a)" in difference(tmp_path, [a, b], [("a", {"bytes": 9}), b])
    text = difference(tmp_path, [a, b], [b, c])
    assert "of 2 then" in text and "1 is gone now (a)" in text and "1 is new (c)" in text
    # Masks may come later.
    bare, masked = ("a", {"img_path": "/a.jpg"}), ("a", {"seg_map_path": "/a.png"})
    assert difference(tmp_path, [bare], [masked]) is None
    now = write_photo_list(tmp_path, [{"image_id": "a"}])
    assert "there are 1 now" in describe_difference(tmp_path / "lost.jsonl.gz", now)
