"""Draw the views that a stage trains on: rectangles in the photo, the views, matching points."""

import argparse
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.patches import ConnectionPatch, Rectangle
from mmengine.logging import print_log
from numpy.typing import NDArray
from torch import Tensor, nn

from luss.command_line import exit_cleanly
from luss.commands.stages_of_config import add_stage_arguments, chosen_stages, dry_pipeline
from luss.datasets.image_io import UnreadableImageError, read_image
from luss.datasets.reproducible import seeded
from luss.errors import LussError
from luss.files import atomic_write, create_output_folder, output_folder
from luss.pipeline import Context
from luss.pipeline.resolving import resolved_stage
from luss.registry import MODELS
from luss.stages import Train
from luss.stages.stand_ins import without_map_loading
from luss.structures import ViewGeometry, overlap_grids
from luss.visualization.gallery import evenly_spaced

__all__ = ["draw_views", "main", "matching_points"]

_POINTS = 3
"""Matching points a side."""
_COLUMNS = 6
"""Of small views in a row."""
_LARGE, _SMALL = 3.2, 1.4
"""Inches."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the pictures; see ``--help`` for the arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
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
    args = parser.parse_args(arguments)
    out = output_folder(args.out, "--out")
    if args.photos < 1 or args.epoch < 0:
        raise LussError(
            f"--photos is {args.photos} and --epoch {args.epoch}, expected at least 1 and 0"
        )
    pipeline, context = dry_pipeline(args)
    stages = chosen_stages(pipeline, args.stage, Train, "training")
    drawn = [path for stage in stages for path in _draw_stage(stage, context, args, out)]
    if not drawn:
        names = ", ".join(repr(stage.name) for stage in stages)
        raise LussError(
            f"the data of {names} has no views with geometry: end the pipeline of its data set "
            "with MultiCrop and PackViews, or choose another --stage"
        )
    print(f"{len(drawn)} pictures written to {out}")


def _draw_stage(
    stage: Train, context: Context, args: argparse.Namespace, out: Path
) -> Iterator[Path]:
    stage = resolved_stage(stage, context)
    # Foreground maps may not exist yet, and views do not need them.
    config = without_map_loading(stage.checked_dataset_config(context))
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
    inputs: Sequence[Tensor], preprocessor: nn.Module, entropy: tuple[int, ...], plain: bool
) -> list[NDArray[np.uint8]]:
    """Return views as (S, S, 3) uint8 RGB, without normalisation."""
    if plain:
        return [view.permute(1, 2, 0).numpy() for view in inputs]
    with seeded(*entropy), torch.no_grad():
        prepared = preprocessor({"inputs": [view[None] for view in inputs]}, training=True)
    mean, std = preprocessor.mean.cpu(), preprocessor.std.cpu()
    shown = [(view[0].cpu() * std + mean).clamp(0, 1) * 255 for view in prepared["inputs"]]
    return [view.round().byte().permute(1, 2, 0).numpy() for view in shown]


def matching_points(
    first: Tensor, second: Tensor, sizes: tuple[int, int], points: int = _POINTS
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return matching points of two views, as paired by P2P (section 4.2).

    Args:
        first: (5,) or (7,) float, packed geometry of a view, see :meth:`ViewGeometry.unpack`.
        second: that of another view of the same photo.
        sizes: side of the first and of the second view, in pixels.
        points: a side of the grid over the overlap.

    Returns:
        Two arrays (points ** 2, 2) of x and y in pixels of the first and of the second view, where
        0 is the left border of the first pixel; (0, 2) each if the views do not overlap.
    """
    views = [ViewGeometry.unpack(packed[None].double()) for packed in (first, second)]
    grids = overlap_grids(views[0], views[1], size=points)
    if grids[0].min() < -1.5:
        return np.empty((0, 2)), np.empty((0, 2))
    # The outermost points lie on the border of a view; grid_sample has -1 and 1 there.
    found = [((grid[0].reshape(-1, 2) + 1) / 2 * size).numpy()
             for grid, size in zip(grids, sizes, strict=True)]  # fmt: skip
    return found[0], found[1]


