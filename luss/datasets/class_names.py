"""Names of the classes in masks that no folders name."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from luss.datasets.mask_codec import IGNORE_ID, MaskEncoding
from luss.datasets.palette import make_palette
from luss.datasets.photo_listing import shown
from luss.errors import LussError

__all__ = ["CLASSES_FILE", "find_class_names", "metainfo_of", "refuse_missing_masks"]

CLASSES_FILE = "classes.txt"


def find_class_names(
    root: str | os.PathLike,
    given: Iterable[str] | None,
    encoding: MaskEncoding,
    default: tuple[str, ...] | None = None,
) -> tuple[str, ...]:
    """Names of the classes 1..C: those given, or the lines of ``classes.txt``, or the default.

    Args:
        root: the folder that may hold ``classes.txt``, a name a line, without 'other'.
        given: names, from a config.
        encoding: of the masks; ``index`` has room for 254 classes.
        default: names to take otherwise.

    Raises:
        LussError: if there are none, two of one name, or too many.
    """
    path = Path(root, CLASSES_FILE)
    if given is not None and not isinstance(given, str):
        names, source = tuple(map(str, given)), "data.classes"
    elif given is not None:
        raise LussError(f"data.classes is {given!r}, expected a list of names")
    elif path.is_file():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise LussError(f"cannot read the names of classes in {path}: {error}") from error
        names, source = tuple(line.strip() for line in lines if line.strip()), str(path)
    elif default is not None:
        return default
    else:
        raise LussError(
            f"nothing names the classes in the masks of {root}; write their names into {path}, one "
            "a line, from class 1 on, or give data.classes=[...]"
        )
    most = IGNORE_ID - 1 if encoding == "rgb" else 254
    if not names or len(set(names)) < len(names) or len(names) > most:
        raise LussError(
            f"{source} holds {len(names)} names of classes, {len(set(names))} of them different; "
            f"expected 1 to {most} different names for masks encoded as {encoding!r}"
        )
    return names


def metainfo_of(classes: tuple[str, ...], more: Mapping[str, Any] | None) -> dict[str, Any]:
    """MMEngine's metainfo: names and colours of 'other' and the classes, and what is given."""
    described = {"classes": ("other", *classes), "palette": make_palette(len(classes))}
    return {**described, **(more or {})}


def refuse_missing_masks(items: list[dict[str, Any]], masks: Path, split: str) -> None:
    """Refuse items without ``seg_map_path``.

    Raises:
        LussError: naming up to ten masks that are missing.
    """
    bare = [f"{item['image_id']}.png" for item in items if "seg_map_path" not in item]
    if bare:
        raise LussError(
            f"{len(bare)} of {len(items)} images of {split!r} have no mask in {masks}: "
            f"{shown(bare)}"
        )
