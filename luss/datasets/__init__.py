"""Data sets and their descriptions, samplers, demo data and the encoding of masks."""

from luss.datasets.data_root import kind_of_data
from luss.datasets.dataset_wrapper import Reproducible, reproducible_dataset
from luss.datasets.demo_shapes import draw_demo_data
from luss.datasets.description import DataDescription, Recognition, describe, split_config
from luss.datasets.image_mask_folder import ImageMaskFolder
from luss.datasets.imagenet_s import ImageNetS
from luss.datasets.mask_codec import IGNORE_ID, decode_mask, encode_mask, read_mask, write_mask
from luss.datasets.photo_folder import PhotoFolder
from luss.datasets.reproducible import ReproducibleDataset
from luss.datasets.sampler_wrapper import ReproducibleSampler, reproducible_sampler
from luss.datasets.samplers import EpochSampler, ShareSampler
from luss.datasets.voc_folder import VOCFolder

__all__ = [
    "IGNORE_ID",
    "DataDescription",
    "EpochSampler",
    "ImageMaskFolder",
    "ImageNetS",
    "PhotoFolder",
    "Recognition",
    "Reproducible",
    "ReproducibleDataset",
    "ReproducibleSampler",
    "ShareSampler",
    "VOCFolder",
    "decode_mask",
    "describe",
    "draw_demo_data",
    "encode_mask",
    "kind_of_data",
    "read_mask",
    "reproducible_dataset",
    "reproducible_sampler",
    "split_config",
    "write_mask",
]
