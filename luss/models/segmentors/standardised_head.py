"""Linear classification of standardised features, for backbones that are not trained."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from luss.models.segmentors.pass_head import PassHead
from luss.registry import MODELS

__all__ = ["StandardisedHead", "join_maps"]


def join_maps(maps: Sequence[Tensor]) -> Tensor:
    """Concatenate feature maps of unit length per pixel, at the resolution of the finest one.

    Args:
        maps: M maps (N, L_m, h_m, w_m) of the same images.

    Returns:
        (N, sum of L_m, h, w) float32; each map is resized bilinearly.
    """
    finest = max((one.shape[2:] for one in maps), key=lambda size: size[0] * size[1])
    unit = [F.normalize(one.float(), dim=1) for one in maps]
    resized = [F.interpolate(one, size=finest, mode="bilinear") for one in unit]
    return torch.cat(resized, dim=1)


@MODELS.register_module()
class StandardisedHead(PassHead):
    """Conv1x1 with bias on joined feature maps whose channels have mean 0 and variance 1.

    The features of pretrained backbones differ in length between backbones, layers and channels.
    After :func:`join_maps` and a standardisation of each channel, one learning rate fits all. The
    convolution starts from zero, so the loss starts at ln(C + 1).

    Args:
        in_channels: channels L_m of the M feature maps.
        num_classes: C + 1, including 'other'.
        in_index: positions of the M feature maps.
        **kwargs: see :class:`PassHead`.
    """

    def __init__(
        self, in_channels: Sequence[int], num_classes: int, in_index: Sequence[int], **kwargs
    ):
        super().__init__(
            in_channels,
            num_classes,
            in_index=in_index,
            **{"input_transform": "resize_concat", **kwargs},
        )
        # In training the statistics of the batch, in inference their running mean.
        self.standardise = nn.BatchNorm2d(self.in_channels, affine=False)

    def init_weights(self) -> None:
        """Set weight and bias of the convolution to zero."""
        super().init_weights()
        nn.init.zeros_(self.conv_seg.weight)
        nn.init.zeros_(self.conv_seg.bias)

    def _transform_inputs(self, inputs: Sequence[Tensor]) -> Tensor:
        return self.standardise(join_maps([inputs[index] for index in self.in_index]))
