"""A segmentor from a photo's bytes to ids, with operations of ONNX.

The model includes pre- and postprocessing: it resizes the short side like Pillow, normalises
colours, and predicts ids at the photo's size. All sizes are tensors, so that tracing keeps them
dynamic.
"""

from collections.abc import Sequence

import PIL
import torch
import torch.nn.functional as F
from mmengine.utils import digit_version
from numpy.typing import NDArray
from torch import Tensor, nn

from luss.datasets.image_io import MAX_PIXELS
from luss.models.segmentors.pass_segmentor import HEIGHT_OF_LARGE, LARGE_IMAGE, PassSegmentor

__all__ = ["PhotoSegmentor", "columns_first", "pillow_weights", "resize_as_pillow"]

_CHANNELS_AT_A_TIME = 64
_LARGEST_BYTE = 255
# Pillow's weights are integers in units of 1 / _ONE.
_ONE = 2**22
_RESIZES_TALL_BY_COLUMNS = digit_version(PIL.__version__) >= digit_version("13.0.0")


def pillow_weights(before: Tensor, after: Tensor) -> Tensor:
    """Return the weights of Pillow's bilinear resizing of a row.

    When shrinking, a new pixel is the mean of all pixels that it covers, with triangular weights.

    Args:
        before: length of the row, a 0-d int64 tensor.
        after: length of the resized row, a 0-d int64 tensor.

    Returns:
        (after, before) int64, in units of 2^-22; rows sum to about 2^22.
    """
    # Integers only: ONNX would round fractions to float32.
    places, centres = 2 * _arange(before) + 1, 2 * _arange(after) + 1
    distances = (places[None] * after - centres[:, None] * before).abs()
    weights = (2 * torch.maximum(before, after) - distances).clamp(min=0)
    total = weights.sum(dim=1, keepdim=True)
    return (2 * _ONE * weights + total) // (2 * total)


def resize_as_pillow(image: Tensor, height: Tensor, width: Tensor) -> Tensor:
    """Resize an image bilinearly with antialiasing, to the same bytes as Pillow.

    Each of the two passes rounds to bytes, so their order matters; see `columns_first`. Sums are
    integers below 2^31, which float64 represents exactly.

    Args:
        image: (N, 3, H, W) float32, integers in 0..255.
        height: of the result, a 0-d int64 tensor.
        width: of the result, a 0-d int64 tensor.

    Returns:
        (N, 3, height, width) float32, integers in 0..255.
    """
    rows, columns = _sizes(image)
    across, down = pillow_weights(columns, width).T, pillow_weights(rows, height)
    tall = columns_first((rows, columns), (height, width))
    return _mix(image.double(), across.double(), down.double(), tall).float()


def columns_first(before: tuple[Tensor, Tensor], after: tuple[Tensor, Tensor]) -> Tensor:
    """Return whether the installed Pillow resizes the columns of an image before its rows.

    Source: Pillow 13 does so if the height loses more than twice as many pixels as the width;
    earlier versions never do.

    Args:
        before: height and width, 0-d int64 tensors.
        after: height and width of the result, 0-d int64 tensors.

    Returns:
        0-d bool tensor.
    """
    lost, lost_across = before[0] - after[0], before[1] - after[1]
    tall = (lost > 0) & (lost > 2 * lost_across)
    return tall if _RESIZES_TALL_BY_COLUMNS else torch.zeros_like(tall)


