"""Names of classes for data sets without class folders."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from luss.datasets.mask_codec import IGNORE_ID, MaskEncoding
from luss.datasets.palette import make_palette
from luss.errors import LussError, shorten

__all__ = ["CLASSES_FILE", "find_class_names", "metainfo_of", "require_masks_for"]

CLASSES_FILE = "classes.txt"


def find_class_names(
    root: str | os.PathLike,
    given: Iterable[str] | None,
    encoding: MaskEncoding,
    default: tuple[str, ...] | None = None,
) -> tuple[str, ...]:
    """Return the names of classes 1..C: ``given``, else lines of ``classes.txt``, else ``default``.

    Args:
        root: folder that may contain ``classes.txt``, one name per line, without 'other'.
        given: names from a config.
        encoding: encoding of the masks; ``index`` allows at most 254 classes.
        default: names to use if the others are missing.

    Raises:
        LussError: if there are no names, duplicate names, or too many.
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
            f"the masks in {root} have no class names. Write the names into {path}, one per line, "
            "starting with class 1, or set data.classes=[...]"
        )
    most = IGNORE_ID - 1 if encoding == "rgb" else 254
    if not names or len(set(names)) < len(names) or len(names) > most:
        raise LussError(
            f"{source} contains {len(names)} class names, {len(set(names))} of them different. "
            f"Expected 1 to {most} different names for masks with encoding {encoding!r}"
        )
    return names


def metainfo_of(classes: tuple[str, ...], more: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return MMEngine's metainfo: names and colours of 'other' and the classes, then ``more``."""
    described = {"classes": ("other", *classes), "palette": make_palette(len(classes))}
    return {**described, **(more or {})}


def require_masks_for(items: list[dict[str, Any]], masks: Path, split: str) -> None:
    """Raise an error that lists up to ten missing masks if an item has no ``seg_map_path``."""
    if not masks.is_dir():
        raise LussError(
            f"the folder {masks} with the masks of {split!r} is missing. Add it, or set "
            "require_masks=False"
        )
    bare = [f"{item['image_id']}.png" for item in items if "seg_map_path" not in item]
    if bare:
        raise LussError(
            f"{len(bare)} of {len(items)} images of {split!r} have no mask in {masks}: "
            f"{shorten(bare)}"
        )
