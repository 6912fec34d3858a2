import json

import cv2
import numpy as np
import pytest
from PIL import Image

from luss.datasets.demo_scene import CATEGORIES, draw_scene
from luss.datasets.demo_shapes import draw_demo_data
from luss.datasets.mask_codec import IGNORE_ID, read_mask
from luss.errors import LussError

FEW = {"train": 3, "train_semi": 2, "validation": 2, "test": 1, "size": 64}


def contents(root):
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return draw_demo_data(tmp_path_factory.mktemp("demo") / "data", **FEW)


@pytest.fixture(scope="module")
def scenes():
    """Twelve scenes a category, as (category, picture, mask)."""
    return [
        (category, *draw_scene(category, 96, np.random.default_rng([7, category, index])))
        for category in range(1, len(CATEGORIES) + 1)
        for index in range(12)
    ]


def test_it_is_laid_out_as_imagenet_s(root):
    counts = {
        "train": ("JPEG", 3),
        "train-semi": ("JPEG", 2),
        "train-semi-segmentation": ("png", 2),
        "validation": ("JPEG", 2),
        "validation-segmentation": ("png", 2),
        "test": ("JPEG", 1),
        "test-segmentation": ("png", 1),
    }
    assert {path.name for path in root.iterdir() if path.is_dir()} == set(counts)
    for split, (suffix, count) in counts.items():
        assert {path.name for path in (root / split).iterdir()} == set(CATEGORIES)
        for folder in (root / split).iterdir():
            assert len(list(folder.glob(f"*.{suffix}"))) == len(list(folder.iterdir())) == count
    assert len(CATEGORIES) >= 6


def test_masks_fit_their_pictures(root):
    names = sorted(CATEGORIES)
    for path in root.glob("*-segmentation/*/*.png"):
        mask = read_mask(path)
        picture = root / path.parts[-3].removesuffix("-segmentation") / path.parts[-2]
        with Image.open(picture / f"{path.stem}.JPEG") as image:
            assert image.size[::-1] == mask.shape == (64, 64)
        present = set(np.unique(mask)) - {0, IGNORE_ID}
        main = names.index(path.parts[-2]) + 1
        assert main in present <= set(range(1, len(names) + 1))
        assert not path.parts[-3].startswith("train-semi") or present == {main}


def test_pictures_of_train_semi_are_those_of_train(root):
    for path in root.glob("train-semi/*/*"):
        train = root / "train" / path.parts[-2] / path.name
        assert path.read_bytes() == train.read_bytes()


def test_a_seed_gives_the_same_bytes_and_another_seed_others(root, tmp_path):
    again = contents(draw_demo_data(tmp_path / "again", **FEW))
    assert again == contents(root)
    other = contents(draw_demo_data(tmp_path / "other", **FEW, seed=1))
    assert other.keys() == again.keys()
    assert all(other[name] != again[name] for name in again if name.endswith(".JPEG"))


def test_more_pictures_leave_the_first_as_they_are(root, tmp_path):
    more = contents(draw_demo_data(tmp_path / "more", **{**FEW, "validation": 3}))
    few = contents(root)
    assert all(more[name] == few[name] for name in few if name != "demo.json")


def test_data_already_drawn_are_left_alone(root):
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    draw_demo_data(root, **FEW)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_what_is_there_and_differs_is_an_error(root, tmp_path):
    with pytest.raises(LussError, match="seed"):
        draw_demo_data(root, **FEW, seed=1)
    (tmp_path / "photo.jpg").touch()
    with pytest.raises(LussError, match=r"demo\.json"):
        draw_demo_data(tmp_path, **FEW)
    copy = draw_demo_data(tmp_path / "copy", **FEW)
    next(copy.glob("test/*/*")).unlink()
    with pytest.raises(LussError, match="test contains 5 files, expected 6"):
        draw_demo_data(copy, **FEW)
    record = json.loads((root / "demo.json").read_text())
    (copy / "demo.json").write_text(json.dumps({**record, "version": 0}))
    with pytest.raises(LussError, match="version"):
        draw_demo_data(copy, **FEW)


def test_a_failure_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError("no space left on device")

    monkeypatch.setattr("luss.datasets.demo_shapes.cv2.imencode", full)
    with pytest.raises(OSError, match="no space"):
        draw_demo_data(tmp_path / "data", **FEW)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("numbers", [{"train": 0}, {"train": 5, "train_semi": 6}, {"size": 8}])
def test_numbers_without_sense_are_refused(tmp_path, numbers):
    with pytest.raises(LussError):
        draw_demo_data(tmp_path / "data", **numbers)


def test_sizes_vary_and_some_masks_hold_two_categories_or_ignore(scenes):
    shares = [np.mean((mask > 0) & (mask != IGNORE_ID)) for _, _, mask in scenes]
    assert min(shares) > 0.08
    assert max(shares) < 0.65
    assert np.subtract(*np.percentile(shares, [75, 25])) > 0.08
    present = [set(np.unique(mask)) - {0, IGNORE_ID} for _, _, mask in scenes]
    assert 0.05 < np.mean([len(ids) == 2 for ids in present]) < 0.35
    assert 0.05 < np.mean([IGNORE_ID in mask for _, _, mask in scenes]) < 0.5


def test_colour_says_nothing_about_the_category(scenes):
    """Classifying main objects by their mean colour and its spread is not far above chance."""
    labels = np.array([category for category, _, _ in scenes])
    features = np.stack(
        [
            np.concatenate([picture[mask == category].mean(0), picture[mask == category].std(0)])
            for category, picture, mask in scenes
        ]
    )
    distances = np.linalg.norm(features[:, None] - features, axis=2)
    np.fill_diagonal(distances, np.inf)
    accuracy = np.mean(labels[distances.argmin(1)] == labels)
    assert accuracy < 2.2 / len(CATEGORIES)


def test_object_and_surroundings_share_their_colours(scenes):
    inside = np.concatenate([picture[mask > 0] for _, picture, mask in scenes]).astype(float)
    outside = np.concatenate([picture[mask == 0] for _, picture, mask in scenes]).astype(float)
    np.testing.assert_allclose(inside.mean(0), outside.mean(0), atol=15)
    np.testing.assert_allclose(inside.std(0), outside.std(0), atol=12)


def test_the_mask_survives_a_feature_map(scenes):
    """The majority of each cell of an 8 x 8 map, drawn large again, keeps 75 % IoU and more."""
    count = len(CATEGORIES) + 1
    confusion = np.zeros((count, count))
    for _, _, mask in scenes:
        shares = [cv2.resize((mask == i) * 1.0, (8, 8), interpolation=3) for i in range(count)]
        coarse = np.argmax(shares, axis=0).astype(np.int32)
        back = cv2.resize(coarse, mask.shape[::-1], interpolation=cv2.INTER_NEAREST)
        seen = mask != IGNORE_ID
        confusion += np.histogram2d(mask[seen], back[seen], np.arange(count + 1))[0]
    overlap = np.diag(confusion)
    assert np.mean(overlap / (confusion.sum(0) + confusion.sum(1) - overlap)) > 0.75
