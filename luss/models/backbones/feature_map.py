"""A backbone as a function from images to its one feature map, for evaluation."""

import difflib
from typing import Any

from torch import Tensor, nn

from luss.errors import LussError
from luss.models.backbones.feature_maps import (
    feature_maps,
    patch_side,
    refuse_other_sizes,
    taller_outputs,
)

__all__ = ["FeatureMap"]


class FeatureMap:
    """From images (N, 3, H, W) to a backbone's deepest feature map (N, L, h, w), float32.

    Args:
        backbone: in evaluation mode.
        layer: name of a module of the backbone whose output is the feature map, for backbones
            that pool and classify as well; by default the backbone's last output is.

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
        """The feature map of images.

        Raises:
            LussError: if the backbone does not take their size, or what it gives is no map.
        """
        size = tuple(images.shape[-2:])
        refuse_other_sizes(self.backbone, size)
        outputs = self._taken(self.backbone(images))
        return feature_maps(
            outputs,
            size,
            patch_side(self.backbone),
            lambda: self._taken(taller_outputs(self.backbone, images)),
        )[-1].float()

    def _taken(self, outputs: Any) -> Any:
        """The backbone's outputs, or that of the layer, which it gave on the way."""
        if self.layer is not None:
            outputs, self._seen = self._seen, None
        return outputs

    def _keep(self, module: nn.Module, inputs: Any, outputs: Any) -> None:
        self._seen = outputs
