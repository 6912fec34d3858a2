"""A vision transformer with LayerScale (Touvron et al., 2021), as DINOv2 trains it."""

from mmcls.models.backbones import VisionTransformer
from mmcls.models.utils.layer_scale import LayerScale
from torch import nn

from luss.registry import MODELS

__all__ = ["LayerScaleVisionTransformer"]


@MODELS.register_module()
class LayerScaleVisionTransformer(VisionTransformer):
    """``mmcls.VisionTransformer`` whose blocks scale both of their branches, channel by channel.

    The checkpoints of DINOv2 ViT-S, B and L without registers fit, by
    ``weights=dict(file=FILE, layout='dinov2')``; they have ``patch_size=14, img_size=518``.

    Args:
        layer_scale: the scales at first; above 0.
        **kwargs: see ``mmcls.VisionTransformer``.
    """

    def __init__(self, layer_scale: float = 1e-5, **kwargs) -> None:
        super().__init__(**kwargs)
        for layer in self.layers:
            # The places that mmcls' later versions and mmcv's FFN have for it.
            layer.attn.gamma1 = LayerScale(self.embed_dims)
            layer.ffn.layers.append(LayerScale(self.embed_dims))
            for part in (layer.attn.gamma1, layer.ffn.layers[-1]):
                nn.init.constant_(part.weight, layer_scale)
