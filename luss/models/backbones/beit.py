"""BEiT (Bao et al., 2022) for images of any size."""

from functools import lru_cache

import torch
import torch.nn.functional as F
from mmcls.models.backbones import BEiT
from mmcls.models.utils import BEiTAttention
from mmcls.models.utils.embed import resize_relative_position_bias_table
from mmengine.model import BaseModule
from torch import Tensor, nn

from luss.compat import scipy_with_interp2d
from luss.errors import LussError
from luss.registry import MODELS

__all__ = ["AnySizeBEiT", "relative_positions", "resized_biases"]

Grid = tuple[int, int]
"""Rows and columns of patches."""

_EXTRA = 3
"""Biases from the class token to patches, from patches to it, and of it to itself."""
_FEWEST = 3
"""Patches a side of the own size: a cubic spline needs four positions."""


@lru_cache(maxsize=32)
def _resizing(source: int, target: int) -> Tensor:
    """Matrix (target, source) that resizes one axis of a table of biases, by mmcls' rule.

    The rule is linear, and works on both axes alike: a table that varies along one axis alone
    shows what it does to this axis.
    """
    # Kept for calls that train, whatever the first one is for.
    with torch.inference_mode(False), scipy_with_interp2d():
        axis = torch.eye(source)
        if source == target:
            return axis
        axis = axis.repeat(source, 1)
        resized = resize_relative_position_bias_table(source, target, axis, source)
        return resized.unflatten(0, (target, target))[0].float()


def resized_biases(table: Tensor, own: Grid, grid: Grid) -> Tensor:
    """Resize relative position biases to another grid of patches, by mmcls' rule.

    Args:
        table: ((2 H - 1) (2 W - 1) + 3, heads) float, of the grid (H, W).
        own: (H, W).
        grid: (H', W') of the images; unlike mmcls' own, the rule takes grids that are no squares.

    Returns:
        ((2 H' - 1) (2 W' - 1) + 3, heads) float; gradients reach ``table``.
    """
    if own == grid:
        return table
    rows, columns = (
        _resizing(2 * source - 1, 2 * target - 1).to(table)
        for source, target in zip(own, grid, strict=True)
    )
    places = table[:-_EXTRA].unflatten(0, (2 * own[0] - 1, 2 * own[1] - 1))
    resized = torch.einsum("ya,xb,abn->yxn", rows, columns, places)
    return torch.cat([resized.flatten(0, 1), table[-_EXTRA:]])


@lru_cache(maxsize=8)
def relative_positions(grid: Grid) -> Tensor:
    """Which bias of a table each pair of tokens has.

    Args:
        grid: (H, W).

    Returns:
        (H W + 1, H W + 1) int64, the class token first.
    """
    height, width = grid
    rows, columns = (
        torch.arange(length).repeat_interleave(inner).repeat(outer)
        for length, inner, outer in ((height, width, 1), (width, 1, height))
    )
    down = rows[:, None] - rows + height - 1
    across = columns[:, None] - columns + width - 1
    last = (2 * height - 1) * (2 * width - 1)
    index = F.pad(down * (2 * width - 1) + across, (1, 0, 1, 0))
    index[0], index[:, 0], index[0, 0] = last, last + 1, last + 2
    return index


def _biases(table: Tensor, own: Grid, grid: Grid) -> Tensor:
    """Biases (heads, H W + 1, H W + 1) of pairs of tokens."""
    index = relative_positions(grid).to(table.device)
    return resized_biases(table, own, grid)[index].permute(2, 0, 1)


class _Attention(BEiTAttention):
    """mmcls' attention, whose biases are those of ``grid``, which the backbone sets."""

    def __init__(self, window_size: Grid, **kwargs) -> None:
        super().__init__(window_size=window_size, **kwargs)
        self.own_grid = self.grid = tuple(window_size)

    def forward(self, x: Tensor, rel_pos_bias: Tensor | None = None) -> Tensor:
        """Tokens (B, N, C) to (B, N, C), with shared biases (heads, N, N) where there are any."""
        biases = rel_pos_bias
        if self.use_rel_pos_bias:
            own = _biases(self.relative_position_bias_table, self.own_grid, self.grid)
            biases = own if biases is None else own + biases
        if biases is not None:
            # Without a class token there are only pairs of patches.
            biases = biases[:, -x.shape[1] :, -x.shape[1] :]
        in_biases = self.qkv.bias
        if self.bias == "qv_bias":
            in_biases = torch.cat([self.q_bias, torch.zeros_like(self.v_bias), self.v_bias])
        projected = F.linear(x, self.qkv.weight, in_biases)
        query, key, value = projected.unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(
            query,
            key,
            value,
            attn_mask=None if biases is None else biases.to(query.dtype),
            dropout_p=self.attn_drop.p if self.training else 0.0,
            scale=self.scale,
        )
        return self.proj_drop(self.proj(mixed.transpose(1, 2).flatten(2)))


class _SharedBiases(BaseModule):
    """mmcls' biases that all layers share, of ``grid``, which the backbone sets."""

    def __init__(self, own: nn.Module) -> None:
        super().__init__()
        self.own_grid = self.grid = tuple(own.window_size)
        self.relative_position_bias_table = own.relative_position_bias_table
        self.register_buffer("relative_position_index", own.relative_position_index)

    def forward(self) -> Tensor:
        return _biases(self.relative_position_bias_table, self.own_grid, self.grid)


@MODELS.register_module()
class AnySizeBEiT(BEiT):
    """``mmcls.BEiT`` for images of any size, and of several sizes in one training.

    Its relative position biases are those of ``img_size``, and are resized to that of the images
    by the rule by which mmcls resizes those of a checkpoint. Names and shapes of its tensors are
    those of ``mmcls.BEiT``. It gives feature maps: ``avg_token`` is False by default.

    Args:
        **kwargs: see ``mmcls.BEiT``.

    Raises:
        LussError: if ``img_size`` has fewer than three patches a side.
    """

    def __init__(self, **kwargs) -> None:
        super().__init__(**{"avg_token": False, **kwargs})
        self.patch_resolution = tuple(self.patch_resolution)
        if min(self.patch_resolution) < _FEWEST:
            raise LussError(
                f"AnySizeBEiT: img_size={self.img_size} has {self.patch_resolution} patches, "
                f"expected at least {_FEWEST} a side; give the img_size of the checkpoint"
            )
        for layer in self.layers:
            own = layer.attn
            layer.attn = _Attention(
                embed_dims=own.embed_dims,
                num_heads=own.num_heads,
                window_size=self.patch_resolution,
                use_rel_pos_bias=own.use_rel_pos_bias,
                bias=own.bias,
                qk_scale=own.scale,
                attn_drop_rate=own.attn_drop.p,
                proj_drop_rate=own.proj_drop.p,
            )
        if self.rel_pos_bias is not None:
            self.rel_pos_bias = _SharedBiases(self.rel_pos_bias)
        # The parent froze the attention that was there before.
        if self.frozen_stages > 0:
            self._freeze_stages()

    def forward(self, images: Tensor) -> tuple:
        """As ``mmcls.BEiT``, of images (N, 3, H, W)."""
        patch = self.patch_embed.projection.stride
        grid = tuple(
            -(-side // length) for side, length in zip(images.shape[-2:], patch, strict=True)
        )
        for part in self.modules():
            if isinstance(part, _Attention | _SharedBiases):
                part.grid = grid
        return super().forward(images)
