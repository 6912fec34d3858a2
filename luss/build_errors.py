"""Errors of building components from configs, with the known names."""

import contextlib
import inspect
import logging
import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from mmengine.logging import print_log
from mmengine.registry import Registry

import luss.registry
from luss.errors import LussError, nearest

__all__ = ["clear_build_errors", "named_functions", "require_known"]

_UNKNOWN = re.compile(r"(\S+) is not in the (\S+)::(.+?) registry")
_MOST_LISTED = 40


@contextlib.contextmanager
def clear_build_errors(where: str) -> Iterator[None]:
    """Turn errors of building from a config into a `LussError` that names the setting.

    Args:
        where: place in the config, for messages.

    Raises:
        LussError: if a type is not registered (with the known ones), or a component rejects an
            argument.
    """
    try:
        yield
    except KeyError as error:
        match = _UNKNOWN.search(str(error))
        if match is None:
            raise
        name, _, kind = match.groups()
        raise LussError(_unknown(name.strip("'\""), _registry(kind), kind, where)) from error
    except (TypeError, ValueError, AssertionError) as error:
        # The traceback is for the component's developer; users need only the message.
        print_log(traceback.format_exc(), "current", level=logging.DEBUG)
        reason = " ".join(str(error).split()) or type(error).__name__
        raise LussError(f"{where}: {reason}; correct this setting in the config") from error


def require_known(config: dict, registry: Registry, where: str) -> None:
    """Check that the type of a config is registered, without building it.

    Args:
        config: with ``type``, a name or a class.
        registry: that must contain the type.
        where: its place, for the message.

    Raises:
        LussError: if ``config`` is not a dict, or its type is missing or unknown.
    """
    if not isinstance(config, Mapping):
        raise LussError(f"{where} is {config!r}, expected a dict with 'type' and settings")
    kind = config.get("type")
    if kind is None:
        raise LussError(f"{where} has no 'type'; set it to one of: {_listing(registry)}")
    if isinstance(kind, str) and registry.get(kind) is None:
        raise LussError(_unknown(kind, registry, registry.name, where))


def named_functions(
    entries: Sequence[str | dict], registry: Registry, where: str
) -> list[tuple[str, Callable]]:
    """Return functions of a registry, with the keyword arguments of a config bound.

    Args:
        entries: names, or ``dict(type=NAME, ...)`` with keyword arguments.
        registry: of functions with one positional argument.
        where: the setting's place, for messages.

    Returns:
        Names and functions of one argument, in order.

    Raises:
        LussError: if ``entries`` is not a list or empty, or a name or argument is unknown.
    """
    if isinstance(entries, str) or not isinstance(entries, Sequence) or not entries:
        example = _names(registry)[0]
        raise LussError(f"{where} is {entries!r}, expected a list of names such as {example}")
    return [_named_function(entry, registry, where) for entry in entries]


def _named_function(entry: str | dict, registry: Registry, where: str) -> tuple[str, Callable]:
    arguments = {"type": entry} if isinstance(entry, str) else dict(entry)
    name = arguments.pop("type", None)
    function = registry.get(name) if isinstance(name, str) else None
    if name is None or function is None:
        raise LussError(
            f"{where}: there is no {registry.name} {name!r}; known are: {_listing(registry)}"
        )
    try:
        inspect.signature(function).bind(None, **arguments)
    except TypeError as error:
        raise LussError(
            f"{where}: wrong arguments for the {registry.name} {name!r}: {error}"
        ) from error
    return name, partial(function, **arguments)


def _unknown(name: str, registry: Registry | None, kind: str, where: str) -> str:
    text = f"{where}: there is no {kind} {name!r}"
    if registry is None:
        return text
    if scoped := _scoped(name, registry):
        return f"{text} in luss or MMEngine, but there is {' and '.join(scoped)}; add the scope"
    return (
        f"{text}{nearest(name, _names(registry))} Known are: {_listing(registry)}; add the scope "
        "to names of other libraries, such as mmseg.FCNHead"
    )


def _scoped(name: str, registry: Registry) -> list[str]:
    """Return the name with the scope of each library that registers it."""
    libraries = registry.parent.children.values() if registry.parent else ()
    return sorted(
        f"{library.scope}.{name}"
        for library in libraries
        if library is not registry and name in _own_names(library)
    )


def _registry(kind: str) -> Registry | None:
    return next(
        (
            value
            for value in vars(luss.registry).values()
            if isinstance(value, Registry) and value.name == kind
        ),
        None,
    )


def _own_names(registry: Registry) -> list[str]:
    # Some libraries register locations that do not exist, such as mmselfsup.engine.runner.
    with contextlib.suppress(ModuleNotFoundError):
        registry.import_from_location()
    return sorted(registry.module_dict)


def _names(registry: Registry) -> list[str]:
    parent = registry.parent.module_dict if registry.parent else {}
    return sorted({*_own_names(registry), *parent})


def _listing(registry: Registry) -> str:
    """List the known names of luss, and those of MMEngine unless there are too many."""
    known = _names(registry)
    if len(known) <= _MOST_LISTED:
        return ", ".join(known)
    own = _own_names(registry)
    return f"{', '.join(own)} and {len(known) - len(own)} of MMEngine"
