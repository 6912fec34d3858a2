"""Vision transformers of DINO (Caron et al., 2021) and DINOv2, for images of any size."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from mmcls.models.backbones import VisionTransformer
from mmcls.models.utils.layer_scale import LayerScale
from torch import Tensor, nn

from luss.registry import MODELS

__all__ = ["DINOVisionTransformer", "LayerScaleVisionTransformer", "resized_positions"]

Grid = tuple[int, int]
"""Rows and columns of patches."""


def resized_positions(
    positions: Tensor,
    own: Grid,
    grid: Grid,
    offset: float = 0.0,
    mode: str = "bicubic",
    antialias: bool = False,
) -> Tensor:
    """Resize position embeddings as the hub models of DINO and DINOv2 do.

    Args:
        positions: (1, 1 + H W, C) float, the class token first.
        own: (H, W).
        grid: (H', W').
        offset: added to H' and W' to compute the scale between the grids; DINO and DINOv2 without
            registers use 0.1. With 0 the corners of both grids coincide.
        mode: of the interpolation.
        antialias: whether to smooth when reducing; DINOv2 with registers does.

    Returns:
        (1, 1 + H' W', C), of the dtype of ``positions``.
    """
    places = positions[:, 1:].unflatten(1, own).float()
    if torch.onnx.is_in_onnx_export():
        rows, columns = _resizing(own, grid, offset, antialias)
        resized = torch.einsum("ya,xb,nabc->nyxc", rows, columns, places).flatten(1, 2)
    elif own == grid:
        return positions
    else:
        # An offset below 1 does not change the output's H' x W' positions.
        to: dict[str, Any] = {"size": grid}
        if offset:
            scales = [(new + offset) / old for new, old in zip(grid, own, strict=True)]
            to = {"scale_factor": scales}
        places = places.permute(0, 3, 1, 2)
        resized = F.interpolate(places, mode=mode, antialias=antialias, **to).flatten(2).mT
    return torch.cat([positions[:, :1], resized.to(positions.dtype)], dim=1)


def _resizing(own: Grid, grid: Grid, offset: float, antialias: bool) -> list[Tensor]:
    """Return the matrices (new, old) that resize both axes by bicubic interpolation.

    In ONNX, whose own operation has neither offset nor antialiasing, for a grid that is only known
    when the model runs.
    """
    sides: list[Any] = [torch.as_tensor(side) for side in grid]
    same = (sides[0] == own[0]) & (sides[1] == own[1])
    matrices = []
    for old, new in zip(own, sides, strict=True):
        scale = torch.where(same, 1.0, old / (new + offset))
        centers = (torch.arange(new) + 0.5) * scale - 0.5
        places = torch.arange(old)
        if antialias:
            distances = (places - centers[:, None]).abs() / scale.clamp(min=1)
            weights = _cubic(distances, -0.5)
            matrices.append(weights / weights.sum(1, keepdim=True))
            continue
        first = centers.floor()
        # Neighbours beyond the edge are those of the edge.
        taps = [
            _cubic((centers - first - tap).abs(), -0.75)[:, None]
            * (places == (first + tap).clamp(0, old - 1)[:, None])
            for tap in (-1, 0, 1, 2)
        ]
        matrices.append(torch.stack(taps).sum(0))
    return matrices


def _cubic(x: Tensor, a: float) -> Tensor:
    """Return the kernel of cubic convolution (Keys, 1981), with parameter a, at distances x."""
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return torch.where(x <= 1, near, torch.where(x < 2, far, 0.0))


@MODELS.register_module()
class DINOVisionTransformer(VisionTransformer):
    """``mmcls.VisionTransformer`` that resizes its position embeddings as DINO's hub models do.

    ``weights=dict(file=FILE, layout='dino')`` loads the checkpoints of DINO, which have
    ``img_size=224`` and ``arch='deit-small'`` or ``'base'``. With their ``img_size`` the feature
    maps equal those of the hub models at any multiple of the patch size.

    Args:
        interpolate_offset: see :func:`resized_positions`.
        antialias: see :func:`resized_positions`.
        num_registers: number of register tokens, which join the patches without a position and are
            not part of the outputs.
        **kwargs: see ``mmcls.VisionTransformer``.
    """

    def __init__(
        self,
        interpolate_offset: float = 0.1,
        antialias: bool = False,
        num_registers: int = 0,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.interpolate_offset = interpolate_offset
        self.antialias = antialias
        self.num_registers = num_registers
        if num_registers:
            self.register_tokens = nn.Parameter(
                torch.zeros(1, num_registers, self.embed_dims),
                requires_grad=self.frozen_stages <= 0,
            )
        self.patch_resolution: Grid = tuple(self.patch_embed.init_out_size)

    def forward(self, images: Tensor) -> tuple:
        """Return the outputs of ``mmcls.VisionTransformer`` for images (N, 3, H, W)."""
        tokens, grid = self.patch_embed(images)
        tokens = torch.cat([self.cls_token.expand(len(tokens), -1, -1), tokens], dim=1)
        tokens = tokens + self._positions(self.pos_embed, self.patch_resolution, tuple(grid))
        tokens = self.pre_norm(self.drop_after_pos(tokens))
        if self.num_registers:
            registers = self.register_tokens.expand(len(tokens), -1, -1)
            tokens = torch.cat([tokens[:, :1], registers, tokens[:, 1:]], dim=1)
        if not self.with_cls_token:
            tokens = tokens[:, 1:]
        outputs = []
        for index, layer in enumerate(self.layers):
            tokens = layer(tokens)
            if index == len(self.layers) - 1 and self.final_norm:
                tokens = self.norm1(tokens)
            if index in self.out_indices:
                outputs.append(self._output(tokens, tuple(grid)))
        return tuple(outputs)

    def _output(self, tokens: Tensor, grid: Grid) -> Tensor | list[Tensor]:
        patches = tokens[:, self.num_registers + self.with_cls_token :]
        if self.avg_token:
            found = self.norm2(patches.mean(dim=1))
        else:
            found = patches.transpose(1, 2).unflatten(2, grid)
        return [found, tokens[:, 0]] if self.output_cls_token else found

    def _positions(self, positions: Tensor, own: Grid, grid: Grid) -> Tensor:
        return resized_positions(
            positions, own, grid, self.interpolate_offset, self.interpolate_mode, self.antialias
        )

    def _prepare_pos_embed(self, state_dict: dict, prefix: str, *args: Any, **kwargs: Any) -> None:
        """Resize position embeddings of a checkpoint of another image size by the same rule."""
        name = f"{prefix}pos_embed"
        if name in state_dict and state_dict[name].shape != self.pos_embed.shape:
            side = math.isqrt(state_dict[name].shape[1] - self.num_extra_tokens)
            own, grid = (side, side), tuple(self.patch_embed.init_out_size)
            state_dict[name] = self._positions(state_dict[name], own, grid)


@MODELS.register_module()
class LayerScaleVisionTransformer(DINOVisionTransformer):
    """A :class:`DINOVisionTransformer` whose blocks scale both branches (LayerScale).

    ``weights=dict(file=FILE, layout='dinov2')`` loads the checkpoints of DINOv2 ViT-S, B and L,
    which have ``patch_size=14, img_size=518``. With registers, the layout is ``dinov2_reg`` and the
    arguments are ``num_registers=4, interpolate_offset=0.0, antialias=True``.

    Args:
        layer_scale: initial scale, above 0.
        **kwargs: see :class:`DINOVisionTransformer`.
    """

    def __init__(self, layer_scale: float = 1e-5, **kwargs) -> None:
        super().__init__(**kwargs)
        for layer in self.layers:
            # The names that later versions of mmcls, and mmcv's FFN, use.
            layer.attn.gamma1 = LayerScale(self.embed_dims)
            layer.ffn.layers.append(LayerScale(self.embed_dims))
            for part in (layer.attn.gamma1, layer.ffn.layers[-1]):
                nn.init.constant_(part.weight, layer_scale)
        # The parent froze the layers before these were added.
        if self.frozen_stages > 0:
            self._freeze_stages()
