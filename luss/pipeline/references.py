"""References between stages: ``${stage.output}`` and ``${facts.name}`` in a config.

``${finetune.checkpoint}`` is the output of the stage ``finetune`` with the role ``checkpoint``;
``${facts.num_categories}`` is a fact of the data or the run. A string that is one reference takes
the value as it is; within a longer string the value is inserted as text
(``${foreground.maps}/train``). A stage depends on the stages that its settings refer to.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple

from luss.errors import LussError, nearest

__all__ = ["FACTS", "Reference", "references_in", "require_known_references", "resolve"]

FACTS = "facts"
"""Stands for a stage's name in references to facts; no stage may have this name."""

_REFERENCE = re.compile(r"\$\{([^${}]*)\}")
_FORM = "${stage.output} or ${facts.name}"


class Reference(NamedTuple):
    """A reference in a config.

    Attributes:
        stage: name of a stage, or ``facts``.
        output: role of the output, or name of the fact.
        where: the setting that contains it, such as ``stages.finetune.init.backbone``.
    """

    stage: str
    output: str
    where: str

    def __str__(self) -> str:
        """Return the reference as the config spells it."""
        return f"${{{self.stage}.{self.output}}}"


def references_in(config: Any, where: str) -> Iterator[Reference]:
    """Yield all references of a nested config.

    Args:
        config: of anything, however nested.
        where: its place, for messages.

    Raises:
        LussError: if a reference has another form.
    """
    if isinstance(config, str):
        for match in _REFERENCE.finditer(config):
            yield _parse(match[1], where)
    elif isinstance(config, Mapping):
        for key, value in config.items():
            yield from references_in(value, f"{where}.{key}")
    elif isinstance(config, list | tuple):
        for index, value in enumerate(config):
            yield from references_in(value, f"{where}[{index}]")


def resolve(config: Any, lookup: Callable[[Reference], Any], where: str) -> Any:
    """Return a nested config with every reference replaced by its value.

    Args:
        config: of anything, however nested; it stays as it is.
        lookup: from a reference to its value.
        where: the config's place, for messages.

    Raises:
        LussError: if a reference has another form; and as ``lookup``.
    """
    if isinstance(config, str):
        whole = _REFERENCE.fullmatch(config)
        if whole:
            return lookup(_parse(whole[1], where))
        return _REFERENCE.sub(lambda match: str(lookup(_parse(match[1], where))), config)
    if isinstance(config, Mapping):
        return {key: resolve(value, lookup, f"{where}.{key}") for key, value in config.items()}
    if isinstance(config, list | tuple):
        entries = [resolve(each, lookup, f"{where}[{i}]") for i, each in enumerate(config)]
        return entries if isinstance(config, list) else tuple(entries)
    return config


def require_known_references(
    references: Collection[Reference],
    outputs: Mapping[str, Collection[str]],
    facts: Collection[str],
) -> None:
    """Check that references name stages, outputs and facts that exist.

    Args:
        references: see :func:`references_in`.
        outputs: stage -> roles of the outputs that it may have.
        facts: names of facts.

    Raises:
        LussError: naming the first unknown one, the known ones, and the nearest of these.
    """
    for reference in references:
        stage, output, where = reference
        if stage == FACTS:
            _require(output, facts, f"{where} refers to {reference}: there is no fact")
        else:
            _require(stage, outputs, f"{where} refers to {reference}: there is no stage")
            text = f"{where} refers to {reference}: stage {stage!r} has no output"
            _require(output, outputs[stage], text)


def _require(name: str, known: Collection[str], text: str) -> None:
    if name in known:
        return
    expected = ", ".join(known) or "none"
    raise LussError(f"{text} {name!r}; expected one of {expected}{nearest(name, known)}")


def _parse(text: str, where: str) -> Reference:
    stage, dot, output = text.strip().partition(".")
    if not (dot and stage and output):
        raise LussError(f"{where} contains ${{{text}}}, expected {_FORM}")
    return Reference(stage, output, where)
