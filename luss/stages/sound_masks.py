"""Check true masks, and some photos, before anything is trained on or measured with them."""

import logging

from mmengine.dist import is_main_process
from mmengine.logging import print_log

from luss.datasets.mask_check import check_masks, mask_doubts
from luss.datasets.photo_check import quick_doubts
from luss.engine.progress import Progress
from luss.errors import LussError
from luss.pipeline.context import Context
from luss.pipeline.work_dir import main_process_decides

__all__ = ["require_sound_masks", "warn_of_photos"]


def require_sound_masks(context: Context, split: str) -> None:
    """Check all masks of a split, once in a run and only on the main process.

    What can be read but looks wrong is a warning.

    Args:
        context: of the run.
        split: with masks.

    Raises:
        LussError: on every process, as ``check_masks``, and if an image has no mask.
    """
    if split in context.splits_checked:
        return
    dataset = context.dataset({"split": split, "pipeline": [], "require_masks": True})
    fault = None
    if is_main_process():
        progress = Progress(len(dataset), f"checking the masks of {split}")
        try:
            tally = check_masks(dataset, progress.advance)
        except LussError as error:
            fault = f"{split}: {error}"
        else:
            _warn(split, mask_doubts(dataset, tally))
    if fault := main_process_decides(fault):
        raise LussError(fault)
    context.splits_checked.add(split)


def warn_of_photos(context: Context, dataset: dict) -> None:
    """Warn of what is doubtful about photos to train on, once in a run.

    Args:
        context: of the run.
        dataset: config of the training set.
    """
    if context.photos_checked:
        return
    context.photos_checked = True
    known = context.description
    photos = context.dataset({**dataset, "pipeline": []})
    classes = known.classes if known.has_categories else None
    if is_main_process():
        _warn(dataset.get("split", "train"), quick_doubts(photos, classes))


def _warn(split: str, doubts: list[str]) -> None:
    for doubt in doubts:
        print_log(f"{split}: {doubt}", "current", level=logging.WARNING)
