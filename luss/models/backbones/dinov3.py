"""DINOv3 (Siméoni et al., 2025): timm's network with the periods of the authors' files."""

from typing import Any

from mmcls.models.backbones import TIMMBackbone

from luss.registry import MODELS

__all__ = ["DINOv3VisionTransformer"]


@MODELS.register_module()
class DINOv3VisionTransformer(TIMMBackbone):
    """``mmcls.TIMMBackbone`` that loads the periods of its rotary position embeddings.

    ``weights=dict(file=FILE, layout='dinov3')`` loads the authors' checkpoints. They contain the
    periods rounded to bfloat16; timm recomputes them in float32, which changes the features.

    Args:
        model_name: one of timm's, such as ``vit_small_patch16_dinov3_qkvb``.
        **kwargs: see ``mmcls.TIMMBackbone``.
    """

    def __init__(self, model_name: str, **kwargs) -> None:
        super().__init__(model_name, **kwargs)
        # timm's wrapper for the outputs of several blocks has the network inside.
        network: Any = getattr(self.timm_model, "model", self.timm_model)
        rope = network.rope
        rope.register_buffer("periods", rope.periods, persistent=True)
