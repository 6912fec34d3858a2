"""The class of the largest up-sampled score, without storing all scores at full size.

The scores of 920 classes at 500 x 375 pixels would take 690 MB per image. The small map shows which
classes can be the largest anywhere; only these are up-sampled. Large images are processed in
strips, each with even fewer classes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from luss.errors import LussError

__all__ = ["nearest_resize_ids", "upsampled_argmax"]

_ELEMENTS_AT_A_TIME = 1 << 22
_ROUNDING = 1e-5
_SMALL = 128
_LIKE_A_PHOTO = 3
"""On the CPU, PyTorch has separate kernels with different rounding for three channels, and for
height + width <= 128."""


def upsampled_argmax(
    scores: Tensor,
    size: tuple[int, int],
    align_corners: bool = False,
    elements_at_a_time: int = _ELEMENTS_AT_A_TIME,
) -> Tensor:
    """Up-sample scores bilinearly and take the channel of the largest one at each pixel.

    The channels that can be the largest somewhere are processed in chunks, with a running maximum.
    The ids equal those of up-sampling everything at once, bit for bit except where PyTorch uses
    kernels with different rounding: H + W <= 128, or K = 3.

    Args:
        scores: (N, K, h, w) floating point.
        size: (H, W) of the result.
        align_corners: as in ``F.interpolate``.
        elements_at_a_time: up-sampled scores stored at a time (at least one column of one channel).

    Returns:
        (N, H, W) int64 in 0..K-1, the lowest on a tie.

    Raises:
        LussError: if ``size`` is empty.
    """
    height, width = size
    if height < 1 or width < 1:
        raise LussError(f"the image has {height} x {width} pixels, expected at least 1 x 1")
    scores = scores.float()
    channels = _candidates(scores, (2, 2))
    in_parts = len(channels) < scores.shape[1]
    scores = scores[:, channels]
    step = elements_at_a_time // (len(scores) * height * width)
    columns = _columns_at_a_time(scores, size, elements_at_a_time)
    if step >= len(channels) or columns >= width:
        return channels[_argmax(scores, size, align_corners, max(1, step), in_parts)]
    # After up-sampling along the rows, columns are independent.
    chunks = scores.split(_chunks(len(channels), len(channels)), dim=1)
    wide = (scores.shape[2], width)
    widened = torch.cat([_upsampled(chunk, wide, align_corners) for chunk in chunks], dim=1)
    ids = torch.empty((len(scores), height, width), dtype=torch.int64, device=scores.device)
    step = max(1, elements_at_a_time // (len(scores) * height * columns))
    for start in range(0, width, columns):
        # The last strip keeps the width of the others, since narrower ones could round differently.
        strip = slice(min(start, width - columns), min(start + columns, width))
        rivals = _candidates(widened[..., strip], (2, 1))
        of_strip = widened[..., strip].index_select(1, rivals)
        found = _argmax(of_strip, (height, columns), align_corners, step)
        ids[..., strip] = channels[rivals[found]]
    return ids


def _columns_at_a_time(scores: Tensor, size: tuple[int, int], elements_at_a_time: int) -> int:
    """Return the width of strips that round as the complete image; its width if there is none."""
    height, width = size
    narrowest = max(1, _SMALL + 1 - height)
    if scores.shape[2] + width <= _SMALL or narrowest >= width:
        return width
    return max(narrowest, elements_at_a_time // (len(scores) * height))


def _argmax(
    scores: Tensor,
    size: tuple[int, int],
    align_corners: bool,
    step: int,
    in_parts: bool = True,
) -> Tensor:
    """Return the channel (N, H, W) of the largest score.

    Args:
        scores: (N, K, h, w).
        size: (H, W).
        align_corners: as in ``F.interpolate``.
        step: channels to up-sample at a time.
        in_parts: whether these are a subset of the scores.
    """
    count = scores.shape[1]
    sizes = _chunks(count, step) if in_parts or step < count else [count]
    chunk, *others = scores.split(sizes, dim=1)
    best, ids = _upsampled(chunk, size, align_corners).max(dim=1)
    first = chunk.shape[1]
    for chunk in others:
        largest, place = _upsampled(chunk, size, align_corners).max(dim=1)
        ids = torch.where(largest > best, place + first, ids)
        best = torch.maximum(largest, best)
        first += chunk.shape[1]
    return ids


def _upsampled(scores: Tensor, size: tuple[int, int], align_corners: bool) -> Tensor:
    # PyTorch also uses another kernel for channels-last memory.
    return F.interpolate(
        scores.contiguous(), size=size, mode="bilinear", align_corners=align_corners
    )


def _chunks(count: int, step: int) -> list[int]:
    """Split ``count`` channels into chunks of at most ``step``, none of three."""
    sizes = [min(step, count - start) for start in range(0, count, step)]
    return [part for size in sizes for part in ((2, 1) if size == _LIKE_A_PHOTO else (size,))]


def _candidates(scores: Tensor, window: tuple[int, int]) -> Tensor:
    """Return the channels (ascending) that can be the largest at some up-sampled pixel.

    An up-sampled score lies between the lowest and the highest of its source scores. A channel
    cannot be the largest where its highest is below another channel's lowest.

    Args:
        scores: (N, K, h, w).
        window: (height, width) of the source scores of one up-sampled score.
    """
    rows, columns = (side - 1 for side in window)
    padded = F.pad(scores, (columns, columns, rows, rows), mode="replicate")
    highest = F.max_pool2d(padded, kernel_size=window, stride=1)
    lowest = -F.max_pool2d(-padded, kernel_size=window, stride=1)
    slack = _ROUNDING * scores.abs().amax()
    beaten = highest < lowest.amax(dim=1, keepdim=True) - slack
    return (~beaten).any(dim=3).any(dim=2).any(dim=0).nonzero().flatten()


def nearest_resize_ids(ids: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize ids by nearest neighbour as ``F.interpolate``: source = floor(dst * in / out).

    Args:
        ids: (N, h, w) integers; h and w below 2 ** 24.
        size: (H, W) of the result.

    Returns:
        (N, H, W) int64.
    """
    height, width = (
        _nearest(before, after, ids.device)
        for before, after in zip(ids.shape[1:], size, strict=True)
    )
    return ids.long().index_select(2, width).index_select(1, height)


def _nearest(before: int, after: int, device: torch.device) -> Tensor:
    """Return the source index (after,) of each new position along one side."""
    places = torch.arange(before, dtype=torch.float32, device=device)
    return F.interpolate(places[None, None], size=after, mode="nearest")[0, 0].long()