def _to_bytes(sums: Tensor, one: int = _ONE, largest: int = _LARGEST_BYTE) -> Tensor:
    """Round sums in units of 2^-22 to bytes; float64 in and out."""
    return ((sums.long() + one // 2) // one).clamp(0, largest).double()


@torch.jit.script
def _mix(image: Tensor, across: Tensor, down: Tensor, columns_first: Tensor) -> Tensor:
    """Resize columns and rows; scripted, since tracing would keep only one branch."""
    if bool(columns_first):
        return _to_bytes(_to_bytes(down @ image) @ across)
    return _to_bytes(down @ _to_bytes(image @ across))


class PhotoSegmentor(nn.Module):
    """A segmentor with pre- and postprocessing, from a photo to ids of the same size.

    Args:
        segmentor: trained, in evaluation mode, on the CPU.
        short_side: of resized photos, in pixels.
        max_long: largest long side of resized photos, in pixels.
        written: (C+1,) the written id of each predicted id.
        channels_at_a_time: number of channels that are up-sampled together; bounds the memory.
        multiple_of: round both sides to multiples of this number; None for no rounding.
    """

    mean: Tensor
    std: Tensor
    written: Tensor

    def __init__(
        self,
        segmentor: PassSegmentor,
        short_side: int,
        max_long: int,
        written: Sequence[int] | NDArray,
        channels_at_a_time: int = _CHANNELS_AT_A_TIME,
        multiple_of: int | None = None,
    ) -> None:
        super().__init__()
        self.segmentor = segmentor
        self.short_side = short_side
        self.max_long = max_long
        self.channels_at_a_time = channels_at_a_time
        self.multiple_of = multiple_of
        preprocessor = segmentor.data_preprocessor
        self.register_buffer("mean", preprocessor.mean.view(1, 3, 1, 1))
        self.register_buffer("std", preprocessor.std.view(1, 3, 1, 1))
        self.swaps_channels = preprocessor.channel_conversion
        self.register_buffer("written", torch.as_tensor(written, dtype=torch.int64))

    def forward(self, photo: Tensor) -> tuple[Tensor, Tensor]:
        """Predict one photo.

        Args:
            photo: (1, H, W, 3) uint8 RGB.

        Returns:
            Ids (1, H, W) int64, and the probability of each pixel's id (1, H, W) float32.
        """
        height, width = _sizes(photo.permute(0, 3, 1, 2))
        inputs = self.resize(photo)
        if self.swaps_channels:
            inputs = inputs.flip(1)
        inputs = (inputs - self.mean) / self.std
        logits = self.segmentor.logits(inputs)
        # As in predict_ids: large photos are predicted at a smaller size.
        narrower = (HEIGHT_OF_LARGE * width // height).clamp(min=1)
        large = (height * width > LARGE_IMAGE) & (HEIGHT_OF_LARGE * narrower <= MAX_PIXELS)
        rows = torch.where(large, torch.full_like(height, HEIGHT_OF_LARGE), height)
        columns = torch.where(large, narrower, width)
        ids, probability = self._largest(logits.float(), rows, columns)
        down, right = _nearest(rows, height), _nearest(columns, width)
        ids, probability = (
            value.index_select(1, down).index_select(2, right) for value in (ids, probability)
        )
        return self.written[ids], probability

    def resize(self, photo: Tensor) -> Tensor:
        """Resize the short side, like ``ResizeShortSide``.

        Args:
            photo: (1, H, W, 3) uint8 RGB.

        Returns:
            (1, 3, h, w) float32, integers in 0..255.
        """
        image = photo.permute(0, 3, 1, 2).float()
        return resize_as_pillow(image, *self._resized(*_sizes(image)))

    def _resized(self, height: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
        """Return height and width after resizing the short side, like ``short_side_size``."""
        short, long = torch.minimum(height, width), torch.maximum(height, width)
        new_long = (self.short_side * long // short).clamp(max=self.max_long)
        short = torch.full_like(new_long, self.short_side)
        if self.multiple_of is not None:
            short = self._rounded(short, self.multiple_of)
            new_long = self._rounded(new_long, self.multiple_of)
        upright = height >= width
        return torch.where(upright, new_long, short), torch.where(upright, short, new_long)

    def _rounded(self, side: Tensor, number: int) -> Tensor:
        nearest = (2 * side + number) // (2 * number)
        return nearest.clamp(min=1, max=max(self.max_long // number, 1)) * number

    def _largest(self, logits: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """Return the channel of the largest up-sampled logit, and its softmax.

        Args:
            logits: (1, C+1, h, w).
            rows: of the up-sampled logits, a 0-d int64 tensor.
            columns: of the up-sampled logits, a 0-d int64 tensor.

        Returns:
            Two (1, rows, columns), int64 and float32.
        """
        best, ids, total = self._largest_of_chunk(logits, 0, rows, columns)
        for start in range(self.channels_at_a_time, self.written.numel(), self.channels_at_a_time):
            largest, place, of_chunk = self._largest_of_chunk(logits, start, rows, columns)
            ids = torch.where(largest > best, place + start, ids)
            highest = torch.maximum(best, largest)
            total = total * (best - highest).exp() + of_chunk * (largest - highest).exp()
            best = highest
        return ids, 1 / total

    def _largest_of_chunk(
        self, logits: Tensor, start: int, rows: Tensor, columns: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the largest logit, its channel in the chunk, and the sum of exponentials."""
        scores = F.interpolate(
            logits[:, start : start + self.channels_at_a_time],
            size=(rows, columns),  # type: ignore[arg-type]  # tensors keep sizes dynamic
            mode="bilinear",
            align_corners=self.segmentor.align_corners,
        )
        largest, place = scores.max(dim=1)
        return largest, place, (scores - largest[:, None]).exp().sum(dim=1)


def _arange(end: Tensor) -> Tensor:
    return torch.arange(end)  # type: ignore[call-overload]  # a tensor keeps the size dynamic


def _sizes(image: Tensor) -> tuple[Tensor, Tensor]:
    """Return height and width as 0-d int64 tensors, which they already are while tracing."""
    height, width = image.shape[2:]
    if isinstance(height, Tensor):
        return height, width
    return torch.tensor(height), torch.tensor(width)


def _nearest(before: Tensor, after: Tensor) -> Tensor:
    """Return the source index of each index of a nearest-neighbour resize, (after,)."""
    # Like PyTorch, multiply by a float32 scale.
    scale = before.float() / after.float()
    return torch.minimum((_arange(after).float() * scale).floor().long(), before - 1)
