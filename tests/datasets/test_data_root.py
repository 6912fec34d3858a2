import json

import pytest

from luss.datasets.data_root import kind_of_data
from luss.errors import LussError


def test_folders_of_splits_make_a_split_root(split_root, write_image):
    assert kind_of_data(split_root) == "ImageNetS"
    # What systems, people and runs add to it.
    write_image(split_root / "__MACOSX" / "a.jpg")
    (split_root / "README.txt").touch()
    (split_root / "lists").mkdir()
    run = split_root / "runs" / "first"
    write_image(run / "report" / "gallery" / "00001.jpg")
    (run / "pipeline.json").write_text(json.dumps({"config_hash": "0"}))
    write_image(split_root / "train-full" / "n09" / "a.jpg")
    assert kind_of_data(split_root) == "ImageNetS"


def test_evaluation_splits_alone_make_a_split_root(split_root):
    (split_root / "train").rename(split_root.parent / "elsewhere")
    assert kind_of_data(split_root) == "ImageNetS"


@pytest.mark.parametrize("name", ["a.jpg", "album/a.jpg", "validation/a.jpg", "test/x/a.jpg"])
def test_photos_without_train_are_a_photo_folder(tmp_path, write_image, name):
    write_image(tmp_path / name)
    assert kind_of_data(tmp_path) == "PhotoFolder"


@pytest.mark.parametrize(
    ("added", "reason"),
    [
        ("a.jpg", "a.jpg is a photo outside of the splits"),
        ("holiday/2019/a.jpg", "holiday/2019/a.jpg is a photo outside of the splits"),
        ("train/a.jpg", "train contains photos outside"),
    ],
)
def test_what_may_be_either_is_refused(split_root, write_image, added, reason):
    write_image(split_root / added)
    with pytest.raises(LussError, match=rf"'train'.*{reason}.*PhotoFolder.*data.type=ImageNetS"):
        kind_of_data(split_root)


def test_an_album_called_train_makes_no_split_root(tmp_path, write_image):
    write_image(tmp_path / "train" / "2019" / "summer" / "a.jpg")
    with pytest.raises(LussError, match=r"train/2019 .*data.type=PhotoFolder"):
        kind_of_data(tmp_path)
