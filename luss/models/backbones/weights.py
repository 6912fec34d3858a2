"""Weights in a config: a path, or a dict with the layout of the file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luss.errors import LussError, nearest
from luss.models.backbones.layouts import LAYOUTS, UNNAMED, Layout

__all__ = ["WeightsEntry", "weights_entry"]


@dataclass(frozen=True)
class WeightsEntry:
    """File of a checkpoint and layout of its tensor names.

    Attributes:
        file: local path of the checkpoint.
        layout: one of ``LAYOUTS``; None for names as in luss, with further layers, which are
            ignored.
        key: of the file's dict that contains the tensors; by default the layout's.
        prefix: prefix of the module's names, with or without a final dot; by default the layout's
            prefix that matches most of the module's tensors.
        rename: renames after the layout's, (regular expression, replacement) pairs.
        ignore: regular expressions; tensors of the file whose names, without the prefix, match one
            of them are ignored.
        allow_missing: regular expressions; tensors of the module whose names match one of them keep
            their initial values if the file lacks them.
    """

    file: str
    layout: str | None = None
    key: str | None = None
    prefix: str | None = None
    rename: tuple[tuple[str, str], ...] = ()
    ignore: tuple[str, ...] = ()
    allow_missing: tuple[str, ...] = ()

    @classmethod
    def parse(cls, value: object, where: str) -> "WeightsEntry":
        """Parse a path, or a dict of these attributes.

        Args:
            value: from a config.
            where: its place, for messages.

        Raises:
            LussError: if an attribute is unknown or invalid.
        """
        settings: dict[str, Any] = dict(value) if isinstance(value, Mapping) else {"file": value}
        known = list(cls.__dataclass_fields__)
        if unknown := [key for key in settings if key not in known]:
            raise LussError(
                f"{where}.{unknown[0]} is not a setting{nearest(unknown[0], known)} Known are: "
                f"{', '.join(known)}"
            )
        if not settings.get("file"):
            raise LussError(f"{where} has no file; set it to the path of a checkpoint")
        settings["file"] = str(settings["file"])
        if "://" in settings["file"]:
            raise LussError(
                f"{where}: weights {settings['file']} are a URL, expected a path; download the "
                "file and give its path"
            )
        if settings.get("layout") not in (None, *LAYOUTS):
            raise LussError(
                f"{where}.layout is {settings['layout']!r}; known are: {', '.join(LAYOUTS)}"
            )
        rename = settings.get("rename", ())
        pairs = [*(rename.items() if isinstance(rename, Mapping) else rename)]
        for pair in pairs:
            try:
                pattern, _ = pair
                re.compile(pattern)
            except (TypeError, ValueError, re.error) as error:
                raise LussError(
                    f"{where}.rename has {pair!r}, expected a regular expression and its "
                    f"replacement: {error}"
                ) from error
        settings["rename"] = tuple((pattern, text) for pattern, text in pairs)
        for key in ("ignore", "allow_missing"):
            patterns = settings.get(key, ())
            settings[key] = tuple([patterns] if isinstance(patterns, str) else patterns)
            for pattern in settings[key]:
                try:
                    re.compile(pattern)
                except (TypeError, re.error) as error:
                    raise LussError(
                        f"{where}.{key} has {pattern!r}, expected a regular expression: {error}"
                    ) from error
        return cls(**settings)

    @property
    def path(self) -> Path:
        """Return the file's path, with ``~`` expanded."""
        return Path(self.file).expanduser()

    @property
    def rules(self) -> Layout:
        """Return the layout; without one, that of files with names as in luss."""
        return LAYOUTS[self.layout] if self.layout else UNNAMED


def weights_entry(value: str | Mapping | None) -> str | dict | None:
    """Return weights as a path or one dict; None if no file is named.

    Args:
        value: a path, or a dict as :class:`WeightsEntry`, whose ``file`` may be such a dict again:
            a reference to weights that are set elsewhere, with its own settings.
    """
    if not isinstance(value, Mapping):
        return value or None
    inner = weights_entry(value.get("file"))
    if inner is None:
        return None
    inner = inner if isinstance(inner, dict) else {"file": inner}
    return {**inner, **{key: entry for key, entry in value.items() if key != "file"}}
