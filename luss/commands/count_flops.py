"""``luss count-flops``: how large the models of a config are, and what they cost."""

import argparse
from typing import TYPE_CHECKING

from luss.commands.stages_of_config import add_stage_arguments, chosen_stages, planned_pipeline

if TYPE_CHECKING:
    from luss.pipeline import Context, RunnerStage

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = (
    "Count parameters, and the multiply-adds of one image through backbone and heads, of the "
    "models of a config's stages."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the config, the stages and the size of the image."""
    add_stage_arguments(parser, "count the model")
    parser.add_argument(
        "--shape",
        nargs="+",
        type=int,
        default=[224],
        metavar="PIXELS",
        help="height and width of the image, or one number for both (default: 224)",
    )


def run(args: argparse.Namespace) -> None:
    """Print a table with a row a model."""
    from prettytable import PrettyTable

    from luss.models.complexity import count_complexity
    from luss.pipeline import RunnerStage
    from luss.registry import MODELS

    size = image_size(args.shape)
    pipeline, context = planned_pipeline(args)
    stages = chosen_stages(pipeline, args.stage, RunnerStage, "a model")
    table = PrettyTable(["stage", "model", "parameters", "trained", "multiply-adds", "activations"])
    table.align = "r"
    table.align["stage"] = table.align["model"] = "l"
    for stage in stages:
        config = model_of(stage, context)
        if "backbone" not in config:
            continue
        found = count_complexity(MODELS.build(config), size, f"stages.{stage.name}.model")
        table.add_row(
            [stage.name, config["type"], f"{found.parameters:,}", f"{found.trained:,}",
             in_units(found.multiply_adds), in_units(found.activations)]
        )  # fmt: skip
    print(table)
    print(
        f"One image of {size[0]} x {size[1]} pixels, once through the backbone, and the head of a "
        "segmentor; parameters are those of the whole model, projectors and prototypes too. One "
        "multiply-add is two floating-point operations."
    )


def model_of(stage: "RunnerStage", context: "Context") -> dict:
    """The configuration of a stage's model, if possible without a look at the data."""
    if hasattr(stage, "model_config"):
        return stage.model_config(context)
    return stage.runner_config(context)["model"]


def image_size(shape: list[int]) -> tuple[int, int]:
    """Height and width of ``--shape``.

    Raises:
        LussError: if it is neither one nor two positive numbers.
    """
    from luss.errors import LussError

    if len(shape) > 2 or min(shape) < 1:
        raise LussError(f"--shape is {shape}, expected one or two numbers from 1 on")
    return shape[0], shape[-1]


def in_units(count: int) -> str:
    """A number with three digits and a unit of thousands."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)
