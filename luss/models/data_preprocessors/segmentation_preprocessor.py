"""From uint8 images with masks to augmented, normalised batches on the device."""

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.models import SegDataPreProcessor

from luss.errors import LussError
from luss.registry import MODELS

__all__ = ["PhotometricSegPreprocessor"]


@MODELS.register_module()
class PhotometricSegPreprocessor(SegDataPreProcessor):
    """``mmseg.SegDataPreProcessor`` that changes colours and blurs while training.

    Masks stay as they are, so only photometric transforms fit. They take the images as RGB.

    Args:
        augmentations: configs of photometric transforms, applied to the batch in turn.
        bgr_to_rgb: see ``mmseg.SegDataPreProcessor``; excludes augmentations, as ``rgb_to_bgr``.
        rgb_to_bgr: likewise.
        **kwargs: see ``mmseg.SegDataPreProcessor``.

    Raises:
        LussError: if channels are to be swapped.
    """

    def __init__(
        self,
        *,
        augmentations: Sequence[dict] = (),
        bgr_to_rgb: bool = False,
        rgb_to_bgr: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(bgr_to_rgb=bgr_to_rgb, rgb_to_bgr=rgb_to_bgr, **kwargs)
        # mmsegmentation and its successor keep this under different names.
        if augmentations and (bgr_to_rgb or rgb_to_bgr):
            raise LussError("PhotometricSegPreprocessor takes RGB images; leave bgr_to_rgb off")
        self.augmentations = torch.nn.ModuleList(MODELS.build(config) for config in augmentations)

    def forward(self, data: dict, training: bool = False) -> dict[str, Any]:
        """Prepare a collated batch.

        Args:
            data: ``inputs`` is a list of N uint8 tensors (3, H, W) of one size, RGB, when
                training; ``data_samples`` the N samples.
            training: whether to augment.

        Returns:
            The batch with float32 ``inputs`` (N, 3, H, W), and ``data_samples``.

        Raises:
            LussError: if images to be augmented differ in size.
        """
        if training and len(self.augmentations):
            data = self.cast_data(data)
            sizes = {tuple(image.shape) for image in data["inputs"]}
            if len(sizes) > 1:
                raise LussError(
                    f"images of {sorted(sizes)[:3]} cannot be augmented as one batch; crop them to "
                    "one size, as RandomResizedCropWithMask does"
                )
            images = torch.stack(list(data["inputs"]))
            # MMEngine preprocesses within the step's autocast, which would blur in half precision.
            with torch.autocast(images.device.type, enabled=False):
                images = images / 255
                for transform in self.augmentations:
                    images = transform(images)
                data = {**data, "inputs": list(255 * images)}
        return super().forward(data, training)
