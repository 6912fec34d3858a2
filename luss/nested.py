"""Walks over nested configs: dicts, lists and tuples of plain values."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = ["dicts_in", "replaced"]


def dicts_in(config: Any) -> Iterator[Mapping[str, Any]]:
    """Yield all dicts of a nested config, outer ones before those that they contain."""
    if isinstance(config, Mapping):
        yield config
        config = list(config.values())
    if isinstance(config, list | tuple):
        for entry in config:
            yield from dicts_in(entry)


def replaced(config: Any, change: Callable[[Any], Any]) -> Any:
    """Return a copy of a nested config in which ``change`` has replaced dicts and sequences.

    Args:
        config: of anything, however nested; it stays as it is.
        change: from a new dict, list or tuple, whose content is already replaced, to its
            replacement. It may modify and return its argument.
    """
    if isinstance(config, Mapping):
        return change({key: replaced(value, change) for key, value in config.items()})
    if isinstance(config, list | tuple):
        entries = [replaced(entry, change) for entry in config]
        # Of the same type: callers compare the result with the config.
        return change(entries if isinstance(config, list) else tuple(entries))
    return config
