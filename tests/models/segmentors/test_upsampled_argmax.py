"""Chunked up-sampling and argmax against all scores at once."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

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


def test_large_ids_survive_resizing():
    ids = torch.tensor([[[0, 919], [1000, 65535]]])
    enlarged = nearest_resize_ids(ids, (4, 4))
    assert torch.equal(enlarged, ids.repeat_interleave(2, 1).repeat_interleave(2, 2))


def test_empty_images_are_refused():
    with pytest.raises(LussError, match="0 x 5"):
        upsampled_argmax(torch.randn(1, 2, 2, 2), (0, 5))
