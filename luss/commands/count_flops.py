"""``luss count-flops``: parameters and multiply-adds of a config's models."""

import argparse
from typing import TYPE_CHECKING

from luss.commands.stages_of_config import add_stage_arguments, chosen_stages, dry_pipeline

if TYPE_CHECKING:
    from luss.pipeline import Context, RunnerStage

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = (
    "Count the parameters of a config's models, and their multiply-adds for one image (backbone "
    "and heads)."
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
    """Print a table with one row per model."""
    from prettytable import PrettyTable

    from luss.models.complexity import count_complexity
    from luss.pipeline import RunnerStage
    from luss.registry import MODELS

    size = image_size(args.shape)
    pipeline, context = dry_pipeline(args)
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
        f"Cost of one image of {size[0]} x {size[1]} pixels: one pass through the backbone, and "
        "through the head of a segmentor. Parameters include projectors and prototypes. One "
        "multiply-add is two floating-point operations."
    )


def model_of(stage: "RunnerStage", context: "Context") -> dict:
    """Return the configuration of a stage's model, without reading the data if possible."""
    if hasattr(stage, "model_config"):
        return stage.model_config(context)
    return stage.runner_config(context)["model"]


def image_size(shape: list[int]) -> tuple[int, int]:
    """Return height and width of ``--shape``.

    Raises:
        LussError: if it is neither one nor two positive numbers.
    """
    from luss.errors import LussError

    if len(shape) > 2 or min(shape) < 1:
        raise LussError(f"--shape is {shape}, expected one or two numbers of at least 1")
    return shape[0], shape[-1]


def in_units(count: int) -> str:
    """Format a number with three digits and a unit (k, M, G)."""
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return str(count)
