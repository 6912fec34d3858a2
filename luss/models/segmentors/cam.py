"""Class activation maps in place of a class 'other' (section 5.3.2; Zhou et al., 2016)."""

import torch.nn.functional as F
from torch import Tensor

__all__ = ["activation_map", "cam_ids", "foreground_of_logits"]

_SMALLEST = 1e-12


def activation_map(logits: Tensor) -> Tensor:
    """Compute the largest activation of any major category, scaled to a maximum of 1 per image.

    Args:
        logits: (N, C + 1, h, w), 'other' first.

    Returns:
        (N, 1, h, w) float32 in [0, 1]; 0 where no category has a positive logit.
    """
    strongest = logits[:, 1:].float().amax(dim=1, keepdim=True).relu()
    return strongest / strongest.amax(dim=(2, 3), keepdim=True).clamp_min(_SMALLEST)


def foreground_of_logits(logits: Tensor, by_activation: bool) -> Tensor:
    """Compute the map by which a segmentor separates foreground from 'other'.

    Args:
        logits: (N, C + 1, h, w), 'other' first.
        by_activation: whether it predicts by class activation maps.

    Returns:
        (N, 1, h, w) float32 in [0, 1]: the activation map, or the probability of any category.
    """
    if by_activation:
        return activation_map(logits)
    return 1 - logits.float().softmax(dim=1)[:, :1]


def cam_ids(ids: Tensor, logits: Tensor, threshold: float) -> Tensor:
    """Set ids to 'other' where the activation map is below a threshold.

    Args:
        ids: (N, H, W) int64 in 1..C.
        logits: (N, C + 1, h, w).
        threshold: in [0, 1], of the activation map, up-sampled bilinearly.

    Returns:
        (N, H, W), 0 where the map is below the threshold.
    """
    maps = F.interpolate(
        activation_map(logits), size=ids.shape[1:], mode="bilinear", align_corners=False
    )
    return ids.masked_fill(maps[:, 0] < threshold, 0)
