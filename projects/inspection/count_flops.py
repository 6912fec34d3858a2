"""Count the parameters of a config's models, and their multiply-adds for one image."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from mmengine.analysis import ActivationAnalyzer, FlopAnalyzer
from mmseg.models import BaseSegmentor
from prettytable import PrettyTable
from torch import Tensor, nn

from luss.command_line import exit_cleanly
from luss.commands.stages_of_config import add_stage_arguments, chosen_stages, dry_pipeline
from luss.errors import LussError
from luss.models.backbones import extract_maps
from luss.pipeline import Context, RunnerStage
from luss.pipeline.resolving import resolved_stage
from luss.registry import MODELS
from luss.stages import Test, Train

__all__ = ["Complexity", "count_complexity", "main"]


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table with one row per model; see ``--help`` for the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_stage_arguments(parser, "count the model")
    parser.add_argument(
        "--shape",
        nargs="+",
        type=int,
        default=[224],
        metavar="PIXELS",
        help="height and width of the image, or one number for both (default: 224)",
    )
    args = parser.parse_args(arguments)
    size = _image_size(args.shape)
    pipeline, context = dry_pipeline(args)
    stages = chosen_stages(pipeline, args.stage, RunnerStage, "a model")
    table = PrettyTable(["stage", "model", "parameters", "trained", "multiply-adds", "activations"])
    table.align = "r"
    table.align["stage"] = table.align["model"] = "l"
    for stage in stages:
        config = _model_of(stage, context)
        if "backbone" not in config:
            continue
        found = count_complexity(MODELS.build(config), size, f"stages.{stage.name}.model")
        table.add_row(
            [stage.name, config["type"], f"{found.parameters:,}", f"{found.trained:,}",
             _in_units(found.multiply_adds), _in_units(found.activations)]
        )  # fmt: skip
    print(table)
    print(
        f"Cost of one image of {size[0]} x {size[1]} pixels: one pass through the backbone, and "
        "through the head of a segmentor. Parameters include projectors and prototypes. One "
        "multiply-add is two floating-point operations."
    )


def _model_of(stage: RunnerStage, context: Context) -> dict:
    """Return the configuration of a stage's model, without reading the data if possible."""
    stage = resolved_stage(stage, context)
    if isinstance(stage, Train):
        return stage.model_config(context)
    return (
        stage.model_config() if isinstance(stage, Test) else stage.runner_config(context)["model"]
    )


def _image_size(shape: list[int]) -> tuple[int, int]:
    """Return height and width of ``--shape``.

    Raises:
        LussError: if it is neither one nor two positive numbers.
    """
    if len(shape) > 2 or min(shape) < 1:
        raise LussError(f"--shape is {shape}, expected one or two numbers of at least 1")
    return shape[0], shape[-1]


def _in_units(count: int) -> str:
    """Format a number with three digits and a unit (k, M, G)."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)


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


if __name__ == "__main__":
    with exit_cleanly():
        main()
