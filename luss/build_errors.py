"""Errors that list what a config could have named."""

import contextlib
import difflib
import inspect
import logging
import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from mmengine.logging import print_log
from mmengine.registry import Registry

import luss.registry
from luss.errors import LussError

__all__ = ["clear_build_errors", "named_functions", "require_known"]

_UNKNOWN = re.compile(r"(\S+) is not in the (\S+)::(.+?) registry")
_MOST_LISTED = 40


@contextlib.contextmanager
def clear_build_errors(where: str) -> Iterator[None]:
    """Turn errors of building from a config into ones that say what to correct.

    Args:
        where: what is being built, for messages.

    Raises:
        LussError: if a registry lacks a type, which then lists those it has, or a component does
            not take an argument or its value.
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
        # The trace is for the developer of a component; for its user the message says enough.
        print_log(traceback.format_exc(), "current", level=logging.DEBUG)
        reason = " ".join(str(error).split()) or type(error).__name__
        raise LussError(f"{where}: {reason}; correct this setting in the config") from error


def require_known(config: dict, registry: Registry, where: str) -> None:
    """Refuse a config whose type is not registered, before anything is built.

    Args:
        config: with ``type``, a name or a class.
        registry: where it is to be found.
        where: its place, for the message.

    Raises:
        LussError: listing what the registry has; or if it is no config at all.
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
    """Functions of a registry, with the arguments that a config gives them.

    Args:
        entries: names, or ``dict(type=NAME, ...)`` with arguments beside the first one.
        registry: of functions whose first argument is what they work on.
        where: the setting's place, for messages.

    Returns:
        Names and functions of one argument, in order.

    Raises:
        LussError: if the list is none or empty, a name unknown, or an argument not taken.
    """
    if isinstance(entries, str) or not isinstance(entries, Sequence) or not entries:
        example = _names(registry)[0]
        raise LussError(f"{where} is {entries!r}, expected a list of names such as {example}")
    return [_named_function(entry, registry, where) for entry in entries]


def _named_function(entry: str | dict, registry: Registry, where: str) -> tuple[str, Callable]:
    arguments = {"type": entry} if isinstance(entry, str) else dict(entry)
    name = arguments.pop("type", None)
    function = registry.get(name) if isinstance(name, str) else None
    if function is None:
        raise LussError(
            f"{where}: there is no {registry.name} {name!r}; known are: {_listing(registry)}"
        )
    try:
        inspect.signature(function).bind(None, **arguments)
    except TypeError as error:
        raise LussError(
            f"{where}: the {registry.name} {name!r} has other arguments: {error}"
        ) from error
    return name, partial(function, **arguments)


def _unknown(name: str, registry: Registry | None, kind: str, where: str) -> str:
    text = f"{where}: there is no {kind} {name!r}"
    if registry is None:
        return text
    if scoped := _scoped(name, registry):
        return f"{text} in luss or MMEngine, but there is {' and '.join(scoped)}; give its scope"
    close = difflib.get_close_matches(name, _names(registry), n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return (
        f"{text}{hint} Known are: {_listing(registry)}; those of other libraries are named with "
        "their scope, such as mmseg.FCNHead"
    )


def _scoped(name: str, registry: Registry) -> list[str]:
    """A name with the scope of each library that has it."""
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
    # Libraries name locations that they do not have, such as mmselfsup.engine.runner.
    with contextlib.suppress(ModuleNotFoundError):
        registry.import_from_location()
    return sorted(registry.module_dict)


def _names(registry: Registry) -> list[str]:
    parent = registry.parent.module_dict if registry.parent else {}
    return sorted({*_own_names(registry), *parent})


def _listing(registry: Registry) -> str:
    """Known names: those of luss, and those of MMEngine where they are few enough to be read."""
    known = _names(registry)
    if len(known) <= _MOST_LISTED:
        return ", ".join(known)
    own = _own_names(registry)
    return f"{', '.join(own)}, and {len(known) - len(own)} of MMEngine"
