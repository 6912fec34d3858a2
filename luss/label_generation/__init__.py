from luss.label_generation.clustering_quality import (
    matched_accuracy,
    normalised_mutual_information,
)
from luss.label_generation.faiss_kmeans import FaissKMeans
from luss.label_generation.kmeans import KMeans, KMeansResult, assign
from luss.label_generation.torch_kmeans import TorchKMeans

__all__ = [
    "FaissKMeans",
    "KMeans",
    "KMeansResult",
    "TorchKMeans",
    "assign",
    "matched_accuracy",
    "normalised_mutual_information",
]