def draw_views(
    photo: NDArray[np.uint8],
    views: Sequence[NDArray[np.uint8]],
    geometry: Tensor,
    title: str = "",
) -> Figure:
    """Draw a photo with the rectangles of its views, the views, and lines between matching points.

    Args:
        photo: (H, W, 3) uint8 RGB.
        views: V arrays (S, S, 3) uint8 RGB; the first two are linked.
        geometry: (V, 5) or (V, 7) float, packed, in pixels of the photo.
        title: above all.
    """
    rest = range(2, len(views))
    rows = -(-len(rest) // _COLUMNS)
    size = (2.8 * _LARGE + 0.6, _LARGE + rows * (_SMALL + 0.25) + 0.5)
    figure = Figure(figsize=size, layout="constrained")
    upper, *lower = figure.subfigures(1 + (rows > 0), 1, squeeze=False,
                                      height_ratios=[_LARGE, rows * _SMALL][: 1 + (rows > 0)],
                                      )[:, 0]  # fmt: skip
    large = min(2, len(views))
    whole, *panels = upper.subplots(1, 1 + large, squeeze=False, gridspec_kw={"wspace": 0.15})[0]
    if lower:
        small = lower[0].subplots(rows, _COLUMNS, squeeze=False).ravel()
        panels.extend(small[: len(rest)])
        for panel in small[len(rest) :]:
            panel.set_axis_off()
    whole.imshow(photo)
    _without_ticks(whole)
    whole.set_title(f"photo, {photo.shape[1]} x {photo.shape[0]}", fontsize=9)
    for number, (panel, view) in enumerate(zip(panels, views, strict=True)):
        colour = f"C{number % 10}"
        left, top, width, height, flip = geometry[number, :5].tolist()
        # imshow has pixel centres at whole numbers.
        whole.add_patch(
            Rectangle((left - 0.5, top - 0.5), width, height, fill=False, color=colour, linewidth=2)
        )
        whole.text(left + 2, top + 2, str(number + 1), color="white", fontsize=8, va="top",
                   bbox={"facecolor": colour, "edgecolor": "none", "pad": 1})  # fmt: skip
        panel.imshow(view)
        _without_ticks(panel, colour)
        mirrored = ", mirrored" if flip else ""
        panel.set_title(f"{number + 1}: {view.shape[1]} px{mirrored}", fontsize=9)
    if len(views) > 1:
        _link(upper, panels[:2], geometry, (len(views[0]), len(views[1])))
    figure.suptitle(title, parse_math=False)
    return figure


def _link(figure, panels, geometry: Tensor, sizes: tuple[int, int]) -> None:
    """Draw lines between the matching points of the first two views, one colour per point."""
    colours = colormaps["rainbow"](np.linspace(0, 1, _POINTS**2))
    points = matching_points(geometry[0], geometry[1], sizes)
    for colour, a, b in zip(colours, *points, strict=False):
        for panel, (x, y) in zip(panels, (a - 0.5, b - 0.5), strict=True):
            # Points on the border are not cut off.
            panel.plot(x, y, "o", color=colour, markeredgecolor="white", markersize=7,
                       clip_on=False, zorder=5)  # fmt: skip
        line = ConnectionPatch(a - 0.5, b - 0.5, "data", "data", axesA=panels[0], axesB=panels[1],
                               color=colour, linewidth=1.2, zorder=4)  # fmt: skip
        figure.add_artist(line)


def _without_ticks(panel, colour: str = "none") -> None:
    panel.set(xticks=[], yticks=[])
    for spine in panel.spines.values():
        spine.set(color=colour, linewidth=3)


if __name__ == "__main__":
    with exit_cleanly():
        main()
