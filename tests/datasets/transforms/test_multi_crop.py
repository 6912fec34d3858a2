import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch.utils.data import default_collate

from luss.datasets.transforms.crop_rectangle import draw_crop_rectangle
from luss.datasets.transforms.multi_crop import MultiCrop, PackViews
from luss.errors import LussError
from luss.models import ViewPreprocessor
from luss.registry import TRANSFORMS

VIEWS = [
    {"count": 2, "size": 20, "scale": (0.14, 1.0)},
    {"count": 3, "size": 12, "scale": (0.05, 0.14)},
]


def photo(width=50, height=37, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def crop(image, seed=0, **kwargs):
    random.seed(seed)
    return MultiCrop(**{"views": VIEWS, **kwargs})({"img": image})


def cut(image, rectangle, size):
    """A view as PIL makes it, from left, top, width, height, flip."""
    left, top, width, height, flip = map(int, rectangle[:5])
    view = Image.fromarray(image).crop((left, top, left + width, top + height))
    view = view.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(view.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if flip else view)


def test_rectangles_and_flips_come_in_the_released_order():
    image = photo()
    results = crop(image, seed=3)
    random.seed(3)
    for view, row in zip(results["views"], results["geometry"], strict=True):
        spec = VIEWS[0] if len(view) == 20 else VIEWS[1]
        top, left, height, width = draw_crop_rectangle(50, 37, spec["scale"])
        assert row.tolist() == [left, top, width, height, random.random() < 0.5, 50, 37]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 99))
def test_views_show_their_rectangles(width, height, seed):
    image = photo(width, height, seed)
    results = crop(image, seed)
    assert [view.shape for view in results["views"]] == [(20, 20, 3)] * 2 + [(12, 12, 3)] * 3
    assert results["geometry"].dtype == np.float32
    for view, row in zip(results["views"], results["geometry"], strict=True):
        np.testing.assert_array_equal(view, cut(image, row, len(view)))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 99))
def test_the_torch_backend_is_within_two_levels_of_pillow(width, height, seed):
    # Each of the two passes, across and down, rounds to a level.
    image = photo(width, height, seed)
    pillow, torch_ = (crop(image, seed, backend=name) for name in ("pillow", "torch"))
    np.testing.assert_array_equal(pillow["geometry"], torch_["geometry"])
    for one, other in zip(pillow["views"], torch_["views"], strict=True):
        assert np.abs(one.astype(int) - other).max() <= 2


@pytest.mark.parametrize(("probability", "flips"), [(0.0, 0), (1.0, 5)])
def test_flip_probability(probability, flips):
    assert crop(photo(), flip_probability=probability)["geometry"][:, 4].sum() == flips


def test_the_photo_is_left_as_it_was():
    image = photo()
    before = image.copy()
    crop(image)
    np.testing.assert_array_equal(image, before)


def test_packed_views_collate_into_what_the_preprocessor_takes():
    pack = TRANSFORMS.build({"type": "PackViews"})
    items = [crop(photo(seed=seed), seed) for seed in range(4)]
    batch = default_collate([pack(dict(item)) for item in items])
    assert [images.shape for images in batch["inputs"]] == (
        [(4, 3, 20, 20)] * 2 + [(4, 3, 12, 12)] * 3
    )
    assert all(images.is_contiguous() for images in batch["inputs"])
    np.testing.assert_array_equal(batch["geometry"], [item["geometry"] for item in items])
    prepared = ViewPreprocessor(mean=(0, 0, 0), std=(1, 1, 1))(batch)
    for view, images in enumerate(prepared["inputs"]):
        for item, image in zip(items, images, strict=True):
            expected = item["views"][view].astype(np.float32) / 255
            np.testing.assert_allclose(image.permute(1, 2, 0), expected, atol=1e-7)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"views": []}, "at least one view"),
        ({"views": VIEWS[::-1]}, "largest first"),
        ({"views": [{"count": 2, "size": 20}]}, "count, size and scale"),
        ({"views": [{"count": 0, "size": 20, "scale": (0.1, 1)}]}, "at least 1"),
        ({"views": [{"count": 2, "size": 20, "scale": (0, 1)}]}, "scale"),
        ({"views": [{"count": 2, "size": 20, "scale": (0.5, 0.2)}]}, "scale"),
        ({"views": [{"count": 2, "size": 20, "scale": 0.5}]}, "scale"),
        ({"backend": "turbo"}, "pillow"),
    ],
)
def test_wrong_settings_are_named(arguments, said):
    with pytest.raises(LussError, match=said):
        MultiCrop(**arguments)


def test_packing_keeps_nothing_else():
    assert PackViews()(crop(photo())).keys() == {"inputs", "geometry"}
