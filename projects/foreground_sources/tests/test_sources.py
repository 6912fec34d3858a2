"""The functions by hand, and the registered sources on a photo."""

import cv2
import numpy as np
import pytest
from PIL import Image

import foreground_sources  # noqa: F401
from foreground_sources.sources import mean_of_maps, product_of_ranks
from luss.errors import LussError
from luss.label_generation.foreground import LazyPhoto, boundary_prior, centre_prior, ranks
from luss.registry import FOREGROUND_SOURCES

CENTRE, BOUNDARY = {"type": "CentrePrior"}, {"type": "BoundaryPrior"}
HEIGHT, WIDTH = 24, 36


@pytest.fixture
def photo(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return LazyPhoto("photo", str(tmp_path / "photo.png"))


def map_of(photo, **config):
    return FOREGROUND_SOURCES.build(config)(photo)


def test_means_of_maps():
    first, second = np.zeros((2, 3)), np.full((2, 3), 0.5)
    np.testing.assert_array_equal(mean_of_maps([first, second]), np.full((2, 3), 0.25))


def test_products_of_ranks_do_not_depend_on_scales():
    draw = np.random.default_rng(0)
    first, second = draw.random((6, 7)), draw.random((6, 7))
    joined = product_of_ranks([first, second])
    np.testing.assert_allclose(joined, np.sqrt(ranks(first) * ranks(second)), rtol=1e-5)
    np.testing.assert_allclose(product_of_ranks([np.exp(9 * first), second**3]), joined, rtol=1e-5)


def test_sources_are_the_functions(photo):
    boundary, centre = boundary_prior(photo.image), centre_prior(HEIGHT, WIDTH)
    joined = map_of(photo, type="MeanOfMaps", sources=[BOUNDARY, CENTRE])
    np.testing.assert_allclose(joined, (boundary + centre) / 2, rtol=1e-6)
    scaled = map_of(photo, type="Normalised", source=BOUNDARY)
    np.testing.assert_array_equal(scaled, ranks(boundary))
    scaled = map_of(photo, type="Normalised", source=CENTRE, by="range")
    assert (scaled.min(), scaled.max()) == (0, 1)


def test_maps_of_several_sizes_are_joined_at_the_largest(photo, tmp_path):
    small = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    cv2.imwrite(str(tmp_path / "photo.png.png"), small)
    folder = tmp_path / "maps" / "train"
    folder.mkdir(parents=True)
    (tmp_path / "photo.png.png").rename(folder / "photo.png")
    source = {"type": "FolderOfMaps", "folder": str(tmp_path / "maps")}
    joined = map_of(photo, type="ProductOfRanks", sources=[source, CENTRE])
    large = cv2.resize(small / np.float32(255), (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    expected = product_of_ranks([large, centre_prior(HEIGHT, WIDTH)])
    np.testing.assert_allclose(joined, expected, rtol=1e-5)


def test_another_scale_is_rejected():
    with pytest.raises(LussError, match="by is 'rank'"):
        FOREGROUND_SOURCES.build({"type": "Normalised", "source": CENTRE, "by": "rank"})
