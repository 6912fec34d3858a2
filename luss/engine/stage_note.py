"""``done.json``: record of a finished stage."""

from pathlib import Path, PurePath
from typing import Any

from luss.errors import LussError
from luss.files import read_json

__all__ = ["read_note"]


def read_note(path: Path) -> dict[str, Any]:
    """Read the record of a stage, and check the keys that other stages read.

    Args:
        path: of ``done.json``.

    Returns:
        The record. Its checked keys, all optional, are ``checkpoint``, a file name or None;
        ``outputs``, a dict of paths below the stage's folder; ``unlabelled``, a list of strings;
        ``classes``, a list of strings or None.

    Raises:
        LussError: if it is missing or damaged, or a value has a wrong type.
    """
    note = read_json(path)
    for key, (expected, accepts) in _KINDS.items():
        if key in note and not accepts(note[key]):
            raise LussError(
                f"{path} is damaged: {key!r} is {note[key]!r:.60}, expected {expected}; run the "
                "same training with --resume to write it again"
            )
    return note


def _are_texts(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_below(value: object) -> bool:
    if not isinstance(value, str) or not value:
        return False
    path = PurePath(value)
    return not path.is_absolute() and ".." not in path.parts


def _is_file_name(value: object) -> bool:
    return isinstance(value, str) and _is_below(value) and PurePath(value).name == value


_KINDS = {
    # A protocol without a checkpoint or masks has None.
    "checkpoint": ("a file name", lambda value: value is None or _is_file_name(value)),
    "outputs": (
        "an object of paths below that folder",
        lambda value: isinstance(value, dict) and all(map(_is_below, value.values())),
    ),
    "unlabelled": ("a list of strings", _are_texts),
    "classes": ("a list of strings", lambda value: value is None or _are_texts(value)),
}
