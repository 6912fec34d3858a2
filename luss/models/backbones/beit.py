"""BEiT (Bao et al., 2022) for images of any size."""

from functools import lru_cache

import torch
import torch.nn.functional as F
from mmcls.models.backbones.beit import BEiT, RelativePositionBias
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
"""Biases from the class token to patches, from patches to it, and from it to itself."""
_FEWEST = 3
"""Patches per side of ``img_size``: a cubic spline needs four positions."""


@lru_cache(maxsize=32)
def _resizing(source: int, target: int) -> Tensor:
    """Compute the matrix (target, source) that resizes one axis of a bias table by mmcls' rule.

    The rule is linear and separable, so tables that vary along one axis yield its matrix.
    """
    # The cached matrix must be usable in training even if the first call is in inference mode.
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
        grid: (H', W') of the images; unlike in mmcls, need not be square.

    Returns:
        ((2 H' - 1) (2 W' - 1) + 3, heads) float, differentiable.
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
    """Return the row of the bias table for each pair of tokens.

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
    """Return the biases (heads, H W + 1, H W + 1) of pairs of tokens."""
    index = relative_positions(grid).to(table.device)
    return resized_biases(table, own, grid)[index].permute(2, 0, 1)


class _Attention(BEiTAttention):
    """mmcls' attention with biases resized to ``grid``, which the backbone sets."""

    def __init__(self, window_size: Grid, **kwargs) -> None:
        super().__init__(window_size=window_size, **kwargs)
        self.own_grid = self.grid = window_size

    def forward(self, x: Tensor, rel_pos_bias: Tensor | None = None) -> Tensor:
        """Map tokens (B, N, C) to (B, N, C); ``rel_pos_bias`` (heads, N, N) is shared by layers."""
        biases = rel_pos_bias
        if self.use_rel_pos_bias:
            own = _biases(self.relative_position_bias_table, self.own_grid, self.grid)
            biases = own if biases is None else own + biases
        if biases is not None:
            # Drops the pairs of a missing class token.
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
    """mmcls' biases shared by all layers, resized to ``grid``, which the backbone sets."""

    def __init__(self, own: RelativePositionBias) -> None:
        super().__init__()
        self.own_grid: Grid = tuple(own.window_size)
        self.grid = self.own_grid
        self.relative_position_bias_table = own.relative_position_bias_table
        self.register_buffer("relative_position_index", own.relative_position_index)

    def forward(self) -> Tensor:
        return _biases(self.relative_position_bias_table, self.own_grid, self.grid)


@MODELS.register_module()
class AnySizeBEiT(BEiT):
    """``mmcls.BEiT`` for images of any size, including several sizes in one training run.

    Its relative position biases belong to ``img_size``. They are resized to the images' size by the
    rule that mmcls applies to checkpoints. Its tensors have the names and shapes of ``mmcls.BEiT``.
    It returns feature maps: ``avg_token`` is False by default.

    Args:
        **kwargs: see ``mmcls.BEiT``.

    Raises:
        LussError: if ``img_size`` has fewer than three patches per side.
    """

    rel_pos_bias: nn.Module | None

    def __init__(self, **kwargs) -> None:
        super().__init__(**{"avg_token": False, **kwargs})
        self.patch_resolution: Grid = tuple(self.patch_embed.init_out_size)
        if min(self.patch_resolution) < _FEWEST:
            raise LussError(
                f"AnySizeBEiT: img_size={self.img_size} has {self.patch_resolution} patches, "
                f"expected at least {_FEWEST} per side; set img_size to that of the checkpoint"
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
        # The parent froze the attention layers that were replaced here.
        if self.frozen_stages > 0:
            self._freeze_stages()

    def forward(self, images: Tensor) -> tuple:
        """Return the outputs of ``mmcls.BEiT`` for images (N, 3, H, W)."""
        patch = self.patch_embed.projection.stride
        grid = tuple(
            -(-side // length) for side, length in zip(images.shape[-2:], patch, strict=True)
        )
        for part in self.modules():
            if isinstance(part, _Attention | _SharedBiases):
                part.grid = grid
        return super().forward(images)
