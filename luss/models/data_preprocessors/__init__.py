from luss.models.data_preprocessors.photometric import (
    ColorJitter,
    GaussianBlur,
    RandomGrayscale,
    Solarize,
)
from luss.models.data_preprocessors.segmentation_preprocessor import PhotometricSegPreprocessor
from luss.models.data_preprocessors.view_preprocessor import ViewPreprocessor

__all__ = [
    "ColorJitter",
    "GaussianBlur",
    "PhotometricSegPreprocessor",
    "RandomGrayscale",
    "Solarize",
    "ViewPreprocessor",
]
