"""Feature maps (N, C, H, W) from whatever a backbone returns."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from luss.errors import LussError

__all__ = ["OtherSizeError", "feature_maps", "maps_of", "patch_side", "refuse_other_sizes"]

_ADVICE = (
    "set the backbone's options so that it neither pools nor classifies (out_indices, "
    "gap_before_final_norm=False, avg_token=False, output_cls_token=False), or name the layer to "
    "take"
)


class OtherSizeError(LussError):
    """A backbone does not take images of a size, and takes others."""


def feature_maps(
    outputs: Any, size: tuple[int, int], patch: tuple[int, int] | None = None
) -> list[Tensor]:
    """The feature maps among a backbone's outputs, from shallow to deep.

    An output is a map (N, C, h, w), a map (N, h, w, C) with channels last, or tokens (N, T, C) of
    patches in reading order, behind any class tokens. It may come with further tokens (N, C),
    which are left out, as vision transformers give (map, class token).

    Args:
        outputs: one output, or several as a sequence or a mapping.
        size: height and width of the images, in pixels.
        patch: height and width of a patch, in pixels; needed for tokens.

    Raises:
        LussError: if an output is no map: pooled, or tokens of some of the patches only.
    """
    if isinstance(outputs, Mapping):
        outputs = list(outputs.values())
    if _is_one_output(outputs):
        outputs = [outputs]
    if not isinstance(outputs, Sequence) or not outputs:
        raise LussError(f"the backbone gives {_shape(outputs)}, expected feature maps; {_ADVICE}")
    return [_as_map(output, size, patch) for output in outputs]


def maps_of(backbone: nn.Module, images: Tensor) -> list[Tensor]:
    """Run a backbone on images (N, 3, H, W); see :func:`feature_maps`.

    Raises:
        LussError: if it does not take their size, or gives something else than feature maps.
    """
    refuse_other_sizes(backbone, tuple(images.shape[-2:]))
    return feature_maps(backbone(images), tuple(images.shape[-2:]), patch_side(backbone))


def refuse_other_sizes(backbone: nn.Module, size: tuple[int, int]) -> None:
    """Refuse images of another size than that of the position biases of a plain BEiT.

    Args:
        backbone: any; others than mmcls' and mmseg's BEiT take what they take.
        size: height and width of the images, in pixels.

    Raises:
        OtherSizeError: naming the backbone that takes any size.
    """
    names = {parent.__name__ for parent in type(backbone).__mro__}
    if "BEiT" not in names or "AnySizeBEiT" in names:
        return
    own, patch = backbone.img_size, patch_side(backbone)
    own = (own, own) if isinstance(own, int) else tuple(own)
    grids = [
        [-(-side // length) for side, length in zip(sides, patch, strict=True)]
        for sides in (own, size)
    ]
    if grids[0] != grids[1] and any("relative_position_bias" in n for n in backbone.state_dict()):
        raise OtherSizeError(
            f"{type(backbone).__name__} has position biases of images of {own[0]} x {own[1]} "
            f"pixels, and does not take those of {size[0]} x {size[1]}; use type='AnySizeBEiT', "
            "which resizes them (its tensors are those of mmcls.BEiT), or one size for all"
        )


def patch_side(backbone: nn.Module) -> tuple[int, int] | None:
    """Height and width in pixels of a transformer's patches; None if it does not tell."""
    for part in backbone.modules():
        side = getattr(part, "patch_size", None)
        if isinstance(side, int):
            return side, side
        if isinstance(side, Sequence) and len(side) == 2:
            return tuple(side)
        # OpenMMLab's patch embeddings do not name it.
        if isinstance(part, nn.Conv2d) and part.kernel_size == part.stride > (1, 1):
            return part.stride
    return None


def _dimensions(output: Any) -> int:
    return output.ndim if isinstance(output, Tensor) else 0


def _is_one_output(output: Any) -> bool:
    """Whether this is a tensor, or a map or tokens with what belongs to it."""
    if isinstance(output, Tensor):
        return True
    if not isinstance(output, Sequence) or len(output) < 2:
        return False
    first, *others = output
    return _dimensions(first) in (3, 4) and all(_dimensions(other) == 2 for other in others)


def _as_map(output: Any, size: tuple[int, int], patch: tuple[int, int] | None) -> Tensor:
    found = output[0] if isinstance(output, Sequence) and _is_one_output(output) else output
    if _dimensions(found) == 4:
        return found.permute(0, 3, 1, 2) if _has_channels_last(found, size) else found
    if _dimensions(found) == 3:
        return _map_of_tokens(found, size, patch)
    raise LussError(f"the backbone gives {_shape(output)}, expected a feature map; {_ADVICE}")


def _has_channels_last(output: Tensor, size: tuple[int, int]) -> bool:
    """Whether the image's proportions are those of the sides in front, and not of those behind."""
    return not _proportional(output.shape[2:4], size) and _proportional(output.shape[1:3], size)


def _proportional(sides: Sequence[int], size: tuple[int, int]) -> bool:
    stride_down, stride_across = size[0] / sides[0], size[1] / sides[1]
    # Maps of few pixels are rounded much.
    return 0.5 < stride_down / stride_across < 2


def _map_of_tokens(tokens: Tensor, size: tuple[int, int], patch: tuple[int, int] | None) -> Tensor:
    if patch is None:
        raise LussError(
            f"the backbone gives tokens {_shape(tokens)}, and no part of it has a patch_size that "
            f"would tell where they lie; {_ADVICE}"
        )
    # Transformers pad the image's last patch, or leave it out.
    for height, width in {
        (size[0] // patch[0], size[1] // patch[1]),
        (-(-size[0] // patch[0]), -(-size[1] // patch[1])),
    }:
        extra = tokens.shape[1] - height * width
        if 0 <= extra <= _MOST_EXTRA_TOKENS and height * width:
            return tokens[:, extra:].transpose(1, 2).unflatten(2, (height, width)).contiguous()
    raise LussError(
        f"the backbone gives tokens {_shape(tokens)}, but an image of {size[0]} x {size[1]} pixels "
        f"has {size[0] // patch[0]} x {size[1] // patch[1]} patches: some are missing, as in a "
        "masked autoencoder's encoder, which gives no feature maps; read its weights into a plain "
        "one (for mmselfsup.MAEViT that is mmcls.VisionTransformer)"
    )


_MOST_EXTRA_TOKENS = 16
"""Class, distillation and register tokens together."""


def _shape(output: Any) -> str:
    if isinstance(output, Tensor):
        return str(tuple(output.shape))
    if isinstance(output, Sequence) and output and not isinstance(output, str):
        return f"[{', '.join(_shape(entry) for entry in output)}]"
    return type(output).__name__
