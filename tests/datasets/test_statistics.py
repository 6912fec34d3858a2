import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from luss.datasets import ImageNetS, write_mask
from luss.datasets.statistics import MAP_SIDE, SIZE_GROUPS, Statistics, count_split
from luss.datasets.statistics_plots import plot_statistics
from luss.errors import LussError

CLASSES = 4
masks = arrays(
    np.int32,
    array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12),
    elements=st.sampled_from([0, 1, 2, 3, 4, 1000]),
)


def equal(first, second):
    return all(
        np.allclose(value, vars(second)[name], atol=1e-9)
        if isinstance(value, np.ndarray)
        else value == vars(second)[name]
        for name, value in vars(first).items()
    )


@given(st.lists(masks, max_size=4))
def test_counts_equal_a_plain_count(drawn):
    statistics = Statistics(CLASSES)
    pixels, present, categories, sizes = [0] * 5, [0] * 5, [0] * 5, []
    for mask in drawn:
        statistics.add_image(2, mask)
        values = mask.ravel().tolist()
        evaluated = [value for value in values if value != 1000]
        for value in range(5):
            pixels[value] += values.count(value)
            present[value] += value in values
        inside = sorted(set(evaluated) - {0})
        categories[len(inside)] += 1
        sizes += [evaluated.count(value) / len(evaluated) for value in inside]
    assert statistics.images == statistics.with_mask == len(drawn)
    assert statistics.pixels.tolist() == pixels
    assert statistics.with_class.tolist() == present
    assert statistics.categories.tolist() == categories
    assert statistics.of_folder.tolist() == [0, 0, len(drawn), 0, 0]
    # One that is exactly 5 % is small.
    bounds = {"S": (0, 0.05), "MS": (0.05, 0.25), "ML": (0.25, 0.5), "L": (0.5, 1)}
    assert statistics.size_groups() == {
        name: sum(low + 1e-12 < size <= high + 1e-12 for size in sizes)
        for name, (low, high) in bounds.items()
    }
    assert statistics.ignored == sum(int((mask == 1000).sum()) for mask in drawn)


@given(st.lists(masks, min_size=2, max_size=4))
def test_counts_of_parts_add_up(drawn):
    whole, first, second = Statistics(CLASSES), Statistics(CLASSES), Statistics(CLASSES)
    for index, mask in enumerate(drawn):
        whole.add_image(1, mask)
        (first if index % 2 else second).add_image(1, mask)
    assert equal(first + second, whole)


def test_exact_percentages_fall_into_the_lower_group():
    for area, group in ((5, "S"), (6, "MS"), (25, "MS"), (26, "ML"), (50, "ML"), (51, "L")):
        mask = np.zeros((10, 10), np.int32)
        mask.flat[:area] = 1
        statistics = Statistics(1)
        statistics.add_image(1, mask)
        assert statistics.size_groups() == {name: int(name == group) for name in SIZE_GROUPS}


def test_positions_are_those_of_the_mask():
    mask = np.zeros((MAP_SIDE, MAP_SIDE), np.int32)
    mask[20:40, 50:90] = 3
    mask[40:60, 50:90] = 1
    mask[0] = 1000
    statistics = Statistics(3)
    statistics.add_image(3, mask)
    np.testing.assert_allclose(statistics.positions, (mask > 0) & (mask < 1000), atol=1e-6)
    inner = np.zeros(mask.shape, bool)
    inner[21:39, 51:89] = inner[41:59, 51:89] = True
    rim = (mask > 0) & (mask < 1000) & ~inner
    np.testing.assert_allclose(statistics.boundaries, rim, atol=1e-6)


def test_positions_keep_their_place_at_other_sizes():
    mask = np.zeros((37, 210), np.int32)
    mask[:, :105] = 1
    statistics = Statistics(1)
    statistics.add_image(1, mask)
    np.testing.assert_allclose(statistics.positions[:, :50], 1, atol=1e-5)
    np.testing.assert_allclose(statistics.positions[:, 50:], 0, atol=1e-5)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_split_is_counted_whole(split_root, jobs):
    counts = count_split(ImageNetS(str(split_root), "validation"), jobs)
    assert (counts.images, counts.with_mask) == (6, 5)
    assert counts.of_folder.tolist() == [0, 2, 2, 2]
    assert counts.with_class.tolist() == [0, 2, 1, 2]
    assert counts.pixels.tolist() == [0, 192, 96, 192]
    assert counts.sizes[99] == 5
    summary = counts.summary(["other", "n01", "n02", "n03"])
    assert summary["images_by_number_of_categories"] == {"1": 5}
    assert summary["classes"]["n02"] == {"folder_images": 2, "images": 1, "pixels": 96}


def test_a_mask_of_foreign_ids_is_named(split_root):
    path = split_root / "validation-segmentation" / "n01" / "val_10.png"
    write_mask(path, np.full((9, 12), 77))
    with pytest.raises(LussError, match=r"val_10\.png contains the ids 77"):
        count_split(ImageNetS(str(split_root), "validation"))
    with pytest.raises(LussError, match="jobs"):
        count_split(ImageNetS(str(split_root)), jobs=0)


def test_every_figure_is_drawn(split_root, tmp_path):
    splits = {
        split: count_split(ImageNetS(str(split_root), split)) for split in ("train", "validation")
    }
    paths = plot_statistics(splits, tmp_path / "plots")
    assert {path.stem for path in paths} == {
        "images_per_class",
        "masks_per_class",
        "pixels_per_class",
        "categories_per_image",
        "object_sizes",
        "positions",
    }
    for path in paths:
        with Image.open(path) as image:
            assert len(image.convert("RGB").getcolors(1 << 20)) > 10
    without_masks = plot_statistics({"train": splits["train"]}, tmp_path / "bare")
    assert [path.stem for path in without_masks] == ["images_per_class"]
