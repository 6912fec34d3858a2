"""Predictions of whole splits: written as masks and, where there is a truth, counted."""

from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from mmengine.model import BaseModel
from torch.utils.data import Dataset

from luss.datasets.mask_codec import write_mask
from luss.evaluation.counting import count_image
from luss.evaluation.counts import Counts
from luss.evaluation.folders import FolderPair, count_masks
from luss.evaluation.metrics import to_percent
from luss.evaluation.results import Results
from luss.pipeline.context import Context
from luss.pipeline.inference import own_share, stream, summed_over_ranks
from luss.ranks import fail_together
from luss.structures.batches import of_one_size

__all__ = [
    "WHOLE_IMAGE",
    "evaluation_set",
    "evaluation_splits",
    "matched_counts",
    "metrics_by_split",
    "predict_split",
    "segment",
]

WHOLE_IMAGE: list[dict] = [
    {"type": "LoadRGBImage"},
    {"type": "LoadMask", "optional": True},
    {"type": "ResizeShortSide", "size": 256},
    {"type": "PackInputs"},
]
"""Short side 256, the whole image, the mask at its own size."""

Predict = Callable[[list[dict]], Sequence[np.ndarray]]
"""From packed items whose inputs have one size to their (H, W) ids at the original sizes."""


def evaluation_splits(context: Context) -> list[str]:
    """Splits to predict: those with masks, validation first, then those without.

    The masks of ImageNet-S's test split are not public; its predictions can be submitted. Empty
    if no split has masks.
    """
    with_masks = context.splits_with_masks
    if not with_masks:
        return []
    root = Path(context.data["data_root"])
    without = [
        split
        for split in ("validation", "test")
        if split not in with_masks and (root / split).is_dir()
    ]
    return with_masks + without


def evaluation_set(context: Context, split: str, pipeline: list[dict]) -> Dataset:
    """Build the data set of a split; where anything is measured, no image may fail.

    Raises:
        LussError: if images are missing, or masks of a split that has some.
    """
    strict = {
        "require_masks": split in context.splits_with_masks,
        "on_unreadable": "skip" if split == "train" else "fail",
    }
    if not context.has_splits:
        strict.pop("require_masks")
    return context.dataset({"split": split, "pipeline": pipeline, **strict})


def predict_split(
    context: Context,
    split: str,
    predict: Predict,
    folder: Path,
    *,
    pipeline: list[dict],
    num_generated: int,
    boundary: bool = True,
    batch_size: int = 1,
) -> Counts | None:
    """Write ``<folder>/<image id>.png`` for every image, each rank its share, and count them.

    Args:
        context: of the run.
        split: to predict.
        predict: see ``Predict``.
        folder: of the masks.
        pipeline: ends with ``PackInputs``.
        num_generated: G, the largest id that ``predict`` gives.
        boundary: whether to count boundaries.
        batch_size: images that are loaded together; those of one size are predicted together.

    Returns:
        Counts over generated ids of all ranks; None if the split has no masks.

    Raises:
        LussError: on all ranks, if an image of any of them cannot be read or counted.
    """
    with_masks = split in context.splits_with_masks
    dataset = evaluation_set(context, split, pipeline)
    classes = context.num_true_classes if with_masks else 0
    counts = Counts.zeros(classes, num_generated, boundary) if with_masks else None
    share = own_share(len(dataset))
    batches = stream(dataset, share, batch_size, context.num_workers, f"{split} predictions")
    with fail_together():
        for group in chain.from_iterable(map(of_one_size, batches)):
            for item, ids in zip(group, predict(group), strict=True):
                sample = item["data_samples"]
                write_mask(folder / f"{sample.image_id}.png", ids)
                if counts is not None:
                    truth = sample.gt_sem_seg.data[0].cpu().numpy()
                    counts.add(count_image(ids, truth, classes, num_generated, boundary))
    return summed_over_ranks(counts) if with_masks else None


def segment(model: BaseModel) -> Predict:
    """How a segmentor predicts, as ``predict_split`` wants it."""

    @torch.no_grad()
    def predict(items: list[dict]) -> list[np.ndarray]:
        batch = {
            "inputs": [item["inputs"] for item in items],
            "data_samples": [item["data_samples"] for item in items],
        }
        return [sample.pred_sem_seg.data[0].cpu().numpy() for sample in model.test_step(batch)]

    return predict


def matched_counts(
    context: Context, split: str, folder: Path, counts: Counts, match: np.ndarray
) -> Counts:
    """Counts over true ids: by arithmetic, or by reading the predictions again.

    They are read again where the match joins generated ids, as when there are more of them than
    true classes (table 6): their boundaries and largest regions are then others.

    Args:
        context: of the run.
        split: that was predicted.
        folder: of its predictions.
        counts: over generated ids.
        match: (G+1,) true ids.

    Raises:
        LussError: on all ranks, if files of any of them do not fit.
    """
    if counts.can_match(match):
        return counts.matched(match)
    dataset = evaluation_set(context, split, [])
    pair = FolderPair({}, {})
    for index in own_share(len(dataset)):
        info = dataset.get_data_info(index)
        pair.predicted[info["image_id"]] = folder / f"{info['image_id']}.png"
        pair.true[info["image_id"]] = Path(info["seg_map_path"])
    with fail_together():
        found, problems = count_masks(
            pair, counts.num_classes, match=match, boundary=counts.boundary
        )
    summed_over_ranks(problems).refuse(f"the predictions in {folder} cannot be counted")
    return summed_over_ranks(found)


def metrics_by_split(
    counts: dict[str, Counts], metrics: Callable[[Counts], dict[str, float]]
) -> Results:
    """Metrics in percent (None where undefined) by split, validation as 'val'.

    Args:
        counts: of true ids, by split.
        metrics: see :func:`luss.evaluation.named_metrics`.
    """
    return {
        {"validation": "val"}.get(split, split): to_percent(metrics(of_split))
        for split, of_split in counts.items()
    }
