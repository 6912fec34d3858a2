"""Label generation: embeddings, k-means, foreground maps, thresholds and pseudo labels."""

from luss.label_generation import foreground
from luss.label_generation.centroid_head import CentroidHead
from luss.label_generation.clustering_quality import (
    cluster_of_images,
)
from luss.label_generation.embedders import (
    ForegroundEmbeddings,
    ImageEmbeddings,
    PixelEmbeddings,
    PooledFeatures,
)
from luss.label_generation.faiss_kmeans import FaissKMeans
from luss.label_generation.given_centroids import GivenCentroids, read_centroids
from luss.label_generation.kmeans import KMeans, KMeansResult
from luss.label_generation.label_writers import ImageLabels, PixelLabels
from luss.label_generation.pixel_labeller import PixelLabeller
from luss.label_generation.pseudo_labels import (
    apply_threshold,
    category_of_image,
    cluster_of_pixels,
    image_evidence,
    is_complete_png,
    nearest_category,
    pixel_evidence,
    write_pseudo_label,
)
from luss.label_generation.reduced_kmeans import ReducedKMeans
from luss.label_generation.spectral_clusters import SpectralClusters
from luss.label_generation.threshold_file import Threshold
from luss.label_generation.threshold_rules import (
    GivenThreshold,
    OtsuThreshold,
    ThresholdRule,
    ValidationThreshold,
)
from luss.label_generation.torch_kmeans import TorchKMeans

__all__ = [
    "CentroidHead",
    "FaissKMeans",
    "ForegroundEmbeddings",
    "GivenCentroids",
    "GivenThreshold",
    "ImageEmbeddings",
    "ImageLabels",
    "KMeans",
    "KMeansResult",
    "OtsuThreshold",
    "PixelEmbeddings",
    "PixelLabeller",
    "PixelLabels",
    "PooledFeatures",
    "ReducedKMeans",
    "SpectralClusters",
    "Threshold",
    "ThresholdRule",
    "TorchKMeans",
    "ValidationThreshold",
    "apply_threshold",
    "category_of_image",
    "cluster_of_images",
    "cluster_of_pixels",
    "foreground",
    "image_evidence",
    "is_complete_png",
    "nearest_category",
    "pixel_evidence",
    "read_centroids",
    "write_pseudo_label",
]
