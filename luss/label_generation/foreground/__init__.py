"""Maps of foreground that need neither labels nor training, and what sharpens them.

A map is (H, W) float32 in [0, 1], larger where an object is likelier. Pixel attention (eq. 7) is
one such map; these are others, which a photo alone gives.
"""

from luss.label_generation.foreground.boundary_prior import boundary_prior
from luss.label_generation.foreground.centre_prior import centre_prior
from luss.label_generation.foreground.grabcut import refine_by_grabcut
from luss.label_generation.foreground.joining import mean_of_ranks, product_of_ranks, ranks
from luss.label_generation.foreground.region_contrast import region_contrast

__all__ = [
    "boundary_prior",
    "centre_prior",
    "mean_of_ranks",
    "product_of_ranks",
    "ranks",
    "refine_by_grabcut",
    "region_contrast",
]
