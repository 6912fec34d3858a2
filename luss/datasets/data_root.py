"""What a folder of data is: each class of data sets looks at it and says."""

import os
from collections.abc import Iterator
from pathlib import Path

from luss.datasets.description import Recognition
from luss.errors import LussError
from luss.registry import DATASETS

__all__ = ["kind_of_data"]

_ANY_PHOTOS = "PhotoFolder"
"""Takes whatever photos there are, so that it is what a folder is that no class recognises."""


def kind_of_data(root: str | os.PathLike) -> str:
    """Tell by its folders what a data root is.

    Every registered class with a method ``recognises`` is asked, those of others too. A folder
    that none recognises is a photo folder.

    Args:
        root: the folder.

    Returns:
        The name of the data set.

    Raises:
        LussError: if it could be either of several.
    """
    root = Path(root)
    found = dict(_recognitions(root))
    if not found:
        return _ANY_PHOTOS
    kinds = ", or ".join(f"data.type={kind} to use {each.use}" for kind, each in found.items())
    signs = " and ".join(each.sign for each in found.values())
    if len(found) > 1:
        raise LussError(
            f"{root} has {signs}, so that it may be any of {', '.join(found)}. Say what it is: "
            f"add --cfg-options {kinds}"
        )
    [(kind, recognition)] = found.items()
    if recognition.doubt is None:
        return kind
    raise LussError(
        f"{root} has {signs}, but {recognition.doubt}. Say what it is: add --cfg-options "
        f"data.type={_ANY_PHOTOS} to use all photos in it without classes, or {kinds}"
    )


def _recognitions(root: Path) -> Iterator[tuple[str, Recognition]]:
    DATASETS.import_from_location()
    for name, kind in sorted(DATASETS.module_dict.items()):
        recognises = getattr(kind, "recognises", None)
        if recognises is not None and (recognition := recognises(root)) is not None:
            yield name, recognition
