"""A segmentor from a photo's bytes to ids, in operations that ONNX has.

What happens outside the model otherwise is inside: the short side is resized as Pillow does it,
colours are normalised, and ids are given at the photo's own size. Sizes are tensors all along, so
that tracing keeps them open.
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
# Pillow's weights are whole numbers of this many parts.
_ONE = 2**22
_RESIZES_TALL_BY_COLUMNS = digit_version(PIL.__version__) >= digit_version("13.0.0")


def pillow_weights(before: Tensor, after: Tensor) -> Tensor:
    """The weights with which Pillow mixes a row's pixels when it resizes bilinearly.

    Where it shrinks, a new pixel is a mean over all that it covers, weighted by a triangle.

    Args:
        before: length of the row, a 0-d int64 tensor.
        after: its length afterwards, likewise.

    Returns:
        (after, before) int64, in parts of 2^22; rows sum to about that.
    """
    # Whole numbers all along: in ONNX, fractions would be rounded as float32.
    places, centres = 2 * torch.arange(before) + 1, 2 * torch.arange(after) + 1
    distances = (places[None] * after - centres[:, None] * before).abs()
    weights = (2 * torch.maximum(before, after) - distances).clamp(min=0)
    total = weights.sum(dim=1, keepdim=True)
    return (2 * _ONE * weights + total) // (2 * total)


def resize_as_pillow(image: Tensor, height: Tensor, width: Tensor) -> Tensor:
    """Resize an image bilinearly with antialiasing, to the very bytes that Pillow gives.

    Each of the two passes rounds to bytes, so that their order matters; see `columns_first`. Sums
    are of whole numbers below 2^31, which float64 holds exactly.

    Args:
        image: (N, 3, H, W) float32, whole numbers in 0..255.
        height: of the result, a 0-d int64 tensor.
        width: likewise.

    Returns:
        (N, 3, height, width) float32, whole numbers in 0..255.
    """
    rows, columns = _sizes(image)
    across, down = pillow_weights(columns, width).T, pillow_weights(rows, height)
    tall = columns_first((rows, columns), (height, width))
    return _mix(image.double(), across.double(), down.double(), tall).float()


def columns_first(before: tuple[Tensor, Tensor], after: tuple[Tensor, Tensor]) -> Tensor:
    """Return whether the installed Pillow resizes the columns of an image before its rows.

    Source: Pillow 13 does so where the height loses more than twice as many pixels as the width;
    earlier versions never do.

    Args:
        before: height and width, 0-d int64 tensors.
        after: likewise.

    Returns:
        0-d bool tensor.
    """
    lost, lost_across = before[0] - after[0], before[1] - after[1]
    tall = (lost > 0) & (lost > 2 * lost_across)
    return tall if _RESIZES_TALL_BY_COLUMNS else torch.zeros_like(tall)


def _to_bytes(sums: Tensor, one: int = _ONE, largest: int = _LARGEST_BYTE) -> Tensor:
    """Round sums in parts of 2^22 to bytes, float64 in and out."""
    return ((sums.long() + one // 2) // one).clamp(0, largest).double()


@torch.jit.script
def _mix(image: Tensor, across: Tensor, down: Tensor, columns_first: Tensor) -> Tensor:
    """Mix columns and rows; a script, as tracing would keep only one of the branches."""
    if bool(columns_first):
        return _to_bytes(_to_bytes(down @ image) @ across)
    return _to_bytes(down @ _to_bytes(image @ across))


class PhotoSegmentor(nn.Module):
    """A segmentor that takes a photo as it was read, and gives ids at its size.

    Args:
        segmentor: trained, set to evaluation, on the CPU.
        short_side: to which photos are resized, in pixels.
        max_long: largest long side afterwards.
        written: (C+1,) what each predicted id is written as.
        channels_at_a_time: scores that are up-sampled together, which bounds the memory.
        multiple_of: both sides are rounded to multiples of this number; None leaves them.
    """

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
        logits = self.segmentor.decode_head(self.segmentor.extract_feat(inputs))
        # As in predict_ids: a way round for large photos, and nothing lost for others.
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
        """Resize the short side, as ``ResizeShortSide`` does.

        Args:
            photo: (1, H, W, 3) uint8 RGB.

        Returns:
            (1, 3, h, w) float32, whole numbers in 0..255.
        """
        image = photo.permute(0, 3, 1, 2).float()
        return resize_as_pillow(image, *self._resized(*_sizes(image)))

    def _resized(self, height: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
        """Height and width after resizing the short side, as ``short_side_size``."""
        short, long = torch.minimum(height, width), torch.maximum(height, width)
        new_long = (self.short_side * long // short).clamp(max=self.max_long)
        short = torch.full_like(new_long, self.short_side)
        if self.multiple_of is not None:
            short, new_long = (self._rounded(side) for side in (short, new_long))
        upright = height >= width
        return torch.where(upright, new_long, short), torch.where(upright, short, new_long)

    def _rounded(self, side: Tensor) -> Tensor:
        number = self.multiple_of
        nearest = (2 * side + number) // (2 * number)
        return nearest.clamp(min=1, max=max(self.max_long // number, 1)) * number

    def _largest(self, logits: Tensor, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        """The channel of the largest up-sampled logit, and its softmax, a few channels at a time.

        Args:
            logits: (1, C+1, h, w).
            rows: to up-sample to.
            columns: likewise.

        Returns:
            Two (1, rows, columns), int64 and float32.
        """
        best = ids = total = None
        for start in range(0, self.written.numel(), self.channels_at_a_time):
            scores = F.interpolate(
                logits[:, start : start + self.channels_at_a_time],
                size=(rows, columns),
                mode="bilinear",
                align_corners=self.segmentor.align_corners,
            )
            largest, place = scores.max(dim=1)
            of_chunk = (scores - largest[:, None]).exp().sum(dim=1)
            if best is None:
                best, ids, total = largest, place, of_chunk
                continue
            ids = torch.where(largest > best, place + start, ids)
            highest = torch.maximum(best, largest)
            total = total * (best - highest).exp() + of_chunk * (largest - highest).exp()
            best = highest
        return ids, 1 / total


def _sizes(image: Tensor) -> tuple[Tensor, Tensor]:
    """Height and width as 0-d int64 tensors; while tracing they are tensors already."""
    height, width = image.shape[2:]
    if isinstance(height, Tensor):
        return height, width
    return torch.tensor(height), torch.tensor(width)


def _nearest(before: Tensor, after: Tensor) -> Tensor:
    """The place (after,) that each new place takes its value from."""
    # PyTorch multiplies by a float32 scale.
    scale = before.float() / after.float()
    return torch.minimum((torch.arange(after).float() * scale).floor().long(), before - 1)
