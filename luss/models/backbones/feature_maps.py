"""Feature maps (N, C, H, W) from whatever a backbone returns."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from luss.errors import LussError

__all__ = [
    "OtherSizeError",
    "feature_maps",
    "maps_of",
    "patch_side",
    "quietly",
    "refuse_other_sizes",
    "taller_outputs",
]

_ADVICE = (
    "set the backbone's options so that it neither pools nor classifies (out_indices, "
    "gap_before_final_norm=False, avg_token=False, output_cls_token=False), or name the layer to "
    "take"
)


class OtherSizeError(LussError):
    """A backbone does not take images of a size, and takes others."""


def feature_maps(
    outputs: Any,
    size: tuple[int, int],
    patch: tuple[int, int] | None = None,
    taller: Callable[[], Any] | None = None,
) -> list[Tensor]:
    """The feature maps among a backbone's outputs, from shallow to deep.

    An output is a map (N, C, h, w), a map (N, h, w, C) with channels last, or tokens (N, T, C) of
    patches in reading order, behind any class tokens. It may come with further tokens (N, C),
    which are left out, as vision transformers give (map, class token).

    Args:
        outputs: one output, or several as a sequence or a mapping.
        size: height and width of the images, in pixels.
        patch: height and width of a patch, in pixels; needed for tokens.
        taller: returns the outputs of images twice as tall, see :func:`taller_outputs`. It is
            called where the shape does not show which side is that of the channels, as in
            96 x 96 x 96; without it, the larger one is.

    Raises:
        LussError: if an output is no map: pooled, or tokens of some of the patches only.
    """
    found = _listed(outputs)
    if not found:
        raise LussError(f"the backbone gives {_shape(outputs)}, expected feature maps; {_ADVICE}")
    return [
        _as_map(output, size, patch, partial(_output_at, place, taller))
        for place, output in enumerate(found)
    ]


def maps_of(backbone: nn.Module, images: Tensor) -> list[Tensor]:
    """Run a backbone on images (N, 3, H, W); see :func:`feature_maps`.

    Raises:
        LussError: if it does not take their size, or gives something else than feature maps.
    """
    size = tuple(images.shape[-2:])
    refuse_other_sizes(backbone, size)
    taller = partial(taller_outputs, backbone, images)
    return feature_maps(backbone(images), size, patch_side(backbone), taller)


def taller_outputs(backbone: nn.Module, images: Tensor) -> Any:
    """Run a backbone on a black image twice as tall as images (N, 3, H, W), without its own hooks.

    The backbone, its statistics and all random states stay as they were.

    Returns:
        Its outputs; none if it does not take this size.
    """
    height, width = images.shape[-2:]
    with quietly(backbone), torch.no_grad():
        try:
            return backbone.forward(images.new_zeros(1, 3, 2 * height, width))
        # Whatever a backbone raises that takes images of one size.
        except Exception:
            return ()


@contextmanager
def quietly(module: nn.Module | None) -> Iterator[None]:
    """Evaluation mode, and random states that stay."""
    modes = {part: part.training for part in module.modules()} if module is not None else {}
    # Not train(False): some libraries' own train() does more.
    for part in modes:
        part.training = False
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        for part, mode in modes.items():
            part.training = mode


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


def _listed(outputs: Any) -> list:
    """The outputs one by one; none if they are none."""
    if isinstance(outputs, Mapping):
        outputs = list(outputs.values())
    if _is_one_output(outputs):
        return [outputs]
    return list(outputs) if isinstance(outputs, Sequence) else []


def _output_at(place: int, taller: Callable[[], Any] | None) -> Any:
    outputs = _listed(taller()) if taller else []
    return outputs[place] if place < len(outputs) else None


def _main_part(output: Any) -> Any:
    return output[0] if isinstance(output, Sequence) and _is_one_output(output) else output


def _as_map(
    output: Any,
    size: tuple[int, int],
    patch: tuple[int, int] | None,
    taller: Callable[[], Any],
) -> Tensor:
    found = _main_part(output)
    if _dimensions(found) == 4:
        return found.permute(0, 3, 1, 2) if _has_channels_last(found, size, taller) else found
    if _dimensions(found) == 3:
        return _map_of_tokens(found, size, patch)
    raise LussError(f"the backbone gives {_shape(output)}, expected a feature map; {_ADVICE}")


def _has_channels_last(output: Tensor, size: tuple[int, int], taller: Callable[[], Any]) -> bool:
    """Whether the sides in front, and not those behind, are the image's at one stride."""
    last = _at_one_stride(output.shape[1:3], size)
    if not (last and _at_one_stride(output.shape[2:4], size)):
        return last
    other = _main_part(taller())
    if _dimensions(other) == 4:
        # Channels are as many at any size.
        return other.shape[1] != output.shape[1]
    return output.shape[3] > output.shape[1]


def _at_one_stride(sides: Sequence[int], size: tuple[int, int]) -> bool:
    """Whether one stride leads from an image's sides to these, each rounded up or down."""
    smallest = max(length / (side + 1) for side, length in zip(sides, size, strict=True))
    largest = min(
        length / (side - 1) if side > 1 else math.inf
        for side, length in zip(sides, size, strict=True)
    )
    return smallest < largest


def _map_of_tokens(tokens: Tensor, size: tuple[int, int], patch: tuple[int, int] | None) -> Tensor:
    if patch is None:
        raise LussError(
            f"the backbone gives tokens {_shape(tokens)}, and no part of it has a patch_size that "
            f"would tell where they lie; {_ADVICE}"
        )
    # Transformers pad the image's last patch, or leave it out. The larger grid first: the smaller
    # one would take patches for class tokens.
    for height, width in (
        (-(-size[0] // patch[0]), -(-size[1] // patch[1])),
        (size[0] // patch[0], size[1] // patch[1]),
    ):
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
