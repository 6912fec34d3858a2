"""Foreground maps without a model, on drawings with known foreground."""

import numpy as np
import pytest
from drawings import auc, drawing
from skimage.color import rgb2lab

from luss.errors import LussError
from luss.label_generation.foreground import (
    FolderOfMaps,
    boundary_prior,
    centre_prior,
    mean_of_ranks,
    ranks,
    refine_by_grabcut,
    region_contrast,
)


@pytest.mark.parametrize("cue", [boundary_prior, region_contrast])
def test_the_object_stands_out(cue):
    image, disc = drawing()
    values = cue(image)
    assert values.shape == disc.shape
    assert values.dtype == np.float32
    assert values.min() >= 0
    assert values.max() == pytest.approx(1)
    assert auc(values, disc) > 0.95


@pytest.mark.parametrize("cue", [boundary_prior, region_contrast])
def test_the_same_photo_gives_the_same_map(cue):
    image, _ = drawing()
    first = cue(image)
    cue(drawing(1)[0])
    np.testing.assert_array_equal(cue(image), first)


@pytest.mark.parametrize("cue", [boundary_prior, region_contrast])
@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (3, 2), (40, 40)])
def test_photos_of_one_colour_and_tiny_ones(cue, shape):
    flat = np.full((*shape, 3), 90, np.uint8)
    assert cue(flat).max() < 1e-3
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    values = cue(noise)
    assert values.shape == shape
    assert np.isfinite(values).all()
    assert ((values >= 0) & (values <= 1)).all()


def test_mirrored_photos_have_mirrored_contrast():
    image, disc = drawing()
    assert auc(region_contrast(image[:, ::-1]), disc[:, ::-1]) > 0.95


def test_regions_near_the_centre_are_preferred():
    image = np.full((60, 90, 3), 128, np.uint8)
    image[20:40, 35:55] = image[20:40, 2:22] = (220, 60, 60)
    with_place, without = region_contrast(image), region_contrast(image, near_centre=False)
    assert with_place[30, 45] > 1.5 * with_place[30, 7]
    # What is left is the distance to the ground, whose centre is the photo's.
    assert without[30, 45] < 1.3 * without[30, 7]


def test_contrast_of_stripes_is_the_papers_sum():
    """Of three stripes of one colour each, the equation's terms are known.

    A region's contrast is a sum over the other regions, so a small one among large ones stands out
    more than its mean contrast says: dividing by the weights would put the last stripe first.
    """
    colours, widths = [(90, 90, 90), (40, 130, 40), (200, 70, 60)], np.array([60, 30, 30])
    image = np.repeat(np.array([colours], np.uint8), widths, axis=1).repeat(60, axis=0)
    lab = rgb2lab(np.array(colours) / 255)
    ends = np.cumsum(widths)
    middles = ends - widths / 2
    expected = np.zeros(3)
    for k in range(3):
        for other in {0, 1, 2} - {k}:
            apart = (middles[k] - middles[other]) / 120
            near = np.exp(-(apart**2) / 0.4)
            expected[k] += near * widths[other] * np.linalg.norm(lab[k] - lab[other])
    found = region_contrast(image, near_centre=False)[30, middles.astype(int)]
    np.testing.assert_allclose(found / found.max(), expected / expected.max(), rtol=0.02)


def test_centre_prior_is_a_gaussian():
    prior = centre_prior(5, 9, sigma=0.25)
    y, x = (np.arange(5) + 0.5) / 5 - 0.5, (np.arange(9) + 0.5) / 9 - 0.5
    expected = [[np.exp(-(a * a + b * b) / (2 * 0.25**2)) for b in x] for a in y]
    np.testing.assert_allclose(prior, expected, rtol=1e-6)
    assert prior[2, 4] == 1
    with pytest.raises(LussError, match="sigma is 0"):
        centre_prior(5, 9, sigma=0)


def test_ranks():
    np.testing.assert_allclose(
        ranks(np.array([[3.0, 1.0], [1.0, 9.0]])), [[0.625, 0.25], [0.25, 0.875]]
    )


def test_joining_does_not_depend_on_scales():
    draw = np.random.default_rng(0)
    first, second = draw.random((6, 7)), draw.random((6, 7))
    joined = mean_of_ranks([first, second])
    np.testing.assert_allclose(mean_of_ranks([np.exp(9 * first), second**3]), joined, rtol=1e-5)
    np.testing.assert_allclose(mean_of_ranks([first, first]), ranks(first), rtol=1e-5)
    with pytest.raises(LussError, match="one size"):
        mean_of_ranks([first, second[:3]])


def test_grabcut_finds_the_objects_edge():
    image, disc = drawing()
    y, x = np.mgrid[: disc.shape[0], : disc.shape[1]]
    # A blob that is too large and out of place.
    blob = np.exp(-((y - 30) ** 2 + (x - 42) ** 2) / 300)
    refined = refine_by_grabcut(image, blob, likely_foreground=0.7)
    assert refined.dtype == np.float32
    assert ((refined >= 0) & (refined <= 1)).all()
    cut = refined > 0.5

    def iou(mask):
        return (mask & disc).sum() / (mask | disc).sum()

    assert iou(cut) > 0.85
    assert iou(cut) > iou(blob >= np.quantile(blob, 1 - disc.mean())) + 0.2
    np.testing.assert_array_equal(refine_by_grabcut(image, blob, likely_foreground=0.7), refined)


@pytest.mark.parametrize("lowest", [0.3, 0.65, 0.9])
@pytest.mark.parametrize("highest", [0.07, 0.3, 0.7])
def test_grabcut_cuts_maps_of_many_equal_values(lowest, highest):
    """Binary maps, and saliency maps that are clipped at both ends."""
    image, disc = drawing()
    y, x = np.mgrid[: disc.shape[0], : disc.shape[1]]
    blob = np.exp(-((y - 30) ** 2 + (x - 42) ** 2) / 300)
    # So many pixels tie at 0, and so many of the others at 1.
    start, end = np.quantile(blob, [lowest, lowest + highest * (1 - lowest)])
    clipped = ((blob - start) / (end - start)).clip(0, 1)
    for values in (clipped, (blob > start).astype(np.float32)):
        cut = refine_by_grabcut(image, values) > 0.5
        assert (cut & disc).sum() / (cut | disc).sum() > 0.85


def test_grabcut_without_anything_to_start_from():
    image, _ = drawing()
    flat = np.zeros(image.shape[:2])
    np.testing.assert_array_equal(refine_by_grabcut(image, flat), ranks(flat))
    with pytest.raises(LussError, match="must ascend"):
        refine_by_grabcut(image, flat, sure_background=0.9)
    with pytest.raises(LussError, match="does not fit a photo"):
        refine_by_grabcut(image, flat[:5])


def test_other_arrays_are_rejected():
    with pytest.raises(LussError, match="uint8 RGB"):
        boundary_prior(np.zeros((4, 4, 3)))


def test_a_folder_of_maps_has_to_be_named(tmp_path):
    with pytest.raises(LussError, match=r"foreground\.folder=DIR"):
        FolderOfMaps(None)
    with pytest.raises(LussError, match="is missing"):
        FolderOfMaps(str(tmp_path / "nowhere"))
