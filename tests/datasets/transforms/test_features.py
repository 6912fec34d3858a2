"""Stored features in data pipelines, and random windows of them with masks."""

import numpy as np
import pytest
import torch

from luss.datasets.feature_files import FeatureWriter
from luss.datasets.reproducible import seeded
from luss.datasets.transforms import LoadFeatures, PackInputs, RandomFeatureWindow
from luss.errors import LussError
from luss.structures import stored_maps

STRIDES = [4, 8]
IMAGE = (40, 29)
PHOTO = (80, 58)


@pytest.fixture
def folder(tmp_path):
    """Maps whose cells contain the row and column of their first pixel, as of a padding network."""
    maps = []
    for stride in STRIDES:
        height, width = (-(-side // stride) for side in IMAGE)
        maps.append(stride * np.indices((height, width)).astype(np.float32))
    with FeatureWriter(tmp_path, "float32", STRIDES) as writer:
        writer.add("photo", maps, PHOTO, IMAGE)
        writer.finish()
    return tmp_path


def loaded(folder, **results):
    return LoadFeatures(str(folder))({"image_id": "photo", **results})


def mask_of_photo():
    """Ids are the pixel's number among 40 x 29, each of 2 x 2 pixels of the photo."""
    numbers = np.arange(IMAGE[0] * IMAGE[1], dtype=np.int32).reshape(IMAGE)
    return numbers.repeat(2, axis=0).repeat(2, axis=1)


@pytest.mark.parametrize("size", [8, 19, 31])
def test_windows_contain_the_same_pixels_of_maps_mask_and_image(folder, size):
    """Also where the last cells of the maps are beyond the edge of the photo."""
    corners = set()
    for draw in range(100):
        numbers = np.arange(IMAGE[0] * IMAGE[1], dtype=np.int32).reshape(IMAGE)
        image = np.stack([numbers % 256, numbers // 256, 0 * numbers], axis=2).astype(np.uint8)
        results = loaded(folder, img=image, ori_shape=PHOTO, img_shape=IMAGE)
        results["gt_seg_map"] = mask_of_photo()
        with seeded(draw):
            found = RandomFeatureWindow(size)(results)
        side = size // 8 * 8
        assert found["img_shape"] == (side, side)
        mask = found["gt_seg_map"]
        rows, columns = np.divmod(mask, IMAGE[1])
        top, left = rows[0, 0], columns[0, 0]
        assert 0 <= top <= IMAGE[0] - side and 0 <= left <= IMAGE[1] - side
        np.testing.assert_array_equal(rows, top + np.arange(side)[:, None] + 0 * columns)
        np.testing.assert_array_equal(columns, left + np.arange(side) + 0 * rows)
        for values, stride in zip(found["features"], STRIDES, strict=True):
            assert values.shape == (side // stride, side // stride, 2)
            np.testing.assert_array_equal(values[..., 0], rows[::stride, ::stride])
            np.testing.assert_array_equal(values[..., 1], columns[::stride, ::stride])
        np.testing.assert_array_equal(found["img"][..., :2] @ [1, 256], mask)
        corners.add((top, left))
    possible = ((IMAGE[0] - side) // 8 + 1) * ((IMAGE[1] - side) // 8 + 1)
    assert len(corners) == possible


@pytest.mark.parametrize(("size", "side"), [(7, 0), (32, 32)])
def test_windows_that_do_not_fit(folder, size, side):
    message = rf"size is {size}.* cover {side} pixels; expected 8 to 24 .* 29 x 40"
    with pytest.raises(LussError, match=message):
        RandomFeatureWindow(size)(loaded(folder))


def test_batches_of_windows_stack(folder):
    samples = []
    for draw in range(3):
        results = loaded(folder)
        results["gt_seg_map"] = mask_of_photo()
        with seeded(draw):
            packed = PackInputs()(RandomFeatureWindow(16)(results))
        # No image was loaded.
        assert packed.keys() == {"data_samples"}
        sample = packed["data_samples"]
        assert sample.img_shape == (16, 16) and sample.ori_shape == PHOTO
        samples.append(sample)
    fine, coarse = stored_maps(samples)
    assert fine.shape == (3, 2, 4, 4) and coarse.shape == (3, 2, 2, 2)
    masks = torch.stack([sample.gt_sem_seg.data for sample in samples])
    assert masks.shape == (3, 1, 16, 16)
    torch.testing.assert_close(fine[:, 0], (masks[:, 0, ::4, ::4] // IMAGE[1]).float())


def test_maps_become_float32_and_move_with_the_sample(folder):
    sample = PackInputs()(loaded(folder))["data_samples"]
    sample.features.set_field(sample.features.map_0.half(), "map_0")
    fine, coarse = stored_maps([sample.to("cpu")])
    assert fine.dtype == coarse.dtype == torch.float32
    assert fine.shape == (1, 2, 10, 8) and coarse.shape == (1, 2, 5, 4)
    assert all(one.device.type == "meta" for one in stored_maps([sample.to("meta")]))


def test_batches_of_other_photos(folder):
    with_maps = PackInputs()(loaded(folder))["data_samples"]
    image = {"image_id": "photo", "img": np.zeros((4, 4, 3), np.uint8)}
    without = PackInputs()(image)["data_samples"]
    assert stored_maps([without, without]) is None
    with pytest.raises(LussError, match="1 of 2"):
        stored_maps([with_maps, without])
    window = PackInputs()(RandomFeatureWindow(16)(loaded(folder)))["data_samples"]
    with pytest.raises(LussError, match="RandomFeatureWindow"):
        stored_maps([with_maps, window])


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"ori_shape": (82, 58), "img_shape": IMAGE}, "has 58 x 82 .* computed from 58 x 80"),
        ({"ori_shape": PHOTO, "img_shape": (44, 29)}, "resized to 29 x 44 .* from 29 x 40"),
    ],
)
def test_features_of_another_size_are_stale(folder, shapes, message):
    image = np.zeros((*shapes["img_shape"], 3), np.uint8)
    with pytest.raises(LussError, match=message):
        loaded(folder, img=image, **shapes)


@pytest.mark.parametrize("change", [{"img_shape": (8, 8)}, {"flip": True}])
def test_images_are_not_changed_after_features_are_loaded(folder, change):
    image = np.zeros((*IMAGE, 3), np.uint8)
    results = loaded(folder, img=image, ori_shape=PHOTO, img_shape=IMAGE)
    with pytest.raises(LussError, match="RandomFeatureWindow"):
        PackInputs()({**results, **change})


def test_strides_must_be_nested():
    results = {"image_id": "a", "img_shape": (60, 60), "feature_strides": [8, 12], "features": []}
    with pytest.raises(LussError, match=r"\[8, 12\]"):
        RandomFeatureWindow(24)(results)
