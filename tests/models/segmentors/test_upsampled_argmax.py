"""Chunked up-sampling and argmax against all scores at once."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.overrides import TorchFunctionMode

from luss.errors import LussError
from luss.models.segmentors import nearest_resize_ids, predict_ids, upsampled_argmax


def plain(scores, size, align_corners=False):
    full = F.interpolate(scores, size=size, mode="bilinear", align_corners=align_corners)
    return full.argmax(dim=1)


@pytest.mark.parametrize("elements", [1, 700, 10**9])
@pytest.mark.parametrize("align_corners", [False, True])
def test_chunks_do_not_change_the_ids(elements, align_corners):
    torch.manual_seed(0)
    scores = torch.randn(2, 23, 3, 4)
    ids = upsampled_argmax(scores, (17, 30), align_corners, elements_at_a_time=elements)
    assert ids.dtype == torch.int64
    assert torch.equal(ids, plain(scores, (17, 30), align_corners))


@settings(max_examples=60, deadline=None)
@given(
    channels=st.integers(1, 40),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    spread=st.floats(0, 6),
    seed=st.integers(0, 999),
)
def test_hopeless_channels_are_left_out_without_a_trace(
    channels, height, width, size, spread, seed
):
    generator = torch.Generator().manual_seed(seed)
    favour = spread * torch.randn(1, channels, 1, 1, generator=generator)
    scores = favour + torch.randn(2, channels, height, width, generator=generator)
    assert torch.equal(upsampled_argmax(scores, size), plain(scores, size))


@settings(max_examples=80, deadline=None)
@given(
    channels=st.integers(4, 30),
    small=st.tuples(st.integers(1, 9), st.integers(2, 9)),
    size=st.tuples(st.sampled_from([1, 40, 129, 300]), st.sampled_from([130, 257, 700])),
    align_corners=st.booleans(),
    elements=st.sampled_from([1, 2_000, 20_000, 300_000]),
    spread=st.sampled_from([0, 3]),
    seed=st.integers(0, 999),
)
def test_strips_do_not_change_the_ids_of_near_ties(
    channels, small, size, align_corners, elements, spread, seed
):
    """Scores in steps of a half: many up-sampled ones differ in their last bit, or not at all."""
    generator = torch.Generator().manual_seed(seed)
    favour = spread * torch.randn(1, channels, 1, 1, generator=generator)
    scores = (2 * favour + 2 * torch.randn(2, channels, *small, generator=generator)).round() / 2
    ids = upsampled_argmax(scores, size, align_corners, elements_at_a_time=elements)
    assert torch.equal(ids, plain(scores, size, align_corners))


class SizesOfUpsampled(TorchFunctionMode):
    """Notes how much ``F.interpolate`` gives at a time."""

    def __init__(self):
        super().__init__()
        self.sizes = []

    def __torch_function__(self, function, types, arguments=(), settings=None):
        result = function(*arguments, **(settings or {}))
        if function is F.interpolate:
            self.sizes.append(result.numel())
        return result


def test_large_images_are_up_sampled_in_strips_of_few_elements():
    with SizesOfUpsampled() as noted:
        upsampled_argmax(torch.randn(1, 50, 6, 6), (1500, 1400), elements_at_a_time=100_000)
    # The first widens the 6 rows; all others are strips.
    assert noted.sizes[0] <= 50 * 6 * 1400
    assert max(noted.sizes[1:]) <= 100_000


def test_ties_go_to_the_lowest_id_across_chunks():
    scores = torch.zeros(1, 9, 2, 2)
    scores[:, [3, 7]] = 1.0
    for elements in (1, 100):
        assert (upsampled_argmax(scores, (5, 5), elements_at_a_time=elements) == 3).all()


def test_shrinking_and_one_pixel():
    scores = torch.randn(1, 4, 6, 6)
    for size in [(2, 3), (1, 1), (1, 40)]:
        assert torch.equal(upsampled_argmax(scores, size), plain(scores, size))


@pytest.mark.parametrize("size", [(1000, 1000), (1001, 1000), (700, 1600), (2400, 500)])
def test_images_of_more_than_a_million_pixels_go_by_way_of_a_thousand_rows(size):
    torch.manual_seed(1)
    logits = torch.randn(1, 5, 8, 6)
    height, width = size
    if height * width > 1_000_000:
        small = plain(logits, (1000, int(1000 * width / height)))
        rows = torch.arange(height) * small.shape[1] // height
        columns = torch.arange(width) * small.shape[2] // width
        expected = small[:, rows][:, :, columns]
    else:
        expected = plain(logits, size)
    ids = predict_ids(logits, size)
    assert ids.shape == expected.shape
    # F.interpolate computes the source pixel in float32, which may fall a pixel short at edges.
    assert (ids != expected).float().mean() < 1e-3


def test_an_extremely_narrow_image():
    assert predict_ids(torch.randn(1, 3, 2, 1), (1_100_000, 1)).shape == (1, 1_100_000, 1)


@pytest.mark.parametrize("size", [(1, 1_000_001), (9, 111_120)])
def test_an_image_whose_way_round_would_exceed_any_photo_goes_straight(size):
    logits = torch.randn(1, 5, 2, 30)
    assert torch.equal(predict_ids(logits, size), plain(logits, size))


@settings(max_examples=60, deadline=None)
@given(sides=st.tuples(*[st.integers(1, 400)] * 4), seed=st.integers(0, 99))
def test_ids_are_resized_as_pytorch_resizes_to_the_nearest(sides, seed):
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(0, 65536, (2, *sides[:2]), generator=generator)
    expected = F.interpolate(ids[:, None].float(), size=sides[2:], mode="nearest")[:, 0].long()
    assert torch.equal(nearest_resize_ids(ids, sides[2:]), expected)


def test_large_ids_survive_resizing():
    ids = torch.tensor([[[0, 919], [1000, 65535]]])
    enlarged = nearest_resize_ids(ids, (4, 4))
    assert torch.equal(enlarged, ids.repeat_interleave(2, 1).repeat_interleave(2, 2))


def test_empty_images_are_rejected():
    with pytest.raises(LussError, match="0 x 5"):
        upsampled_argmax(torch.randn(1, 2, 2, 2), (0, 5))
