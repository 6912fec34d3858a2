"""From uint8 images with masks to augmented, normalised batches on the device."""

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.models import SegDataPreProcessor

from luss.datasets.mask_codec import IGNORE_ID
from luss.errors import LussError
from luss.registry import MODELS

__all__ = ["PhotometricSegPreprocessor"]


@MODELS.register_module()
class PhotometricSegPreprocessor(SegDataPreProcessor):
    """``mmseg.SegDataPreProcessor`` with photometric augmentation in training.

    Masks do not change, so augmentations must be photometric. They take RGB images.

    Args:
        mean: per channel, in units of ``unit``.
        std: per channel, in units of ``unit``.
        unit: 1 for 8-bit values, 255 for values in [0, 1] as in ``ViewPreprocessor``.
        augmentations: configs of photometric transforms, applied to the batch in order.
        bgr_to_rgb: see ``mmseg.SegDataPreProcessor``; must be False with augmentations.
        rgb_to_bgr: as ``bgr_to_rgb``.
        seg_pad_val: id of padded pixels of masks.
        **kwargs: see ``mmseg.SegDataPreProcessor``. By default, the images of a batch are padded to
            the largest one.

    Raises:
        LussError: if augmentations are combined with swapped channels.
    """

    def __init__(
        self,
        *,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        unit: float = 1,
        seg_pad_val: int = IGNORE_ID,
        augmentations: Sequence[dict] = (),
        bgr_to_rgb: bool = False,
        rgb_to_bgr: bool = False,
        **kwargs,
    ) -> None:
        if mean is not None and std is not None:
            kwargs |= {"mean": [unit * v for v in mean], "std": [unit * v for v in std]}
        if kwargs.get("size") is None:
            kwargs.setdefault("size_divisor", 1)
        super().__init__(
            bgr_to_rgb=bgr_to_rgb, rgb_to_bgr=rgb_to_bgr, seg_pad_val=seg_pad_val, **kwargs
        )
        if augmentations and (bgr_to_rgb or rgb_to_bgr):
            raise LussError(
                "PhotometricSegPreprocessor: augmentations need RGB images; remove bgr_to_rgb and "
                "rgb_to_bgr"
            )
        self.augmentations = torch.nn.ModuleList(MODELS.build(config) for config in augmentations)

    def forward(self, data: dict, training: bool = False) -> dict[str, Any]:
        """Prepare a collated batch.

        Args:
            data: ``inputs`` is a list of N uint8 RGB tensors (3, H, W), of one size in training;
                ``data_samples`` are the N samples. There are no ``inputs`` if the samples have
                stored features.
            training: whether to augment.

        Returns:
            The batch with float32 ``inputs`` (N, 3, H, W) or None, and ``data_samples``.

        Raises:
            LussError: if images to augment are missing or differ in size.
        """
        if "inputs" not in data:
            if training and len(self.augmentations):
                raise LussError(
                    "PhotometricSegPreprocessor: augmentations do not change stored features; "
                    "remove augmentations, or LoadFeatures"
                )
            return {**self.cast_data(data), "inputs": None}
        if training and len(self.augmentations):
            data = self.cast_data(data)
            sizes = {tuple(image.shape) for image in data["inputs"]}
            if len(sizes) > 1:
                raise LussError(
                    f"a batch has images of {sorted(sizes)[:3]}, expected one size for "
                    "augmentation; crop them to one size, such as by RandomResizedCropWithMask"
                )
            images = torch.stack(list(data["inputs"]))
            # MMEngine preprocesses under autocast, which would blur in half precision.
            with torch.autocast(images.device.type, enabled=False):
                images = images / 255
                for transform in self.augmentations:
                    images = transform(images)
                data = {**data, "inputs": list(255 * images)}
        return super().forward(data, training)
