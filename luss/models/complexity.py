"""Number of parameters and operations of a model, by MMEngine's analysis."""

from dataclasses import dataclass

import torch
from mmengine.analysis import ActivationAnalyzer, FlopAnalyzer
from mmseg.models import BaseSegmentor
from torch import Tensor, nn

from luss.errors import LussError
from luss.models.backbones import extract_maps

__all__ = ["Complexity", "count_complexity"]


@dataclass(frozen=True)
class Complexity:
    """Size of a model and cost of one image.

    Attributes:
        parameters: number of all parameters.
        trained: number of parameters that are not frozen.
        multiply_adds: of one forward pass through the backbone, and the neck and decode head of a
            segmentor.
        activations: output values of the convolutions and matrix products of that pass.
    """

    parameters: int
    trained: int
    multiply_adds: int
    activations: int


def count_complexity(model: nn.Module, size: tuple[int, int], where: str = "model") -> Complexity:
    """Count a model's parameters and the operations for one image.

    Args:
        model: has a ``backbone`` that takes images (N, 3, H, W); for mmseg's segmentors the
            complete forward pass counts.
        size: height and width of the image in pixels.
        where: the model's place in the config, for the message.

    Raises:
        LussError: if the model does not accept images of this size.
    """
    inputs = torch.zeros(1, 3, *size)
    model.eval()
    try:
        # As get_model_complexity_info, without its warnings about unused modules.
        found = [
            analyzer(_Pass(model), (inputs,))
            .unsupported_ops_warnings(False)
            .uncalled_modules_warnings(False)
            .total()
            for analyzer in (FlopAnalyzer, ActivationAnalyzer)
        ]
    # Third-party models raise any kind of exception.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise LussError(
            f"{where}: {type(model).__name__} does not accept an image of {size[0]} x {size[1]} "
            f"pixels: {reason}; choose another --shape"
        ) from error
    parameters = list(model.parameters())
    return Complexity(
        parameters=sum(values.numel() for values in parameters),
        trained=sum(values.numel() for values in parameters if values.requires_grad),
        multiply_adds=int(found[0]),
        activations=int(found[1]),
    )


class _Pass(nn.Module):
    """Forward pass of a model with traceable output: a list of tensors."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return feature maps or logits of images (N, 3, H, W)."""
        if isinstance(self.model, BaseSegmentor):
            return [self.model(images, mode="tensor")]
        return extract_maps(self.model.get_submodule("backbone"), images)
