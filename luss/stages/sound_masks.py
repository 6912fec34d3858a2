"""True masks are looked through before anything is trained on photos or measured with them."""

from mmengine.dist import is_main_process

from luss.datasets.mask_check import check_masks
from luss.engine.progress import Progress
from luss.errors import LussError
from luss.pipeline.context import Context
from luss.pipeline.work_dir import main_process_decides

__all__ = ["require_sound_masks"]


def require_sound_masks(context: Context, split: str) -> None:
    """Check all masks of a split, once in a run and on the main process alone.

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
            check_masks(dataset, progress.advance)
        except LussError as error:
            fault = f"{split}: {error}"
    if fault := main_process_decides(fault):
        raise LussError(fault)
    context.splits_checked.add(split)
