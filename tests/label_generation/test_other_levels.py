"""Labels by image and by pixel, the comparisons of table 10(a)."""

import numpy as np
import pytest
import torch

from luss.errors import LussError
from luss.label_generation import (
    ImageLabels,
    PixelEmbeddings,
    PixelLabels,
    PooledFeatures,
    TorchKMeans,
    category_of_image,
    cluster_of_images,
    cluster_of_pixels,
    kmeans,
)
from luss.label_generation.embedding_file import write_embeddings
from luss.label_generation.feature_maps import deepest_map
from luss.label_generation.foreground import LazyPhoto, WholePhoto


class Model:
    """Gives what it was given."""

    def __init__(self, *stages):
        self.stages = stages

    def extract(self, images):
        if not self.stages:
            return images
        return {stage: stage * images for stage in self.stages}


def test_the_deepest_map_of_one_or_several():
    images = torch.randn(2, 3, 4, 5)
    assert deepest_map(Model(), images) is images
    torch.testing.assert_close(deepest_map(Model(4, 3), images), 4 * images)
    torch.testing.assert_close(
        LazyPhoto("a", "a", inputs=images, model=Model(3, 4)).features, 4 * images
    )


def test_embedders():
    images = torch.randn(2, 3, 4, 5)
    pooled = PooledFeatures().embed(Model(), images)
    pixels = PixelEmbeddings().embed(Model(), images)
    for n in range(2):
        expected = [images[n, :, y, x] for y in range(4) for x in range(5)]
        torch.testing.assert_close(pixels[n], torch.stack(expected))
        torch.testing.assert_close(pooled[n], torch.stack(expected).mean(0))


def test_the_category_of_an_image_is_its_cluster():
    torch.manual_seed(0)
    features, centroids = torch.randn(40, 6, 3, 3), 0.3 * torch.randn(5, 6)
    expected = kmeans.nearest_centroids(features.mean(dim=(2, 3)), centroids)[0] + 1
    found = category_of_image(features, centroids)
    np.testing.assert_array_equal(found, expected)
    assert len(set(found.tolist())) > 1


def test_the_label_of_a_pixel_is_its_cluster():
    """Of vectors that were clustered, the label is k-means' own assignment, cosine or not."""
    torch.manual_seed(0)
    vectors = torch.randn(400, 6)
    fitted = TorchKMeans(5, iterations=5, restarts=2).fit(vectors)
    centroids = torch.from_numpy(fitted.centroids)
    # A map of one cell is the same everywhere, up-sampled or not.
    features = vectors[:, :, None, None]
    whole = torch.ones(400, 1, 1, 1)
    ids, _ = PixelLabels(by="cluster").evidence(features, whole, centroids, (4, 4))
    np.testing.assert_array_equal(ids[:, 2, 1], fitted.assignments + 1)
    assert (ids == ids[:, :1, :1]).all()
    by_cosine, _ = PixelLabels().evidence(features, whole, centroids, (4, 4))
    assert (by_cosine != ids).any()  # the vectors tell the two apart
    with pytest.raises(LussError, match="by is 'distance'"):
        PixelLabels(by="distance")


def test_pixels_between_cells_are_assigned_by_their_own_feature():
    torch.manual_seed(0)
    features, centroids = torch.randn(2, 6, 3, 4), 0.3 * torch.randn(5, 6)
    found = cluster_of_pixels(features, centroids)
    upsampled = torch.nn.functional.interpolate(features, scale_factor=4, mode="bilinear")
    pixels = upsampled.movedim(1, -1).reshape(-1, 6)
    expected = kmeans.nearest_centroids(pixels, centroids)[0] + 1
    np.testing.assert_array_equal(found.flatten(), expected)


def test_the_category_of_a_foreground_is_the_cluster_of_its_features():
    torch.manual_seed(0)
    features, centroids = torch.randn(40, 6, 3, 3), 0.3 * torch.randn(5, 6)
    foreground = torch.zeros(40, 1, 6, 6)
    foreground[:, :, 2:4, :2] = 0.7
    foreground[0] = 0  # nothing found: the whole image
    pooled = torch.cat([features[:1].mean(dim=(2, 3)), features[1:, :, 1, 0]])
    whole = torch.zeros(40, 1, 1, 1)
    for maps, expected in ((foreground, pooled), (whole, features.mean(dim=(2, 3)))):
        found = ImageLabels(over_foreground=True).evidence(features, maps, centroids, (6, 6))[0]
        assert (found == found[:, :1, :1]).all()
        np.testing.assert_array_equal(
            found[:, 0, 0], kmeans.nearest_centroids(expected, centroids)[0] + 1
        )


def test_image_labels_fill_the_foreground():
    torch.manual_seed(0)
    features, centroids = torch.randn(2, 6, 3, 3), torch.randn(5, 6)
    writer = ImageLabels()
    whole = torch.as_tensor(WholePhoto()(None))[None, None].expand(2, 1, 1, 1)
    ids, foreground = writer.evidence(features, whole, centroids, (7, 9))
    assert ids.shape == foreground.shape == (2, 7, 9)
    of_images = category_of_image(features, centroids)
    for n in range(2):
        assert (writer.label(ids[n], foreground[n], 0.0) == of_images[n]).all()
        assert (writer.label(ids[n], foreground[n], 0.99) == of_images[n]).all()


def batches(*widths):
    for number, width in enumerate(widths):
        sample = type("Sample", (), {"image_id": f"photo {number}"})()
        yield {"inputs": [torch.full((3, 2, width), float(number))], "data_samples": [sample]}


def embed(batch):
    return PixelEmbeddings().embed(Model(), torch.stack(batch["inputs"]))


def test_vectors_of_pixels_are_kept_image_by_image(tmp_path):
    path = tmp_path / "embeddings.npy"
    write_embeddings(path, embed, next(batches(4)), batches(4, 4, 4), 3)
    rows = np.load(path)
    assert rows.shape == (3, 8, 3)
    np.testing.assert_array_equal(rows, np.arange(3.0)[:, None, None] + np.zeros((1, 8, 3)))
    with pytest.raises(LussError, match=r"photo 1 has shape \(10, 3\), the first one \(8, 3\)"):
        write_embeddings(path, embed, next(batches(4)), batches(4, 5), 2)


def test_an_image_of_many_vectors_is_in_the_cluster_of_most():
    clusters = np.array([[3, 1, 1, 0], [2, 2, 0, 0], [4, 4, 4, 4]])
    assert cluster_of_images(clusters).tolist() == [1, 0, 4]
    assert cluster_of_images(clusters[:, 0]).tolist() == [3, 2, 4]
