"""Missing settings of mmseg's heads, derived from backbone and labels."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from luss.datasets.mask_codec import IGNORE_ID
from luss.errors import LussError
from luss.models.backbones.probing import StageInfo
from luss.models.backbones.widths import fill_head_widths

__all__ = ["clear_index_errors", "fill_head"]


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
