"""Feature maps (N, C, H, W) from the outputs of any backbone."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from luss.errors import LussError
from luss.structures import size_of

__all__ = [
    "OtherSizeError",
    "check_image_size",
    "eval_mode",
    "extract_maps",
    "feature_maps",
    "patch_side",
    "taller_outputs",
]

_ADVICE = (
    "set the backbone's options so that it neither pools nor classifies (out_indices, "
    "gap_before_final_norm=False, avg_token=False, output_cls_token=False), or set the layer to "
    "read"
)


class OtherSizeError(LussError):
    """A backbone does not accept images of one size but accepts others."""


def feature_maps(
    outputs: Any,
    size: tuple[int, int],
    patch: tuple[int, int] | None = None,
    taller: Callable[[], Any] | None = None,
) -> list[Tensor]:
    """Return the feature maps among a backbone's outputs, from shallow to deep.

    An output is a map (N, C, h, w), a map (N, h, w, C) with channels last, or tokens (N, T, C) of
    patches in reading order after any class tokens. Further tokens (N, C) beside it are dropped:
    vision transformers return (map, class token).

    Args:
        outputs: one output, or several as a sequence or a mapping.
        size: height and width of the images, in pixels.
        patch: height and width of a patch, in pixels; needed for tokens.
        taller: returns the outputs for images twice as tall, see :func:`taller_outputs`. It is
            called if the shape is ambiguous, as 96 x 96 x 96; without it, the larger of both
            candidates is the number of channels.

    Raises:
        LussError: if an output is pooled, or contains tokens of only some patches.
    """
    found = _listed(outputs)
    if not found:
        raise LussError(f"the backbone returns {_shape(outputs)}, expected feature maps; {_ADVICE}")
    return [
        _as_map(output, size, patch, partial(_output_at, place, taller))
        for place, output in enumerate(found)
    ]


def extract_maps(backbone: nn.Module, images: Tensor) -> list[Tensor]:
    """Run a backbone on images (N, 3, H, W); see :func:`feature_maps`.

    Raises:
        LussError: if it does not accept their size, or does not return feature maps.
    """
    size = size_of(images)
    check_image_size(backbone, size)
    taller = partial(taller_outputs, backbone, images)
    return feature_maps(backbone(images), size, patch_side(backbone), taller)


def taller_outputs(backbone: nn.Module, images: Tensor) -> Any:
    """Run a backbone on a black image twice as tall as images (N, 3, H, W), without its hooks.

    The backbone, its statistics and all random states do not change.

    Returns:
        Its outputs; empty if it does not accept this size.
    """
    height, width = images.shape[-2:]
    with eval_mode(backbone), torch.no_grad():
        try:
            return backbone.forward(images.new_zeros(1, 3, 2 * height, width))
        # Backbones raise any kind of exception for images of another size.
        except Exception:
            return ()


@contextmanager
def eval_mode(module: nn.Module | None) -> Iterator[None]:
    """Switch a module to evaluation mode; restore its modes and the random state afterwards."""
    modes = {part: part.training for part in module.modules()} if module is not None else {}
    # Not train(False): some libraries override train() with side effects.
    for part in modes:
        part.training = False
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def check_image_size(backbone: nn.Module, size: tuple[int, int]) -> None:
    """Check that the position biases of a plain BEiT fit the image size.

    Args:
        backbone: only BEiT of mmcls and mmseg is checked.
        size: height and width of the images, in pixels.

    Raises:
        OtherSizeError: if they do not fit.
    """
    names = {parent.__name__ for parent in type(backbone).__mro__}
    own, patch = own_size(backbone), patch_side(backbone)
    if "BEiT" not in names or "AnySizeBEiT" in names or own is None or patch is None:
        return
    grids = [
        [-(-side // length) for side, length in zip(sides, patch, strict=True)]
        for sides in (own, size)
    ]
    if grids[0] != grids[1] and any("relative_position_bias" in n for n in backbone.state_dict()):
        raise OtherSizeError(
            f"{type(backbone).__name__} has position biases for images of {own[0]} x {own[1]} "
            f"pixels, found images of {size[0]} x {size[1]} pixels; set type='AnySizeBEiT', which "
            "resizes the biases and loads the same checkpoints, or resize all images to one size"
        )


def own_size(backbone: nn.Module) -> tuple[int, int] | None:
    """Return the image size (height, width) that a backbone is built for; None if it has none."""
    return _pair(getattr(backbone, "img_size", None))


def patch_side(backbone: nn.Module) -> tuple[int, int] | None:
    """Return height and width in pixels of a transformer's patches; None if unknown."""
    for part in backbone.modules():
        side = getattr(part, "patch_size", None)
        # OpenMMLab's patch embeddings have no attribute for it.
        if isinstance(part, nn.Conv2d) and part.kernel_size == part.stride > (1, 1):
            side = part.stride
        if pair := _pair(side):
            return pair
    return None


