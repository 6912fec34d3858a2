"""ImageNet-S split roots, photo folders, the built-in demo data and the mask encoding."""

from luss.datasets.demo_shapes import draw_demo_data
from luss.datasets.imagenet_s import ImageNetS
from luss.datasets.mask_codec import IGNORE_ID, decode_mask, encode_mask, read_mask, write_mask
from luss.datasets.photo_folder import PhotoFolder
from luss.datasets.samplers import EpochSampler, ShareSampler

__all__ = [
    "IGNORE_ID",
    "EpochSampler",
    "ImageNetS",
    "PhotoFolder",
    "ShareSampler",
    "decode_mask",
    "draw_demo_data",
    "encode_mask",
    "read_mask",
    "write_mask",
]
