"""A segmentor from a photo's bytes to ids, in operations that ONNX has.

What happens outside the model otherwise is inside: the short side is resized as Pillow does it,
colours are normalised, and ids are given at the photo's own size. Sizes are tensors all along, so
that tracing keeps them open.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from luss.datasets.image_io import MAX_PIXELS
from luss.models.segmentors.pass_segmentor import HEIGHT_OF_LARGE, LARGE_IMAGE, PassSegmentor

__all__ = ["PhotoSegmentor", "pillow_weights", "resize_as_pillow"]

_CHANNELS_AT_A_TIME = 64
_LARGEST_BYTE = 255
# Pillow's weights are whole numbers of this many parts.
_ONE = 2**22


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

    Rows first; each pass rounds to bytes. Sums are of whole numbers below 2^31, which float64
    holds exactly.

    Args:
        image: (N, 3, H, W) float32, whole numbers in 0..255.
        height: of the result, a 0-d int64 tensor.
        width: likewise.

    Returns:
        (N, 3, height, width) float32, whole numbers in 0..255.
    """
    rows, columns = _sizes(image)
    image = _to_bytes(image.double() @ pillow_weights(columns, width).T.double())
    return _to_bytes(pillow_weights(rows, height).double() @ image).float()


class PhotoSegmentor(nn.Module):
    """A segmentor that takes a photo as it was read, and gives ids at its size.

    Args:
        segmentor: trained, set to evaluation, on the CPU.
        short_side: to which photos are resized, in pixels.
        max_long: largest long side afterwards.
        written: (C+1,) what each predicted id is written as.
        channels_at_a_time: scores that are up-sampled together, which bounds the memory.
    """

    def __init__(
        self,
        segmentor: PassSegmentor,
        short_side: int,
        max_long: int,
        written: Sequence[int] | NDArray,
        channels_at_a_time: int = _CHANNELS_AT_A_TIME,
    ) -> None:
        super().__init__()
        self.segmentor = segmentor
        self.short_side = short_side
        self.max_long = max_long
        self.channels_at_a_time = channels_at_a_time
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
        image = photo.permute(0, 3, 1, 2).float()
        height, width = _sizes(image)
        inputs = resize_as_pillow(image, *self._resized(height, width))
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

    def _resized(self, height: Tensor, width: Tensor) -> tuple[Tensor, Tensor]:
        """Height and width after resizing the short side, as ``short_side_size``."""
        short, long = torch.minimum(height, width), torch.maximum(height, width)
        new_long = (self.short_side * long // short).clamp(max=self.max_long)
        short = torch.full_like(new_long, self.short_side)
        upright = height >= width
        return torch.where(upright, new_long, short), torch.where(upright, short, new_long)

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


def _to_bytes(sums: Tensor) -> Tensor:
    """Sums in parts of 2^22, rounded: float64 in, float64 out."""
    return ((sums.long() + _ONE // 2) // _ONE).clamp(0, _LARGEST_BYTE).double()


def _nearest(before: Tensor, after: Tensor) -> Tensor:
    """The place (after,) that each new place takes its value from."""
    # PyTorch multiplies by a float32 scale.
    scale = before.float() / after.float()
    return torch.minimum((torch.arange(after).float() * scale).floor().long(), before - 1)
