"""How large a model is, and what one image costs, by MMEngine's analysis."""

from dataclasses import dataclass

import torch
from mmengine.analysis import ActivationAnalyzer, FlopAnalyzer
from mmseg.models import BaseSegmentor
from torch import Tensor, nn

from luss.errors import LussError
from luss.models.backbones import maps_of

__all__ = ["Complexity", "count_complexity"]


@dataclass(frozen=True)
class Complexity:
    """Of one model and one image.

    Attributes:
        parameters: of the whole model.
        trained: those of them that are not frozen.
        multiply_adds: of one image once through the backbone, and the neck and the decode head of
            a segmentor.
        activations: values that convolutions and matrix products of that pass give.
    """

    parameters: int
    trained: int
    multiply_adds: int
    activations: int


def count_complexity(model: nn.Module, size: tuple[int, int], where: str = "model") -> Complexity:
    """Count a model's parameters, and what one image costs.

    Args:
        model: with a ``backbone`` that takes images (N, 3, H, W); of mmseg's segmentors the whole
            forward pass counts.
        size: height and width of the image in pixels.
        where: the model's place, for the message.

    Raises:
        LussError: if it does not take such an image.
    """
    inputs = torch.zeros(1, 3, *size)
    model.eval()
    try:
        # As get_model_complexity_info, without warnings of parts that the pass leaves out.
        found = [
            analyzer(_Pass(model), (inputs,))
            .unsupported_ops_warnings(False)
            .uncalled_modules_warnings(False)
            .total()
            for analyzer in (FlopAnalyzer, ActivationAnalyzer)
        ]
    # Whatever a model of others raises.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise LussError(
            f"{where}: {type(model).__name__} takes no image of {size[0]} x {size[1]} pixels: "
            f"{reason}; choose another --shape"
        ) from error
    parameters = list(model.parameters())
    return Complexity(
        parameters=sum(values.numel() for values in parameters),
        trained=sum(values.numel() for values in parameters if values.requires_grad),
        multiply_adds=int(found[0]),
        activations=int(found[1]),
    )


class _Pass(nn.Module):
    """One way through a model, whose output can be traced: a list of tensors."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> list[Tensor]:
        """Feature maps or logits of images (N, 3, H, W)."""
        if isinstance(self.model, BaseSegmentor):
            return [self.model(images, mode="tensor")]
        return maps_of(self.model.backbone, images)
