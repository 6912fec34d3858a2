"""The class of the largest up-sampled score, without ever holding all scores at full size.

The scores of 920 classes at 500 x 375 pixels would take 690 MB an image. Most classes are the
largest nowhere, which the small map already tells: they are not up-sampled at all. Large images
are labelled strip by strip, and fewer classes still come into question in a strip.
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
"""On the CPU, PyTorch has kernels of their own that round otherwise: for three channels, and for a
height and width of 128 or less in sum."""


def upsampled_argmax(
    scores: Tensor,
    size: tuple[int, int],
    align_corners: bool = False,
    elements_at_a_time: int = _ELEMENTS_AT_A_TIME,
) -> Tensor:
    """Up-sample scores bilinearly and take the channel of the largest one at each pixel.

    The channels that can be the largest somewhere are worked through in chunks, with a running
    maximum. The ids are those of up-sampling everything at once; bit for bit but where PyTorch
    itself rounds otherwise than elsewhere: where H + W <= 128, or K is 3.

    Args:
        scores: (N, K, h, w) floating point.
        size: (H, W) of the result.
        align_corners: as in ``F.interpolate``.
        elements_at_a_time: up-sampled scores held at a time (at least one column of one channel).

    Returns:
        (N, H, W) int64 in 0..K-1, the lowest on a tie.

    Raises:
        LussError: if ``size`` is empty.
    """
    height, width = size
    if height < 1 or width < 1:
        raise LussError(f"cannot label an image of {height} x {width} pixels")
    scores = scores.float()
    channels = _candidates(scores, (2, 2))
    in_parts = len(channels) < scores.shape[1]
    scores = scores[:, channels]
    step = elements_at_a_time // (len(scores) * height * width)
    columns = _columns_at_a_time(scores, size, elements_at_a_time)
    if step >= len(channels) or columns >= width:
        return channels[_argmax(scores, size, align_corners, max(1, step), in_parts)]
    # Up-sampling mixes within the rows first. Once that is done, columns are independent.
    chunks = scores.split(_chunks(len(channels), len(channels)), dim=1)
    wide = (scores.shape[2], width)
    widened = torch.cat([_upsampled(chunk, wide, align_corners) for chunk in chunks], dim=1)
    ids = torch.empty((len(scores), height, width), dtype=torch.int64, device=scores.device)
    step = max(1, elements_at_a_time // (len(scores) * height * columns))
    for start in range(0, width, columns):
        # The last one is as wide as the others, which may be the narrowest that is not small.
        strip = slice(min(start, width - columns), min(start + columns, width))
        rivals = _candidates(widened[..., strip], (2, 1))
        of_strip = widened[..., strip].index_select(1, rivals)
        found = _argmax(of_strip, (height, columns), align_corners, step)
        ids[..., strip] = channels[rivals[found]]
    return ids


def _columns_at_a_time(scores: Tensor, size: tuple[int, int], elements_at_a_time: int) -> int:
    """Width of strips that are up-sampled as the whole is; its own width if there are none."""
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
    """The channel (N, H, W) of the largest score.

    Args:
        scores: (N, K, h, w).
        size: (H, W).
        align_corners: as in ``F.interpolate``.
        step: channels to up-sample at a time.
        in_parts: whether there are more scores to be compared than these.
    """
    count, first = scores.shape[1], 0
    sizes = _chunks(count, step) if in_parts or step < count else [count]
    best = ids = None
    for chunk in scores.split(sizes, dim=1):
        largest, place = _upsampled(chunk, size, align_corners).max(dim=1)
        if best is None:
            best, ids = largest, place
        else:
            ids = torch.where(largest > best, place + first, ids)
            best = torch.maximum(largest, best)
        first += chunk.shape[1]
    return ids


def _upsampled(scores: Tensor, size: tuple[int, int], align_corners: bool) -> Tensor:
    # Scores whose channels lie together in memory would go through another kernel, too.
    return F.interpolate(
        scores.contiguous(), size=size, mode="bilinear", align_corners=align_corners
    )


def _chunks(count: int, step: int) -> list[int]:
    """Sizes of the chunks of so many channels; none is of three."""
    sizes = [min(step, count - start) for start in range(0, count, step)]
    return [part for size in sizes for part in ((2, 1) if size == _LIKE_A_PHOTO else (size,))]


def _candidates(scores: Tensor, window: tuple[int, int]) -> Tensor:
    """The channels (ascending) that can be the largest at some pixel of the up-sampled map.

    An up-sampled score lies between the lowest and the highest of those that it is mixed from.
    Where another channel's lowest is above a channel's highest, that one cannot win.

    Args:
        scores: (N, K, h, w).
        window: (height, width) of the scores that one is mixed from.
    """
    rows, columns = (side - 1 for side in window)
    padded = F.pad(scores, (columns, columns, rows, rows), mode="replicate")
    highest = F.max_pool2d(padded, kernel_size=window, stride=1)
    lowest = -F.max_pool2d(-padded, kernel_size=window, stride=1)
    slack = _ROUNDING * scores.abs().amax()
    beaten = highest < lowest.amax(dim=1, keepdim=True) - slack
    return (~beaten).any(dim=3).any(dim=2).any(dim=0).nonzero().flatten()


def nearest_resize_ids(ids: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize ids to the nearest one, as ``F.interpolate`` does: source = floor(dst * in / out).

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
    """The place (after,) that each new place takes its value from, of one side."""
    places = torch.arange(before, dtype=torch.float32, device=device)
    return F.interpolate(places[None, None], size=after, mode="nearest")[0, 0].long()
