"""Pictures of photos, predictions and truths, drawn after a test."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import barrier, is_main_process
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from luss.errors import LussError, shorten
from luss.evaluation.dump_masks import DumpMasks
from luss.evaluation.matching import read_match
from luss.evaluation.segmentation_metric import SegmentationMetric
from luss.files import atomic_write, create_output_folder
from luss.ranks import fail_together
from luss.registry import HOOKS
from luss.visualization.colours import Legend, generated_legend, true_legend
from luss.visualization.gallery import evenly_spaced
from luss.visualization.overlay import overlay, resize_ids
from luss.visualization.pictures import read_fitting_mask, read_thumbnail

__all__ = ["PredictionPicturesHook", "side_by_side"]

_MOST_CATEGORIES = 999
_GAP, _STRIP, _LETTERS = 4, 22, 13
"""Pixels between panels, of the captions' strip, and of its letters."""
_NAMED = 3
"""Names of categories in a caption, the largest first."""


@HOOKS.register_module()
class PredictionPicturesHook(Hook):
    """Hook of ``tools/test.py --show-dir`` that draws photo, prediction and truth side by side.

    Predictions of ``DumpMasks`` are read after the metrics of their split, so generated categories
    have the colours of their matched true classes. 'Other' is grey; ignored pixels are hatched.

    Args:
        folder: of ``<split>/<image id>.png``; by default the pictures go to the runner's
            visualizer, and so to its back ends, such as TensorBoard.
        max_photos: of each split, evenly spaced; by default all.
        longest: longer side of each panel, in pixels; small photos are enlarged threefold at most.
    """

    priority = "LOW"

    def __init__(
        self,
        folder: str | os.PathLike | None = None,
        max_photos: int | None = None,
        longest: int = 512,
    ) -> None:
        for name, value in (("max_photos", max_photos), ("longest", longest)):
            if value is not None and value < 1:
                raise LussError(f"PredictionPicturesHook: {name} is {value}, expected 1 or more")
        self.folder = None if folder is None else Path(folder)
        self.max_photos = max_photos
        self.longest = longest
        self._metric: SegmentationMetric | None = None

    def before_test_epoch(self, runner: Runner) -> None:
        """Check that the test writes predictions.

        Raises:
            LussError: if ``DumpMasks`` is missing.
        """
        if _of_kind(runner, DumpMasks) is None:
            raise LussError(
                "PredictionPicturesHook needs the predictions of DumpMasks, which is missing in "
                "the metrics. Add dict(type='DumpMasks', folder=...) to test_evaluator"
            )

    def after_test_epoch(self, runner: Runner, metrics: Mapping[str, float] | None = None) -> None:
        """Draw the photos of the tested split.

        Args:
            runner: the runner.
            metrics: not used.

        Raises:
            LussError: on all ranks, if a photo or a mask cannot be read.
        """
        # Wait until all ranks have written their predictions.
        barrier()
        with fail_together():
            if is_main_process():
                self._draw(runner)

    def _draw(self, runner: Runner) -> None:
        dataset = runner.test_loop.dataloader.dataset
        predictions = _of_kind(runner, DumpMasks).folder
        split = predictions.name
        # Validation comes first, and its match is used for splits without masks.
        self._metric = _of_kind(runner, SegmentationMetric) or self._metric
        true = true_legend(dataset.metainfo)
        predicted = self._legend_of_predictions(true)
        chosen = evenly_spaced(len(dataset), self.max_photos or len(dataset))
        for index in chosen.tolist():
            item = dataset.get_data_info(index)
            name = item["image_id"]
            picture = self._picture(item, predictions / f"{name}.png", predicted, true)
            if self.folder is None:
                flat = f"{split}_{name}".replace("/", "_")
                runner.visualizer.add_image(flat, picture, step=runner.iter)
                continue
            create_output_folder(self.folder)
            path = self.folder / split / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(path) as file:
                Image.fromarray(picture).save(file, format="PNG")
        where = "the visualizer" if self.folder is None else self.folder / split
        print_log(f"{len(chosen)} of {len(dataset)} photos of {split} drawn to {where}", "current")

    def _legend_of_predictions(self, true: Legend) -> Legend:
        metric = self._metric
        if metric is None:
            return generated_legend(_MOST_CATEGORIES, None, true)
        if metric.source is None:
            return true
        source = metric.source
        match = source.given(_MOST_CATEGORIES)
        if match is None and source.match_file is not None:
            match = read_match(source.match_file)
        return generated_legend(metric.num_generated or _MOST_CATEGORIES, match, true)

    def _picture(
        self, item: Mapping[str, Any], prediction: Path, predicted: Legend, true: Legend
    ) -> NDArray[np.uint8]:
        photo, full = read_thumbnail(item, self.longest)
        panels, captions = [photo], [str(item["image_id"])]
        masks: list[tuple[str, Mapping[str, Any], Legend]] = [
            ("prediction", {"seg_map_path": prediction}, predicted)
        ]
        if item.get("seg_map_path"):
            masks.append(("truth", item, true))
        for what, mask, legend in masks:
            ids = resize_ids(read_fitting_mask(mask, full), photo.shape[:2])
            panels.append(overlay(photo, ids, legend.colours, legend.ignore, legend.unmatched))
            captions.append(f"{what}: {_names(ids, legend)}")
        return side_by_side(panels, captions)


def side_by_side(panels: Sequence[NDArray[np.uint8]], captions: Sequence[str]) -> NDArray[np.uint8]:
    """Join pictures of equal size with truncated captions below.

    Args:
        panels: (h, w, 3) uint8 RGB each.
        captions: one per panel.

    Returns:
        (h + 22, n * w + (n - 1) * 4, 3) uint8 RGB.
    """
    height, width = panels[0].shape[:2]
    across = len(panels) * (width + _GAP) - _GAP
    joined = Image.new("RGB", (across, height + _STRIP), "white")
    font = ImageFont.load_default(size=_LETTERS)
    for place, (panel, caption) in enumerate(zip(panels, captions, strict=True)):
        strip = Image.new("RGB", (width, _STRIP), "white")
        ImageDraw.Draw(strip).text((2, 2), caption, fill="black", font=font)
        joined.paste(Image.fromarray(panel), (place * (width + _GAP), 0))
        joined.paste(strip, (place * (width + _GAP), height))
    return np.asarray(joined)


def _names(ids: NDArray[np.integer], legend: Legend) -> str:
    found, pixels = np.unique(ids[(ids != 0) & (ids != legend.ignore)], return_counts=True)
    largest = found[np.argsort(-pixels, kind="stable")].tolist()
    return shorten(map(legend.name, largest), _NAMED) or "other"


def _of_kind(runner: Runner, kind: type) -> Any:
    """Return the first metric of a class in the tested split's evaluator, or None."""
    metrics = runner.test_loop.evaluator.metrics
    return next((metric for metric in metrics if isinstance(metric, kind)), None)
