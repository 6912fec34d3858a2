"""Packing of pipeline results into model inputs."""

from typing import Any

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from numpy.typing import NDArray
from torch import Tensor

from luss.errors import LussError
from luss.registry import TRANSFORMS
from luss.structures.stored_features import pack_maps

__all__ = ["PackInputs"]

_META_KEYS = (
    "image_id",
    "split",
    "img_path",
    "seg_map_path",
    "ori_shape",
    "img_shape",
    "category",
    "mask_encoding",
    "mask_id_shift",
    "sample_idx",
    "flip",
    "flip_direction",
    "upright",
)


@TRANSFORMS.register_module()
class PackInputs(BaseTransform):
    """Packing of one image like mmseg's ``PackSegInputs``, without importing all of mmseg.

    Returns ``inputs``, (3, H, W) uint8 RGB, and ``data_samples``, a ``SegDataSample`` with meta
    information and, if available, ``gt_sem_seg.data`` (1, H, W) int64, the mask, ``photo``
    (3, H, W) uint8 RGB, see :class:`KeepPhoto`, and ``features``, see :class:`LoadFeatures`. There
    are no ``inputs`` if a pipeline loads features instead of the image.

    Args:
        meta_keys: keys to keep as meta information, if available.
    """

    def __init__(self, meta_keys: tuple[str, ...] = _META_KEYS):
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Pack ``img``, ``gt_seg_map``, ``photo``, ``features`` and the meta information.

        Raises:
            LussError: if the image was cropped or mirrored after its features were loaded.
        """
        sample = SegDataSample(
            metainfo={key: results[key] for key in self.meta_keys if key in results}
        )
        if "gt_seg_map" in results:
            mask = torch.from_numpy(results["gt_seg_map"].astype(np.int64))
            sample.gt_sem_seg = PixelData(data=mask[None])
        if "photo" in results:
            sample.photo = _channels_first(results["photo"])
        if "features" in results:
            _require_same_shape(results)
            sample.features = pack_maps(results["features"])
            if "img" not in results:
                return {"data_samples": sample}
        return {"inputs": _channels_first(results["img"]), "data_samples": sample}


def _channels_first(image: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def _require_same_shape(results: dict[str, Any]) -> None:
    now, then = tuple(results["img_shape"][:2]), results["features_shape"]
    if now != then or results.get("flip"):
        raise LussError(
            f"the photo {results['image_id']} of {then[1]} x {then[0]} pixels was cropped or "
            f"mirrored to {now[1]} x {now[0]} pixels after LoadFeatures, but its features were "
            "not; remove these transforms, or use RandomFeatureWindow"
        )
