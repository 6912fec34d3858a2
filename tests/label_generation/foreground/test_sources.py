"""The registered sources of foreground, on drawings whose foreground is known."""

import cv2
import numpy as np
import pytest
import torch
from drawings import auc, drawing
from PIL import Image

from luss.errors import LussError
from luss.label_generation.foreground import (
    LazyPhoto,
    boundary_prior,
    centre_prior,
    mean_of_ranks,
    ranks,
    refine_by_pamr,
    region_contrast,
)
from luss.label_generation.foreground.feature_cut import (
    finer_features,
    normalised_cut,
    oriented_by_frame,
)
from luss.label_generation.foreground.normalising import range_to_one
from luss.registry import FOREGROUND_SOURCES

CENTRE, BOUNDARY = {"type": "CentrePrior"}, {"type": "BoundaryPrior"}


@pytest.fixture
def photo(tmp_path):
    image, _ = drawing()
    Image.fromarray(image).save(tmp_path / "drawing.png")
    return LazyPhoto("drawing", str(tmp_path / "drawing.png"))


def map_of(photo, **config):
    return FOREGROUND_SOURCES.build(config)(photo)


def test_sources_of_a_photo_are_the_functions(photo):
    image, _ = drawing()
    centre = centre_prior(*image.shape[:2], 0.3)
    np.testing.assert_array_equal(map_of(photo, type="CentrePrior", sigma=0.3), centre)
    boundary = boundary_prior(image, clusters=2)
    np.testing.assert_array_equal(map_of(photo, type="BoundaryPrior", clusters=2), boundary)
    contrast = region_contrast(image, near_centre=False)
    found = map_of(photo, type="RegionContrast", near_centre=False)
    np.testing.assert_array_equal(found, contrast)
    joined = map_of(photo, type="ProductOfMaps", sources=[BOUNDARY, CENTRE])
    expected = boundary_prior(image) * centre_prior(*image.shape[:2])
    np.testing.assert_allclose(joined, expected, rtol=1e-6)


def test_maps_of_several_sizes_are_joined_at_the_largest(photo, tmp_path):
    small = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
    cv2.imwrite(str(tmp_path / "drawing.png.png"), small)
    folder = tmp_path / "maps" / "train"
    folder.mkdir(parents=True)
    (tmp_path / "drawing.png.png").rename(folder / "drawing.png")
    source = {"type": "FolderOfMaps", "folder": str(tmp_path / "maps")}
    np.testing.assert_allclose(map_of(photo, **source), small / 255, rtol=1e-6)
    joined = map_of(photo, type="MeanOfRanks", sources=[source, CENTRE])
    height, width = drawing()[1].shape
    large = cv2.resize(small / np.float32(255), (width, height), interpolation=cv2.INTER_LINEAR)
    expected = mean_of_ranks([large, centre_prior(height, width)])
    np.testing.assert_allclose(joined, expected, rtol=1e-5)


def test_weights_of_sources(photo):
    joined = map_of(photo, type="MeanOfRanks", sources=[BOUNDARY, CENTRE], weights=(1, 3))
    boundary, centre = (ranks(map_of(photo, **source)) for source in (BOUNDARY, CENTRE))
    np.testing.assert_allclose(joined, (boundary + 3 * centre) / 4, rtol=1e-5)
    twice = map_of(photo, type="MeanOfRanks", sources=[BOUNDARY, BOUNDARY, CENTRE])
    weighted = map_of(photo, type="MeanOfRanks", sources=[BOUNDARY, CENTRE], weights=(2, 1))
    np.testing.assert_allclose(weighted, twice, rtol=1e-5)


def test_a_folder_without_the_photos_map_is_named(photo, tmp_path):
    with pytest.raises(LussError, match=r"drawing of train has no map; .*/drawing\.png"):
        map_of(photo, type="FolderOfMaps", folder=str(tmp_path / "train"))
    with pytest.raises(LussError, match="folder nowhere is missing"):
        map_of(photo, type="FolderOfMaps", folder="nowhere")
    (tmp_path / "colour").mkdir()
    Image.fromarray(drawing()[0]).save(tmp_path / "colour" / "drawing.png")
    with pytest.raises(LussError, match="8-bit grey PNG"):
        map_of(photo, type="FolderOfMaps", folder=str(tmp_path / "colour"))


