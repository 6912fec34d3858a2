"""Foreground maps, from the trained model or only from a photo, and their refinement.

A map is (H, W) float32 in [0, 1], larger where an object is likelier. Pixel attention (eq. 7) is
one such map. Pure functions compute the maps; registered sources (``FOREGROUND_SOURCES``) make them
available to configs.
"""

from luss.label_generation.foreground.boundary_prior import boundary_prior
from luss.label_generation.foreground.centre_prior import centre_prior
from luss.label_generation.foreground.combinations import (
    PAMR,
    GrabCut,
    JoinedSource,
    MeanOfRanks,
    ProductOfMaps,
)
from luss.label_generation.foreground.feature_cut import FeatureCut
from luss.label_generation.foreground.frame_distance import FrameDistance, frame_distance
from luss.label_generation.foreground.grabcut import refine_by_grabcut
from luss.label_generation.foreground.joining import (
    mean_of_ranks,
    product_of_maps,
)
from luss.label_generation.foreground.map_transform import MakeForegroundMap
from luss.label_generation.foreground.normalising import range_to_one, ranks
from luss.label_generation.foreground.pamr import refine_by_pamr
from luss.label_generation.foreground.photo import LazyPhoto, resize_map
from luss.label_generation.foreground.region_contrast import region_contrast
from luss.label_generation.foreground.source import ForegroundSource, WrappingSource
from luss.label_generation.foreground.sources import (
    Attention,
    BoundaryPrior,
    CentrePrior,
    FolderOfMaps,
    RegionContrast,
    WholePhoto,
)

__all__ = [
    "PAMR",
    "Attention",
    "BoundaryPrior",
    "CentrePrior",
    "FeatureCut",
    "FolderOfMaps",
    "ForegroundSource",
    "FrameDistance",
    "GrabCut",
    "JoinedSource",
    "LazyPhoto",
    "MakeForegroundMap",
    "MeanOfRanks",
    "ProductOfMaps",
    "RegionContrast",
    "WholePhoto",
    "WrappingSource",
    "boundary_prior",
    "centre_prior",
    "frame_distance",
    "mean_of_ranks",
    "product_of_maps",
    "range_to_one",
    "ranks",
    "refine_by_grabcut",
    "refine_by_pamr",
    "region_contrast",
    "resize_map",
]
