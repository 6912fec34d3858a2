"""The class of the largest up-sampled score, without ever holding all scores at full size.

The scores of 920 classes at 500 x 375 pixels would take 690 MB an image.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from luss.errors import LussError

__all__ = ["nearest_resize_ids", "upsampled_argmax"]

_ELEMENTS_AT_A_TIME = 1 << 23


def upsampled_argmax(
    scores: Tensor,
    size: tuple[int, int],
    align_corners: bool = False,
    elements_at_a_time: int = _ELEMENTS_AT_A_TIME,
) -> Tensor:
    """Up-sample scores bilinearly and take the channel of the largest one at each pixel.

    The channels are worked through in chunks, with a running maximum.

    Args:
        scores: (N, K, h, w) floating point.
        size: (H, W) of the result.
        align_corners: as in ``F.interpolate``.
        elements_at_a_time: up-sampled scores held at a time (at least one channel's).

    Returns:
        (N, H, W) int64 in 0..K-1, the lowest on a tie.

    Raises:
        LussError: if ``size`` is empty.
    """
    height, width = size
    if height < 1 or width < 1:
        raise LussError(f"cannot label an image of {height} x {width} pixels")
    images, channels = scores.shape[:2]
    step = max(1, elements_at_a_time // (images * height * width))
    best = ids = None
    for first in range(0, channels, step):
        chunk = F.interpolate(
            scores[:, first : first + step].float(),
            size=(height, width),
            mode="bilinear",
            align_corners=align_corners,
        )
        largest, place = chunk.max(dim=1)
        place += first
        if best is None:
            best, ids = largest, place
        else:
            ids = torch.where(largest > best, place, ids)
            best = torch.maximum(largest, best)
    return ids


def nearest_resize_ids(ids: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize ids to the nearest one, as ``F.interpolate`` does: source = floor(dst * in / out).

    Args:
        ids: (N, h, w) integers below 2 ** 24.
        size: (H, W) of the result.

    Returns:
        (N, H, W) int64.
    """
    return F.interpolate(ids[:, None].float(), size=size, mode="nearest")[:, 0].long()