@pytest.fixture(autouse=True)
def _train_folder(tmp_path):
    (tmp_path / "train").mkdir()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"type": "MeanOfRanks", "sources": [CENTRE]}, "has 1 source"),
        ({"type": "MeanOfRanks", "sources": [CENTRE] * 2, "weights": [1]}, r"\[1\], expected 2"),
        ({"type": "MeanOfRanks", "sources": [CENTRE] * 2, "weights": [1, 0]}, r"weights is \[1, 0"),
        ({"type": "CentrePrior", "sigma": 0}, "sigma is 0"),
        ({"type": "GrabCut", "source": CENTRE, "sure_background": 0.9}, "must ascend"),
        ({"type": "PAMR", "source": CENTRE, "dilations": ()}, "must be positive"),
        ({"type": "FolderOfMaps", "folder": None}, "folder is None"),
        ({"type": "FeatureCut", "finer": 0}, "finer is 0"),
    ],
)
def test_settings_of_no_use_are_rejected_when_built(config, message):
    with pytest.raises(LussError, match=message):
        FOREGROUND_SOURCES.build(config)


def test_scikit_image_is_asked_for_by_name(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(LussError, match="pip install scikit-image"):
        FOREGROUND_SOURCES.build({"type": "RegionContrast"})


def test_large_photos_are_reduced(tmp_path):
    path = tmp_path / "large.png"
    Image.fromarray(np.full((300, 900, 3), 70, np.uint8)).save(path)
    assert LazyPhoto("large", str(path)).image.shape == (133, 400, 3)


def test_what_a_source_needs_is_known_from_its_parts(photo):
    joined = {"type": "MeanOfRanks", "sources": [{"type": "Attention"}, CENTRE]}
    assert FOREGROUND_SOURCES.build({"type": "PAMR", "source": joined}).needs_model
    assert not FOREGROUND_SOURCES.build({"type": "PAMR", "source": CENTRE}).needs_model
    with pytest.raises(LussError, match="needs_model = True"):
        _ = photo.features


# ---- scales ------------------------------------------------------------------------------------


def test_a_range_goes_from_zero_to_one():
    values = np.array([[2.0, 4.0], [3.0, 2.5]])
    np.testing.assert_allclose(range_to_one(values), [[0, 1], [0.5, 0.25]])
    np.testing.assert_array_equal(range_to_one(np.full((2, 3), 7.0)), np.zeros((2, 3)))


# ---- PAMR --------------------------------------------------------------------------------------


def plain_pamr(image, values, dilations, width):
    """One iteration, pixel by pixel."""
    colours, (height, length) = image / 255, values.shape
    found = np.zeros_like(values)
    for y in range(height):
        for x in range(length):
            places = [
                (min(max(y + a * d, 0), height - 1), min(max(x + b * d, 0), length - 1))
                for d in dilations
                for a in (-1, 0, 1)
                for b in (-1, 0, 1)
            ]
            # Windows of nine pixels, one per dilation: the pixel itself is in each of them.
            windows = np.array([colours[place] for place in places])
            spread = windows.std(axis=0, ddof=1)
            apart = np.abs(windows - colours[y, x]) / (width * spread + 1e-8)
            weights = np.exp(-apart.mean(axis=1))
            weights[4::9] = 0  # the pixel is not its own neighbour
            near = np.array([values[place] for place in places])
            found[y, x] = (weights * near).sum() / weights.sum()
    return found


@pytest.mark.parametrize("contrast", [1, 0.01])
def test_pamr_is_the_plain_loop(contrast):
    """Also where colours differ by a single level."""
    image = drawing(height=9, width=11)[0]
    image = (100 + contrast * (image.astype(float) - 100)).round().astype(np.uint8)
    values = np.random.default_rng(1).random((9, 11))
    found = refine_by_pamr(image, values, iterations=2, dilations=(1, 3), width=0.3)
    expected = plain_pamr(image, plain_pamr(image, values, (1, 3), 0.3), (1, 3), 0.3)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_pamr_moves_edges_to_those_of_the_photo():
    image, disc = drawing()
    blurred = cv2.GaussianBlur(disc.astype(np.float32), (0, 0), 6)
    refined = refine_by_pamr(image, blurred)
    assert np.abs(refined - disc).mean() < np.abs(blurred - disc).mean() - 0.02
    for value in (0.3, 1.0):
        flat = np.full(disc.shape, value, np.float32)
        np.testing.assert_array_equal(refine_by_pamr(image, flat), flat)
    assert refined.min() >= 0
    assert refined.max() <= 1


# ---- cut of features ---------------------------------------------------------------------------


def test_a_finer_stride_is_that_of_a_network_of_finer_stride():
    torch.manual_seed(0)
    weight = torch.randn(5, 3, 8, 8)
    images = torch.randn(1, 3, 40, 48)
    coarse = lambda x: torch.nn.functional.conv2d(x, weight, stride=8)  # noqa: E731
    found = finer_features(coarse, images, 4)
    assert found.shape == (1, 5, 20, 24)
    fine = torch.nn.functional.conv2d(images, weight, stride=2)
    # Where the photo does not end.
    torch.testing.assert_close(found[:, :, :17, :21], fine)
    torch.testing.assert_close(finer_features(coarse, images, 1), coarse(images))


def test_a_cut_is_the_second_smallest_eigenvector():
    """Against scipy's dense solver, with all links and without colours."""
    from scipy.linalg import eigh

    features = np.random.default_rng(0).standard_normal((3, 4, 6))
    unit = features.reshape(12, 6) - features.mean(axis=(0, 1))
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    weights = np.maximum(unit @ unit.T, 0)
    weights = weights / weights.mean() + 1e-6
    np.fill_diagonal(weights, 0)
    degrees = np.diag(weights.sum(axis=1))
    expected = eigh(degrees - weights, degrees)[1][:, 1]
    cut = normalised_cut(features, np.zeros((3, 4, 3)), colour_share=0.0).ravel()
    cosine = cut @ expected / np.linalg.norm(cut) / np.linalg.norm(expected)
    assert abs(cosine) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_side_that_touches_the_frame_less_is_the_foreground(sign):
    values = np.full((12, 14), -0.3)
    values[3:9, 4:11] = 0.8
    found = oriented_by_frame(sign * values)
    np.testing.assert_array_equal(found, (values > 0).astype(np.float32))


def test_features_of_an_object_are_cut_out():
    image, disc = drawing(height=24, width=32)
    draw = np.random.default_rng(0)
    features = np.where(disc[..., None], [1.0, 0.1, 0.3], [0.1, 1.0, 0.3])
    features = features + draw.normal(0, 0.2, features.shape)
    cut = normalised_cut(features, cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB))
    assert auc(oriented_by_frame(cut), disc) > 0.97
    with pytest.raises(LussError, match="1 x 3 cells"):
        normalised_cut(features[:1, :3], np.zeros((1, 3, 3)))


@pytest.mark.parametrize("colour", [0, 90, 255])
def test_a_photo_of_one_colour_has_nothing_to_cut_out(colour, tmp_path):
    """Not even the padding, by which a network's features differ at the edges."""
    path = tmp_path / "flat.png"
    Image.fromarray(np.full((48, 64, 3), colour, np.uint8)).save(path)
    torch.manual_seed(0)
    network = torch.nn.Conv2d(3, 6, 7, stride=8, padding=3)
    model = type("Model", (), {"extract": lambda self, images: network(images)})()
    photo = LazyPhoto("flat", str(path), inputs=torch.full((1, 3, 48, 64), 0.4), model=model)
    with torch.no_grad():
        assert not map_of(photo, type="FeatureCut").any()


def test_cells_that_are_alike_but_for_rounding_have_no_cut():
    features = np.random.default_rng(0).random(6) * np.ones((5, 7, 1))
    features += np.random.default_rng(1).normal(0, 1e-7, features.shape)
    assert not normalised_cut(features.astype(np.float32), np.full((5, 7, 3), 40.0)).any()
