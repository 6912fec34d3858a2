"""Data sets say what they have; what others do not say is found out, or not there."""

import pytest
from mmengine.dataset import BaseDataset

from luss.datasets import (
    DataDescription,
    ImageNetS,
    PhotoFolder,
    Recognition,
    describe,
    kind_of_data,
    split_config,
)
from luss.errors import LussError
from luss.registry import DATASETS


class Own(BaseDataset):
    """A data set of one's own, which says nothing of itself."""

    def load_data_list(self):
        return [{"img_path": f"{self.data_root}/{index}.jpg"} for index in range(3)]


class OwnWithSplits(Own):
    def __init__(self, data_root, split="all", pipeline=()):
        self.split = split
        super().__init__(data_root=data_root, pipeline=pipeline)


class Marked:
    """Says that a folder is its own by a file in it."""

    @classmethod
    def recognises(cls, root):
        return Recognition("a file 'mine'") if (root / "mine").exists() else None


@pytest.fixture
def marked():
    DATASETS.register_module(name="Marked", module=Marked)
    yield
    del DATASETS.module_dict["Marked"]


def test_a_split_root_describes_its_folders(split_root, write_image):
    settings = {"type": "ImageNetS", "data_root": str(split_root)}
    found = describe(settings)
    assert found == DataDescription(
        splits=("train", "validation"),
        masked=("validation",),
        classes=("n01", "n02", "n03"),
        has_categories=True,
    )
    assert (found.measured, found.evaluated, found.num_classes) == (("validation",),) * 2 + (3,)
    write_image(split_root / "test" / "n01" / "a.jpg")
    write_image(split_root / "train-semi" / "n01" / "a.jpg")
    (split_root / "train-semi-segmentation").mkdir()
    found = describe({**settings, "type": ImageNetS})
    assert found.splits == ("train", "train-semi", "validation", "test")
    assert found.masked == ("train-semi", "validation")
    assert found.evaluated == ("validation", "test")
    (split_root / "test-segmentation").mkdir()
    assert describe(settings).measured == ("validation", "test")
    assert split_config(settings, "validation") == {**settings, "split": "validation"}


def test_photos_alone_have_one_split(tmp_path):
    settings = {"type": "PhotoFolder", "data_root": str(tmp_path)}
    # Nothing is listed: there is no photo.
    assert describe(settings) == DataDescription(("train",))
    assert describe(settings).evaluated == ()
    assert describe(settings).num_classes is None
    assert split_config({**settings, "split": "train"}, "train") == settings
    with pytest.raises(LussError, match="PhotoFolder has no split 'test'"):
        split_config({**settings, "type": PhotoFolder}, "test")


def test_data_sets_of_others_are_for_training(split_root):
    settings = {"type": "mmcls.CustomDataset", "data_root": str(split_root / "train")}
    assert describe(settings) == DataDescription(classes=("n01", "n02", "n03"), has_categories=True)
    assert split_config(settings, "train") == settings
    with pytest.raises(LussError, match="CustomDataset has no split 'validation'"):
        split_config(settings, "validation")
    own = {"type": Own, "data_root": "photos"}
    assert describe(own) == DataDescription()
    assert split_config({**own, "type": OwnWithSplits}, "train")["split"] == "train"


def test_a_data_root_goes_where_none_is_taken():
    config = {"type": "ConcatDataset", "datasets": [], "data_root": "photos"}
    assert split_config(config, "train") == {"type": "ConcatDataset", "datasets": []}


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"splits": ("train", "val")}, "train, val, .*train, train-semi, validation, test"),
        ({"masked": ("test",), "classes": ("a",)}, "splits train, with masks for test"),
        ({"masked": ("train",)}, "`classes`"),
        ({"has_categories": True}, "`classes`"),
    ],
)
def test_descriptions_that_make_no_sense_are_refused(facts, message):
    with pytest.raises(LussError, match=message):
        DataDescription(**facts)


def test_classes_of_others_recognise_their_folders(tmp_path, split_root, write_image, marked):
    folder = tmp_path / "folder"
    write_image(folder / "a.jpg")
    assert kind_of_data(folder) == "PhotoFolder"
    (folder / "mine").touch()
    assert kind_of_data(folder) == "Marked"
    write_image(folder / "train" / "n01" / "a.jpg")
    message = r"has a folder 'train'.* and a file 'mine'.*any of ImageNetS, Marked.*type=Marked"
    with pytest.raises(LussError, match=message):
        kind_of_data(folder)
