"""Networks of timm with their final features, which may lie behind the last stage."""

from collections.abc import Sequence

from mmcls.models.backbones import TIMMBackbone
from torch import Tensor

from luss.errors import LussError
from luss.registry import MODELS

__all__ = ["TIMMFeatures"]


@MODELS.register_module()
class TIMMFeatures(TIMMBackbone):
    """``mmcls.TIMMBackbone`` whose last map is that which the network pools and classifies.

    EfficientNet and MobileNetV2 widen the map of their last stage by a convolution, which timm's
    ``features_only`` leaves out. Clusters of these final features fit categories better; heads for
    pixels do better with the maps of the stages (``benchmarks/RESULTS.md``).

    Args:
        model_name: one of timm's that has ``forward_intermediates``, such as
            ``tf_efficientnet_lite0``.
        out_indices: ascending positions of the stages whose maps precede the final features.
        **kwargs: see ``mmcls.TIMMBackbone``; without ``features_only``.

    Raises:
        LussError: if the network has no ``forward_intermediates``, or no such stage.
    """

    def __init__(self, model_name: str, out_indices: Sequence[int], **kwargs) -> None:
        super().__init__(model_name, **kwargs)
        if not hasattr(self.timm_model, "forward_intermediates"):
            raise LussError(
                f"TIMMFeatures: {model_name} of timm returns no maps of its stages; set "
                "type='mmcls.TIMMBackbone'"
            )
        self.out_indices = list(out_indices)
        stages = len(self.timm_model.feature_info)
        if not self.out_indices or not set(self.out_indices) <= set(range(stages)):
            raise LussError(
                f"TIMMFeatures: out_indices is {self.out_indices}, expected some of 0 to "
                f"{stages - 1}, the stages of {model_name}"
            )

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the maps of the stages and the final features, of images (N, 3, H, W)."""
        final, maps = self.timm_model.forward_intermediates(images, indices=self.out_indices)
        return (*maps, final)
