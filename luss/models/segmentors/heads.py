"""Missing settings of mmseg's heads, derived from backbone and labels."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from luss.datasets.mask_codec import IGNORE_ID
from luss.errors import LussError
from luss.models.backbones.probing import StageInfo
from luss.models.backbones.widths import fill_head_widths

__all__ = ["clear_index_errors", "fill_head", "fill_num_classes"]

_HEADS = ("decode_head", "auxiliary_head")


@contextmanager
def clear_index_errors(where: str) -> Iterator[None]:
    """Replace mmseg's assertions on ``in_index``, which have no message, by a clear error.

    Args:
        where: the head's place, for messages.

    Raises:
        LussError: instead of such an assertion.
    """
    try:
        yield
    except AssertionError as error:
        if str(error):
            raise
        raise LussError(
            f"{where} does not accept the type of its in_index; set a list, in_index=[0, 1, 2, 3], "
            "for heads that join several maps, such as UPerHead and SegformerHead, and an int for "
            "other heads"
        ) from error


def fill_head(config: Mapping, found: Sequence[StageInfo], where: str) -> dict:
    """Set the channels of a head's maps and the masks' ignored id in its config.

    Args:
        config: of one head.
        found: the feature maps it reads.
        where: its place, for messages.

    Raises:
        LussError: if it expects other maps, or ignores another id.
    """
    if config.get("ignore_index", IGNORE_ID) != IGNORE_ID:
        raise LussError(
            f"{where} has ignore_index={config['ignore_index']}, but ignored pixels of masks have "
            f"the id {IGNORE_ID}; remove ignore_index"
        )
    return {**fill_head_widths(config, found, where), "ignore_index": IGNORE_ID}


def fill_num_classes(model: Mapping, num_classes: int, where: str) -> dict:
    """Set the number of classes of all heads in a segmentor's config.

    Args:
        model: with ``decode_head`` and optionally ``auxiliary_head``, each a config or a list.
        num_classes: including 'other'.
        where: the model's place, for messages.

    Raises:
        LussError: if there is no decode head, or a head has another number of classes.
    """
    if "decode_head" not in model:
        raise LussError(f"{where} has no 'decode_head'; add one, such as dict(type='PassHead')")

    def filled(head: Any, place: str) -> Any:
        if isinstance(head, list | tuple):
            return [filled(entry, f"{place}.{index}") for index, entry in enumerate(head)]
        if not isinstance(head, Mapping):
            return head
        if head.get("num_classes", num_classes) != num_classes:
            raise LussError(
                f"{place}.num_classes is {head['num_classes']}, but the labels have {num_classes} "
                "classes including 'other'; remove num_classes"
            )
        return {**head, "num_classes": num_classes}

    return {
        **model,
        **{key: filled(model[key], f"{where}.{key}") for key in _HEADS if key in model},
    }
