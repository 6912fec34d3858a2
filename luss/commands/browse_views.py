"""``luss browse-views``: pictures of the views that a stage trains on."""

import argparse
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from luss.commands.stages_of_config import add_stage_arguments, chosen_stages, dry_pipeline
from luss.errors import LussError

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

__all__ = ["DESCRIPTION", "add_arguments", "run"]

DESCRIPTION = (
    "Draw the views that a stage trains on: the photo with the rectangles of its views, the views "
    "after colour augmentation, and matching points of the first two views."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the config, the stage, the photos to draw and the output folder."""
    add_stage_arguments(parser, "draw the views")
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of <stage>_<place>.png")
    parser.add_argument(
        "--photos", type=int, default=8, metavar="N", help="evenly spaced (default: 8)"
    )
    parser.add_argument(
        "--epoch", type=int, default=0, metavar="E", help="the views of this epoch (default: 0)"
    )
    parser.add_argument(
        "--plain", action="store_true", help="draw the views without colour augmentation"
    )


def run(args: argparse.Namespace) -> None:
    """Draw the pictures."""
    from luss.files import output_folder
    from luss.stages import TrainStage

    out = output_folder(args.out, "--out")
    if args.photos < 1 or args.epoch < 0:
        raise LussError(
            f"--photos is {args.photos} and --epoch {args.epoch}, expected at least 1 and 0"
        )
    pipeline, context = dry_pipeline(args)
    stages = chosen_stages(pipeline, args.stage, TrainStage, "training")
    drawn = [path for stage in stages for path in _draw_stage(stage, context, args, out)]
    if not drawn:
        names = ", ".join(repr(stage.name) for stage in stages)
        raise LussError(
            f"the data of {names} has no views with geometry: end the pipeline of its data set "
            "with MultiCrop and PackViews, or choose another --stage"
        )
    print(f"{len(drawn)} pictures written to {out}")


def _draw_stage(stage, context, args: argparse.Namespace, out: Path) -> Iterator[Path]:
    from mmengine.logging import print_log

    from luss.datasets.image_io import UnreadableImageError, read_image
    from luss.files import atomic_write, create_output_folder
    from luss.registry import MODELS
    from luss.stages.map_folders import without_map_loading
    from luss.visualization.gallery import evenly_spaced
    from luss.visualization.view_pictures import draw_views

    # Foreground maps may not exist yet, and views do not need them.
    config = without_map_loading(stage.unlabelled_dataset_config(context))
    dataset = context.dataset(config)
    preprocessor = MODELS.build(stage.model_config(context)["data_preprocessor"])
    for index in evenly_spaced(len(dataset), args.photos).tolist():
        info = dataset.get_data_info(index)
        try:
            photo = read_image(info["img_path"], info.get("upright", False))
        except UnreadableImageError as error:
            # The data set would return views of another photo.
            print_log(f"{error}; its views are not drawn", "current", logging.WARNING)
            continue
        item = dataset[args.epoch * len(dataset) + index]
        if "geometry" not in item:
            return
        views = _views(item["inputs"], preprocessor, (context.seed, args.epoch, index), args.plain)
        name = info.get("image_id", Path(info["img_path"]).stem)
        figure = draw_views(photo, views, item["geometry"], f"{name}, epoch {args.epoch}")
        path = out / f"{stage.name}_{index:05d}.png"
        create_output_folder(out)
        with atomic_write(path) as file:
            figure.savefig(file, format="png", dpi=110)
        yield path


def _views(
    inputs: Sequence, preprocessor: "nn.Module", entropy: tuple[int, ...], plain: bool
) -> list["np.ndarray"]:
    """Return views as (S, S, 3) uint8 RGB, without normalisation."""
    import torch

    from luss.datasets.reproducible import seeded

    if plain:
        return [view.permute(1, 2, 0).numpy() for view in inputs]
    with seeded(*entropy), torch.no_grad():
        prepared = preprocessor({"inputs": [view[None] for view in inputs]}, training=True)
    mean, std = preprocessor.mean.cpu(), preprocessor.std.cpu()
    shown = [(view[0].cpu() * std + mean).clamp(0, 1) * 255 for view in prepared["inputs"]]
    return [view.round().byte().permute(1, 2, 0).numpy() for view in shown]