def _pair(sides: Any) -> tuple[int, int] | None:
    if isinstance(sides, int):
        return sides, sides
    if isinstance(sides, Sequence) and len(sides) == 2:
        return sides[0], sides[1]
    return None


def _dimensions(output: Any) -> int:
    return output.ndim if isinstance(output, Tensor) else 0


def _is_one_output(output: Any) -> bool:
    """Return whether this is a tensor, or a map or tokens with further tokens."""
    if isinstance(output, Tensor):
        return True
    if not isinstance(output, Sequence) or len(output) < 2:
        return False
    first, *others = output
    return _dimensions(first) in (3, 4) and all(_dimensions(other) == 2 for other in others)


def _listed(outputs: Any) -> list:
    """Return the outputs as a list; empty if there are none."""
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
    raise LussError(f"the backbone returns {_shape(output)}, expected a feature map; {_ADVICE}")


def _has_channels_last(output: Tensor, size: tuple[int, int], taller: Callable[[], Any]) -> bool:
    """Return whether dimensions 1 and 2, not 2 and 3, are the image's sides at one stride."""
    last = _at_one_stride(output.shape[1:3], size)
    if not (last and _at_one_stride(output.shape[2:4], size)):
        return last
    other = _main_part(taller())
    if _dimensions(other) == 4:
        # The number of channels does not depend on the image size.
        return other.shape[1] != output.shape[1]
    return output.shape[3] > output.shape[1]


def _at_one_stride(sides: Sequence[int], size: tuple[int, int]) -> bool:
    """Return whether one stride maps the image's sides to these, each rounded up or down."""
    smallest = max(length / (side + 1) for side, length in zip(sides, size, strict=True))
    largest = min(
        length / (side - 1) if side > 1 else math.inf
        for side, length in zip(sides, size, strict=True)
    )
    return smallest < largest


def _map_of_tokens(tokens: Tensor, size: tuple[int, int], patch: tuple[int, int] | None) -> Tensor:
    if patch is None:
        raise LussError(
            f"the backbone returns tokens {_shape(tokens)}, but none of its modules has a "
            f"patch_size to place them; {_ADVICE}"
        )
    # Transformers pad the image's last patch or drop it. Try the larger grid first: with the
    # smaller one, patches would count as class tokens.
    for height, width in (
        (-(-size[0] // patch[0]), -(-size[1] // patch[1])),
        (size[0] // patch[0], size[1] // patch[1]),
    ):
        extra = tokens.shape[1] - height * width
        if 0 <= extra <= _MOST_EXTRA_TOKENS and height * width:
            return tokens[:, extra:].transpose(1, 2).unflatten(2, (height, width)).contiguous()
    raise LussError(
        f"the backbone returns tokens {_shape(tokens)}, but an image of {size[0]} x {size[1]} "
        f"pixels has {size[0] // patch[0]} x {size[1] // patch[1]} patches: some are missing, as "
        "in the encoder of a masked autoencoder. Load its weights into a plain transformer "
        "(mmcls.VisionTransformer for mmselfsup.MAEViT)"
    )


_MOST_EXTRA_TOKENS = 16
"""Largest number of class, distillation and register tokens."""


def _shape(output: Any) -> str:
    if isinstance(output, Tensor):
        return str(tuple(output.shape))
    if isinstance(output, Sequence) and output and not isinstance(output, str):
        return f"[{', '.join(_shape(entry) for entry in output)}]"
    return type(output).__name__
