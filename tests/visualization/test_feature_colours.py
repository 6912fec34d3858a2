"""Stored features as pictures, alone and in the report's gallery."""

import re

import numpy as np
from PIL import Image

from luss.datasets.feature_files import FeatureWriter
from luss.engine.loops import FeatureLoop
from luss.pipeline.work_dir import WorkDir
from luss.visualization.feature_colours import FeatureColours


def test_maps_of_two_channels_leave_blue_dark():
    rng = np.random.default_rng(0)
    maps = [rng.normal(size=(4, 3, 2))]
    picture = FeatureColours([maps]).picture(maps, (8, 6))
    assert not picture[..., 2].any()
    assert picture[..., 0].std() > 20


def directions(ids, length=5):
    """Features of cells with these ids, of different lengths: one direction for each id."""
    scale = np.random.default_rng(ids.size).uniform(1, 9, (*ids.shape, 1))
    return scale * np.eye(length)[ids]


def test_cells_with_equal_features_have_equal_colours_in_all_photos():
    first, second = np.array([[0, 0, 1], [0, 0, 1]]), np.array([[2, 1], [2, 0], [1, 0], [0, 1]])
    photos = [[directions(first)], [directions(second)]]
    colours = FeatureColours(photos)
    pictures = [
        colours.picture(maps, ids.shape) for maps, ids in zip(photos, (first, second), strict=True)
    ]
    found = {}
    for ids, picture in zip((first, second), pictures, strict=True):
        assert picture.dtype == np.uint8 and picture.shape == (*ids.shape, 3)
        for name, colour in zip(ids.ravel(), picture.reshape(-1, 3), strict=True):
            found.setdefault(name, set()).add(tuple(colour.tolist()))
    assert all(len(each) == 1 for each in found.values())
    assert len(set.union(*found.values())) == 3
    # Red is the component of the largest variance, which separates the two frequent directions.
    red = {name: each.pop()[0] for name, each in found.items()}
    assert {red[0], red[1]} == {0, 255}


def test_pictures_have_the_size_of_photos_and_the_detail_of_the_finest_map():
    rng = np.random.default_rng(0)
    maps = [rng.normal(size=(8, 6, 4)), rng.normal(size=(4, 3, 7))]
    colours = FeatureColours([maps])
    assert colours.picture(maps, (80, 60)).shape == (80, 60, 3)
    assert len(np.unique(colours.picture(maps, (8, 6)).reshape(-1, 3), axis=0)) == 48
    same = [np.ones((2, 2, 4)), np.ones((1, 1, 7))]
    assert np.ptp(FeatureColours([same]).picture(same, (9, 9))) == 0


def test_the_gallery_shows_features(run, build):
    work_dir, rng = run.work_dir, np.random.default_rng(0)
    ids = [run.validation.get_data_info(index)["image_id"] for index in range(6)]
    folder = work_dir / "features" / FeatureLoop.roles["features"] / "validation"
    folder.mkdir(parents=True)
    with FeatureWriter(folder, "float32", [8]) as writer:
        for image_id in ids[1:]:
            writer.add(image_id, [rng.normal(size=(5, 4, 6))], (60, 80), (32, 48))
        writer.add_unreadable(ids[:1])
        writer.finish()
    WorkDir(work_dir).mark_done("features", {"outputs": dict(FeatureLoop.roles)})
    page = build(work_dir, run.train, run.validation, "validation", "A run", ["gallery"])
    text = page.read_text(encoding="utf-8")
    assert 'class="gallery of5"' in text and "principal components" in text
    assert len(re.findall("<b>features</b>", text)) == 6
    assert text.count("could not be read when its features were computed") == 1
    pictures = sorted((page.parent / "gallery").iterdir())
    assert len(pictures) == 6 * 4 + 5
    with Image.open(pictures[-1]) as features, Image.open(pictures[-5]) as photo:
        assert features.size == photo.size
        assert np.asarray(features).std() > 20
