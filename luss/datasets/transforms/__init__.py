"""Transforms of data pipelines; MMCV's, such as ``CenterCrop``, can be used too."""

from luss.datasets.transforms.crop_rectangle import draw_crop_rectangle
from luss.datasets.transforms.features import LoadFeatures, RandomFeatureWindow
from luss.datasets.transforms.find_mask import FindMask
from luss.datasets.transforms.flipping import RandomFlipWithMask
from luss.datasets.transforms.foreground_map import LoadForegroundAsMask
from luss.datasets.transforms.loading import KeepPhoto, LoadMask, LoadRGBImage
from luss.datasets.transforms.multi_crop import MultiCrop, PackViews
from luss.datasets.transforms.packing import PackInputs
from luss.datasets.transforms.resizing import RandomResizedCropWithMask, ResizeShortSide
from luss.datasets.transforms.stand_ins import (
    StandInFeatures,
    StandInForegroundAsMask,
    StandInMask,
)

__all__ = [
    "FindMask",
    "KeepPhoto",
    "LoadFeatures",
    "LoadForegroundAsMask",
    "LoadMask",
    "LoadRGBImage",
    "MultiCrop",
    "PackInputs",
    "PackViews",
    "RandomFeatureWindow",
    "RandomFlipWithMask",
    "RandomResizedCropWithMask",
    "ResizeShortSide",
    "StandInFeatures",
    "StandInForegroundAsMask",
    "StandInMask",
    "draw_crop_rectangle",
]
