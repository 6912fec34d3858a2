"""The class of the largest up-sampled score, without ever holding all scores at full size.

The scores of 920 classes at 500 x 375 pixels would take 690 MB an image. Most classes are the
largest nowhere, which the small map already tells: they are not up-sampled at all.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from luss.errors import LussError

__all__ = ["nearest_resize_ids", "upsampled_argmax"]

_ELEMENTS_AT_A_TIME = 1 << 22
_ROUNDING = 1e-5


def upsampled_argmax(
    scores: Tensor,
    size: tuple[int, int],
    align_corners: bool = False,
    elements_at_a_time: int = _ELEMENTS_AT_A_TIME,
) -> Tensor:
    """Up-sample scores bilinearly and take the channel of the largest one at each pixel.

    The channels that can be the largest somewhere are worked through in chunks, with a running
    maximum. The ids are those of up-sampling everything at once.

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
    scores = scores.float()
    step = max(1, elements_at_a_time // (len(scores) * height * width))
    best = ids = None
    for channels in _candidates(scores).split(step):
        chunk = F.interpolate(
            scores[:, channels],
            size=(height, width),
            mode="bilinear",
            align_corners=align_corners,
        )
        largest, place = chunk.max(dim=1)
        place = channels[place]
        if best is None:
            best, ids = largest, place
        else:
            ids = torch.where(largest > best, place, ids)
            best = torch.maximum(largest, best)
    return ids


def _candidates(scores: Tensor) -> Tensor:
    """The channels (ascending) that can be the largest at some pixel of the up-sampled map.

    An up-sampled score lies between the lowest and the highest of the four it is mixed from. Where
    another channel's lowest is above a channel's highest, that one cannot win.
    """
    padded = F.pad(scores, (1, 1, 1, 1), mode="replicate")
    highest = F.max_pool2d(padded, kernel_size=2, stride=1)
    lowest = -F.max_pool2d(-padded, kernel_size=2, stride=1)
    slack = _ROUNDING * scores.abs().amax()
    beaten = highest < lowest.amax(dim=1, keepdim=True) - slack
    return (~beaten).any(dim=3).any(dim=2).any(dim=0).nonzero().flatten()


def nearest_resize_ids(ids: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize ids to the nearest one, as ``F.interpolate`` does: source = floor(dst * in / out).

    Args:
        ids: (N, h, w) integers below 2 ** 24.
        size: (H, W) of the result.

    Returns:
        (N, H, W) int64.
    """
    return F.interpolate(ids[:, None].float(), size=size, mode="nearest")[:, 0].long()
