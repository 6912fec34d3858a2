from luss.models.objectives.clustering import Clustering
from luss.models.objectives.clustering_p2p import ClusteringP2P
from luss.models.objectives.contrastive_p2p import ContrastiveP2P
from luss.models.objectives.d2s import D2S
from luss.models.objectives.objective import Objective
from luss.models.objectives.p2p import P2P
from luss.models.objectives.pixpro import PixPro

__all__ = [
    "D2S",
    "P2P",
    "Clustering",
    "ClusteringP2P",
    "ContrastiveP2P",
    "Objective",
    "PixPro",
]
