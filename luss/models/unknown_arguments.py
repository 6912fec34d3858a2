"""Clear errors for misspelt arguments of components, with the nearest known name."""

import contextlib
import inspect
import re
from collections.abc import Iterator, Mapping
from typing import Any

from luss.errors import LussError, nearest
from luss.registry import MODELS

__all__ = ["arguments_of", "class_of", "clear_argument_errors"]

_UNEXPECTED = re.compile(r"got an unexpected keyword argument '(\w+)'")


def class_of(config: Mapping, scope: str | None = None) -> Any:
    """Return the class (or function) that a config's ``type`` names; None if there is none.

    Args:
        config: of a component.
        scope: library in which names without scope are looked up, such as ``mmselfsup``.
    """
    kind = config.get("type")
    if not isinstance(kind, str):
        return kind
    return MODELS.get(kind if scope is None or "." in kind else f"{scope}.{kind}")


def arguments_of(kind: Any) -> list[str]:
    """Return the names of a class's arguments, including those passed on to its parents."""
    inits = (
        [vars(parent).get("__init__") for parent in inspect.getmro(kind)]
        if inspect.isclass(kind)
        else [kind]
    )
    names: list[str] = []
    for function in filter(inspect.isfunction, inits):
        parameters = list(inspect.signature(function).parameters.values())
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        names += [one.name for one in parameters if one.kind in named and one.name != "self"]
        if all(one.kind is not inspect.Parameter.VAR_KEYWORD for one in parameters):
            break
    return list(dict.fromkeys(names))


@contextlib.contextmanager
def clear_argument_errors(config: Mapping, where: str, scope: str | None = None) -> Iterator[None]:
    """Replace the TypeError for an unknown argument in this config or below by a clear error.

    Args:
        config: of the component that is built, with ``type``.
        where: its place, for the message.
        scope: library in which names without scope are looked up.

    Raises:
        LussError: names the place, the class, the argument and the nearest known argument.
    """
    try:
        yield
    except TypeError as error:
        unknown = _UNEXPECTED.findall(str(error))
        # The innermost of nested errors is the last.
        place = _place_of(config, unknown[-1], where, scope) if unknown else None
        if place is None:
            raise
        path, kind, known = place
        raise LussError(
            f"{path}: {kind.__name__} has no setting {unknown[-1]!r}"
            f"{nearest(unknown[-1], known)} Known are: {', '.join(known)}"
        ) from error


def _place_of(
    config: Mapping, name: str, where: str, scope: str | None
) -> tuple[str, Any, list[str]] | None:
    """Find a setting that its class does not have: its place, the class and known settings."""
    kind = class_of(config, scope) if "type" in config else None
    if name in config and kind is not None and name not in (known := arguments_of(kind)):
        return where, kind, known
    for key, value in config.items():
        for part in value if isinstance(value, list | tuple) else [value]:
            if isinstance(part, Mapping) and (
                found := _place_of(part, name, f"{where}.{key}", scope)
            ):
                return found
    return None
