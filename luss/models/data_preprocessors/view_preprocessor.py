"""From uint8 crops to augmented, normalised views on the device."""

from collections.abc import Sequence

import torch
from mmengine.model import BaseDataPreprocessor

from luss.errors import LussError
from luss.registry import MODELS

__all__ = ["ViewPreprocessor"]


@MODELS.register_module()
class ViewPreprocessor(BaseDataPreprocessor):
    """Data preprocessor that moves views to the device, augments and normalises them in batches.

    Args:
        mean: per channel, of RGB values in [0, 1].
        std: per channel, of RGB values in [0, 1].
        augmentations: configs of photometric transforms, applied in order to each view in
            training; a list of lists for different transforms per view (as in BYOL).
    """

    def __init__(
        self,
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        std: Sequence[float] = (0.229, 0.224, 0.225),
        augmentations: Sequence[dict] | Sequence[Sequence[dict]] = (),
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)
        self.per_view = bool(augmentations) and not isinstance(augmentations[0], dict)
        lists = augmentations if self.per_view else [augmentations]
        self.augmentations = torch.nn.ModuleList(
            torch.nn.Sequential(*(MODELS.build(config) for config in configs)) for configs in lists
        )

    def forward(self, data: dict, training: bool = False) -> dict:
        """Prepare a collated batch.

        Args:
            data: ``inputs`` is a list of V uint8 RGB tensors (N, 3, H, W); other entries are only
                moved to the device.
            training: whether to augment.

        Returns:
            The batch with float32 ``inputs``.

        Raises:
            LussError: if the views are not uint8, or the number of lists of augmentations is not
                the number of views.
        """
        data = self.cast_data(data)
        inputs = data["inputs"]
        if any(images.dtype != torch.uint8 for images in inputs):
            raise LussError(
                f"ViewPreprocessor: views have dtypes {[images.dtype for images in inputs]}, "
                "expected torch.uint8; end the data set's pipeline with PackViews"
            )
        if training and self.per_view and len(self.augmentations) != len(inputs):
            raise LussError(
                f"ViewPreprocessor has augmentations for {len(self.augmentations)} views, but "
                f"there are {len(inputs)}; give one list of augmentations for each view"
            )
        # MMEngine preprocesses under autocast, which would blur in half precision.
        with torch.autocast(inputs[0].device.type, enabled=False):
            prepared = [self._prepare(images, view, training) for view, images in enumerate(inputs)]
        return {**data, "inputs": prepared}

    def _prepare(self, images: torch.Tensor, view: int, training: bool) -> torch.Tensor:
        images = images / 255
        if training:
            images = self.augmentations[view if self.per_view else 0](images)
        return (images - self.mean) / self.std
