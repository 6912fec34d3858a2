"""A backbone as a function from images to one feature map, for evaluation."""

import difflib
from typing import Any

from torch import Tensor, nn

from luss.errors import LussError
from luss.models.backbones.feature_maps import (
    check_image_size,
    feature_maps,
    patch_side,
    taller_outputs,
)
from luss.structures import size_of

__all__ = ["FeatureMap"]


class FeatureMap:
    """Function from images (N, 3, H, W) to a backbone's last feature map (N, L, h, w), float32.

    Args:
        backbone: in evaluation mode.
        layer: name of the backbone's module whose output is the feature map, for backbones that
            also pool and classify; by default the backbone's last output.

    Raises:
        LussError: if the backbone has no such module.
    """

    def __init__(self, backbone: nn.Module, layer: str | None = None) -> None:
        self.backbone = backbone
        self.layer = layer
        self._seen: Any = None
        if layer is not None:
            modules = dict(backbone.named_modules())
            if layer not in modules:
                close = difflib.get_close_matches(layer, modules, n=3)
                raise LussError(
                    f"{type(backbone).__name__} has no module {layer!r}; "
                    f"{'close to it are ' + ', '.join(close) if close else 'its parts are '}"
                    f"{'' if close else ', '.join(name for name, _ in backbone.named_children())}"
                )
            modules[layer].register_forward_hook(self._keep)

    def __call__(self, images: Tensor) -> Tensor:
        """Compute the feature map of images.

        Raises:
            LussError: if the backbone does not accept their size, or its output is not a map.
        """
        size = size_of(images)
        check_image_size(self.backbone, size)
        outputs = self._selected(self.backbone(images))
        return feature_maps(
            outputs,
            size,
            patch_side(self.backbone),
            lambda: self._selected(taller_outputs(self.backbone, images)),
        )[-1].float()

    def _selected(self, outputs: Any) -> Any:
        """Return the layer's output of the same pass if there is a layer, otherwise ``outputs``."""
        if self.layer is not None:
            outputs, self._seen = self._seen, None
        return outputs

    def _keep(self, module: nn.Module, inputs: Any, outputs: Any) -> None:
        self._seen = outputs
