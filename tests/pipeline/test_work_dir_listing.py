"""Listings of photos skip each folder that luss creates."""

import json

import numpy as np
import pytest
from matplotlib.figure import Figure
from mmengine import Config
from PIL import Image

from luss.datasets.photo_folder import find_photos
from luss.datasets.split_root import class_folders
from luss.errors import LussError
from luss.files import create_output_folder, write_json
from luss.pipeline.work_dir import WorkDir


def lock(folder):
    with WorkDir(folder).locked():
        pass


RECORDS = {
    "a run that was not begun": lock,
    "plots": create_output_folder,
    # Of earlier versions, which did not mark their folders.
    "a run": lambda folder: WorkDir(folder).record(Config({"seed": 1}), {"pretrain": {}}),
    "predictions": lambda folder: write_json(
        folder / "settings.json", {"model": {}, "categories": "named", "outputs": []}
    ),
}


@pytest.mark.parametrize("make", RECORDS.values(), ids=RECORDS)
def test_pictures_of_luss_are_not_photos(tmp_path, make):
    (tmp_path / "of_a_user").mkdir()
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "of_a_user" / "photo.png")
    (tmp_path / "of_a_user" / "settings.json").write_text(json.dumps({"model": "camera"}))
    make(tmp_path / "of_luss")
    (tmp_path / "of_luss" / "masks").mkdir()
    for folder in ("", "masks"):
        Figure(figsize=(1, 1)).savefig(tmp_path / "of_luss" / folder / "picture.png")
    assert find_photos(tmp_path) == ["of_a_user/photo.png"]
    assert class_folders(tmp_path) == ["of_a_user"]
    with pytest.raises(LussError, match=f"{tmp_path}/of_luss contains outputs"):
        find_photos(tmp_path / "of_luss")


def test_a_folder_of_photos_stays_one(tmp_path):
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "photo.png")
    create_output_folder(tmp_path)
    assert find_photos(tmp_path) == ["photo.png"]
