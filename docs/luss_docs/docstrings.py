"""Docstrings in Google's style as Markdown."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

__all__ = ["argument_texts", "as_markdown", "defaults_of", "signature_of", "summary"]

_SECTIONS = ("Args:", "Returns:", "Raises:", "Attributes:", "Yields:", "Example:", "Note:")
_LONGEST = 66
_ROLE = re.compile(r":(?:py:)?(class|func|meth|mod|attr|data|obj):`~?([^`]+)`")


def as_markdown(text: str) -> str:
    """Convert roles and literals of reStructuredText to MyST, on one line."""
    text = " ".join(text.split())
    text = _ROLE.sub(lambda match: f"{{py:{match[1]}}}`{match[2]}`", text)
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    return text.rstrip(":") + "." if text.endswith(":") else text


def summary(thing: Any) -> str:
    """Return the first paragraph of a docstring as Markdown; '' if there is none.

    What a class inherits from its base is not its own.
    """
    inherits = inspect.isclass(thing) and not vars(thing).get("__doc__")
    text = None if inherits else inspect.getdoc(thing)
    return as_markdown((text or "").partition("\n\n")[0])


def signature_of(thing: Any) -> str:
    """Return the signature of a class or function as code, without annotations."""
    plain = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for parameter in _parameters(thing)
        if parameter.name != "self"
    ]
    text = str(inspect.Signature(plain))
    if len(text) <= _LONGEST:
        return text
    return "(\n" + "".join(f"    {parameter},\n" for parameter in plain) + ")"


def _parameters(thing: Any) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(thing).parameters.values())
    except (TypeError, ValueError):
        return []


def defaults_of(kind: type) -> dict[str, Any]:
    """Return the default of each argument of a class, including ``**kwargs`` of its bases.

    The default is ``inspect.Parameter.empty`` where the argument must be given.
    """
    found: dict[str, Any] = {}
    for base in kind.__mro__:
        if "__init__" not in vars(base) or not base.__module__.startswith("luss"):
            continue
        passes_on = False
        for parameter in inspect.signature(base.__init__).parameters.values():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                passes_on = True
            elif parameter.kind is not inspect.Parameter.VAR_POSITIONAL:
                found.setdefault(parameter.name, parameter.default)
        if not passes_on:
            break
    found.pop("self", None)
    return found


def argument_texts(kind: type) -> dict[str, str]:
    """Return the ``Args`` texts of a class and its bases by name, as Markdown."""
    found: dict[str, str] = {}
    for base in kind.__mro__:
        if not base.__module__.startswith("luss"):
            continue
        for name, text in _arguments(vars(base).get("__doc__") or ""):
            if not text.startswith("see :class:"):
                found.setdefault(name, as_markdown(text))
    return found


def _arguments(docstring: str) -> Iterator[tuple[str, str]]:
    lines = inspect.cleandoc(docstring).splitlines()
    if "Args:" not in lines:
        return
    entry: list[str] = []
    for line in lines[lines.index("Args:") + 1 :]:
        if line in _SECTIONS or (line and not line.startswith(" ")):
            break
        if re.match(r" {4}\S", line) and entry:
            yield _split(entry)
            entry = []
        entry.append(line.strip())
    if entry:
        yield _split(entry)


def _split(entry: list[str]) -> tuple[str, str]:
    name, _, text = " ".join(entry).partition(":")
    return name.strip().lstrip("*"), text.strip()
