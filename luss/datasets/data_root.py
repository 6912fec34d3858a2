"""Detection of the data set class that fits a folder."""

import os
from collections.abc import Iterator
from pathlib import Path

from luss.datasets.description import Recognition
from luss.errors import LussError
from luss.registry import DATASETS

__all__ = ["kind_of_data"]

_ANY_PHOTOS = "PhotoFolder"
"""Used for a folder that no other class recognises."""


def kind_of_data(root: str | os.PathLike) -> str:
    """Return the name of the data set class that recognises a data root.

    Calls ``recognises`` of every registered class that has it, third-party classes included. A
    folder that no class recognises is a ``PhotoFolder``.

    Args:
        root: the folder.

    Returns:
        The name of the class.

    Raises:
        LussError: if several classes fit, or if the class that fits is uncertain.
    """
    root = Path(root)
    found = dict(_recognitions(root))
    if not found:
        return _ANY_PHOTOS
    kinds = ", or ".join(f"data.type={kind} to use {each.use}" for kind, each in found.items())
    signs = " and ".join(each.sign for each in found.values())
    if len(found) > 1:
        raise LussError(
            f"{root} has {signs}, so it may be any of {', '.join(found)}. Choose one: "
            f"add --cfg-options {kinds}"
        )
    [(kind, recognition)] = found.items()
    if recognition.doubt is None:
        return kind
    raise LussError(
        f"{root} has {signs}, but {recognition.doubt}. Choose the type: add --cfg-options "
        f"data.type={_ANY_PHOTOS} to use all photos in it without classes, or {kinds}"
    )


def _recognitions(root: Path) -> Iterator[tuple[str, Recognition]]:
    DATASETS.import_from_location()
    for name, kind in sorted(DATASETS.module_dict.items()):
        recognises = getattr(kind, "recognises", None)
        if recognises is not None and (recognition := recognises(root)) is not None:
            yield name, recognition
