"""The pictures of one photo whose mask is known."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from luss.apis.categories import WrittenCategories
from luss.apis.found import found_categories
from luss.apis.photos import GivenPhoto
from luss.apis.prediction_folder import PredictionFolder
from luss.datasets import read_mask
from luss.errors import LussError
from luss.visualization.colours import generated_legend, true_legend


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "x.png"
    Image.fromarray(np.full((20, 20, 3), 90, np.uint8)).save(path)
    return GivenPhoto(str(path), "x.png", "x")


def written(root, photo, ids, num_categories):
    legend = generated_legend(num_categories, None, true_legend({}))
    categories = WrittenCategories("generated", np.arange(num_categories + 1), legend)
    folder = PredictionFolder(root, categories)
    folder.begin({}, [photo.path])
    found = found_categories(ids, np.zeros((num_categories + 1, 1, 1), np.float32), categories)
    folder.add(photo, np.full((*ids.shape, 3), 90, np.uint8), ids.astype(np.uint16), found)
    folder.finish([photo], [])
    return legend


def test_specks_of_less_than_a_hundredth_are_not_cut_out(photo, tmp_path):
    ids = np.zeros((20, 20), int)
    ids[0, :4], ids[5, :3] = 1, 2
    written(tmp_path / "out", photo, ids, 2)
    assert [path.name for path in (tmp_path / "out" / "cutouts" / "x").iterdir()] == ["1.png"]
    (record,) = json.loads((tmp_path / "out" / "predictions.json").read_text())["photos"]
    assert [each["area"] for each in record["categories"]] == [0.01, 0.0075]


def test_palettes_of_more_than_256_categories_hold_those_of_the_photo(photo, tmp_path):
    ids = np.zeros((20, 20), int)
    ids[:5], ids[5:9] = 300, 7
    legend = written(tmp_path / "out", photo, ids, 400)
    assert np.array_equal(read_mask(tmp_path / "out" / "masks" / "x.png"), ids)
    with Image.open(tmp_path / "out" / "indexed" / "x.png") as indexed:
        assert np.array_equal(np.array(indexed), np.searchsorted([0, 7, 300], ids))
        assert np.array_equal(
            np.array(indexed.convert("RGB"))[ids > 0], legend.colours[ids[ids > 0]]
        )


def test_a_photo_without_categories_is_listed_as_such(photo, tmp_path):
    written(tmp_path / "out", photo, np.zeros((20, 20), int), 2)
    assert (tmp_path / "out" / "categories.csv").read_text().split() == [
        "photo,category,name,area,score",
        "x.png,,,,",
    ]


def test_cutouts_of_a_photo_that_was_replaced_go_with_it(photo, tmp_path):
    ids = np.full((20, 20), 1)
    written(tmp_path / "out", photo, ids, 2)
    written(tmp_path / "out", photo, 2 * ids, 2)
    assert [path.name for path in (tmp_path / "out" / "cutouts" / "x").iterdir()] == ["2.png"]


def test_a_photo_in_whose_place_another_of_as_many_bytes_has_come_is_not_done(photo, tmp_path):
    legend = written(tmp_path / "out", photo, np.full((20, 20), 1), 2)
    folder = PredictionFolder(
        tmp_path / "out", WrittenCategories("generated", np.arange(3), legend)
    )
    assert folder.is_done(photo)
    path = Path(photo.path)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert not folder.is_done(photo)


def begun(root, photo):
    legend = written(root, photo, np.full((20, 20), 1), 1)
    return PredictionFolder(root, WrittenCategories("generated", np.arange(2), legend))


@pytest.mark.parametrize("lost", ["masks", "indexed", "overlays", "cutouts", "records"])
def test_a_photo_whose_output_was_deleted_is_not_done(photo, tmp_path, lost):
    folder = begun(tmp_path / "out", photo)
    assert folder.is_done(photo)
    (file,) = (path for path in (tmp_path / "out" / lost).rglob("*") if path.is_file())
    file.unlink()
    assert not folder.is_done(photo)


@pytest.mark.parametrize("change", ["", "{}", "[]", '{"sha256": 1}', "cut", "categories"])
def test_a_photo_whose_record_is_damaged_is_not_done(photo, tmp_path, change):
    folder = begun(tmp_path / "out", photo)
    path = tmp_path / "out" / "records" / "x.json"
    content = path.read_text()
    if change == "cut":
        change = content[: len(content) // 2]
    elif change == "categories":
        change = json.dumps({**json.loads(content), "categories": [{"id": 1}]})
    path.write_text(change)
    assert not folder.is_done(photo)


def test_damaged_settings_are_named(photo, tmp_path):
    folder = begun(tmp_path / "out", photo)
    (tmp_path / "out" / "settings.json").write_text("{")
    with pytest.raises(LussError, match=r"settings\.json is damaged.*out, or choose"):
        folder.begin({}, [photo.path])


def test_a_folder_is_for_the_photos_that_it_was_begun_with(photo, tmp_path, monkeypatch):
    folder = begun(tmp_path / "out", photo)
    monkeypatch.chdir(tmp_path)
    folder.begin({}, ["x.png"])
    with pytest.raises(LussError, match=r"of other photos \(.*x\.png\) than .*y\.png;.*--out"):
        folder.begin({}, ["y.png"])
    with pytest.raises(LussError, match=r"other settings: model, photos"):
        folder.begin({"upright": True}, [tmp_path])
