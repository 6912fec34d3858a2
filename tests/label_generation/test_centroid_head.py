"""The segmentor of nearest centroids, against the labels of label generation."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from luss.errors import LussError
from luss.label_generation import CentroidHead, apply_threshold, image_evidence
from luss.label_generation.centroid_head import centroid_logits, relative_frame_distance
from luss.label_generation.foreground import frame_distance, range_to_one
from luss.label_generation.foreground.colours import frame_of
from luss.label_generation.kmeans import nearest_centroids


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def head(channels, categories, **kwargs):
    found = CentroidHead(channels, categories + 1, in_index=-1, **kwargs)
    return found.eval()


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.floats(0.01, 0.5))
def test_the_frame_is_that_of_colours(height, width, part):
    features = draw(2, 3, height, width)
    directions = F.normalize(features, dim=1)
    frame = torch.from_numpy(frame_of(height, width, part))
    for one, found in zip(directions, frame_distance(features, part), strict=True):
        mean = F.normalize(one[:, frame].mean(dim=1), dim=0)
        expected = 1 - (one * mean[:, None, None]).sum(dim=0)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


def test_the_relative_distance_is_that_of_the_source_of_maps():
    maps = draw(2, 4, 6, 8), draw(2, 5, 3, 4, seed=1)
    found = relative_frame_distance(maps)
    assert found.shape == (2, 1, 6, 8)
    for index in range(2):
        fine, coarse = (frame_distance(one[index]) for one in maps)
        coarse = F.interpolate(coarse[None, None], size=(6, 8), mode="bilinear")[0, 0]
        expected = range_to_one(((fine + coarse) / 2).numpy())
        np.testing.assert_allclose(found[index, 0], expected, atol=1e-5)
    assert not relative_frame_distance([torch.ones(1, 2, 3, 3)]).any()


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 5), st.floats(0, 1), st.integers(0, 1000))
def test_the_largest_logit_is_that_of_the_best_category_or_of_other(categories, threshold, seed):
    scores = draw(2, categories, 3, 4, seed=seed)
    foreground = torch.rand(2, 1, 3, 4, generator=torch.Generator().manual_seed(seed))
    ids = centroid_logits(scores, foreground, threshold).argmax(dim=1)
    expected = apply_threshold(scores.argmax(dim=1) + 1, foreground[:, 0], threshold)
    # At the threshold itself, rounding decides.
    clear = (foreground[:, 0] - threshold).abs() > 1e-5
    assert torch.equal(ids[clear], expected[clear])


def test_an_image_has_the_category_of_its_pseudo_label():
    # Of each photo, the nearest is another one.
    centroids = 3 * torch.eye(6)[:5]
    features = draw(5, 6, 9, 9) + centroids[:, :, None, None]
    segmentor = head(6, 5)
    segmentor.fill(centroids, 0.4)
    with torch.no_grad():
        found = segmentor([features]).argmax(dim=1)
    foreground = relative_frame_distance([features])
    ids, foreground = image_evidence(features, foreground, centroids, (9, 9), True)
    assert torch.equal(found, apply_threshold(ids, foreground, 0.4))
    assert found.unique().tolist() == [0, 1, 2, 3, 4, 5]


def test_a_pixel_has_the_category_of_its_nearest_centroid():
    lengths = torch.tensor([[0.2], [0.4], [0.6], [0.8], [1.0]])
    features, centroids = draw(2, 6, 4, 5), draw(5, 6, seed=1) * lengths
    segmentor = head(6, 5, by="pixel")
    segmentor.fill(centroids, 0.0)
    with torch.no_grad():
        found = segmentor([features])[:, 1:].argmax(dim=1)
    cells = features.movedim(1, -1).reshape(-1, 6).numpy()
    expected, _ = nearest_centroids(cells, centroids.numpy())
    np.testing.assert_array_equal(found.flatten(), expected)


def test_foreground_reads_the_chosen_maps_and_categories_the_last_one():
    maps = [draw(1, 3, 8, 8), draw(1, 4, 4, 4, seed=1), draw(1, 6, 2, 2, seed=2)]
    for chosen, expected in ((None, maps[1:]), ((0, 1), maps[:2])):
        segmentor = head(6, 2, maps=chosen)
        segmentor.fill(draw(2, 6), 0.5)
        with torch.no_grad():
            found = segmentor(maps)
        foreground = relative_frame_distance(expected)
        assert found.shape == (1, 3, *foreground.shape[2:])
        above = (found[:, 1:].amax(dim=1) > 0) == (foreground[:, 0] > 0.5)
        assert above.all()


def test_wrong_settings_are_rejected():
    with pytest.raises(LussError, match="'photo'"):
        head(6, 2, by="photo")
    with pytest.raises(LussError, match=r"\(3, 6\)"):
        head(6, 2).fill(draw(3, 6), 0.5)
