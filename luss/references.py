"""References in a config: ``${stage.output}``, ``${facts.name}`` and ``${config.name}``.

- ``${finetune.checkpoint}`` is the output of the stage ``finetune`` with the role ``checkpoint``.
- ``${finetune.model}`` is the configuration of its model, ``${finetune.model.backbone}`` a part.
- ``${facts.num_categories}`` is a fact of the data or the run.
- ``${config.short_side}`` is a setting at the top level, after options are merged.

A string that is one reference takes the value as it is; within a longer string the value is
inserted as text (``${foreground.maps}/train``). A stage depends on the stages whose outputs its
settings refer to.
"""

import copy
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any, NamedTuple

from luss.errors import LussError, nearest

__all__ = [
    "CONFIG",
    "FACTS",
    "MODEL",
    "Reference",
    "part_of",
    "references_in",
    "require_known_references",
    "resolve",
    "resolve_settings",
    "settings_of",
]

FACTS = "facts"
"""Stands for a stage's name in references to facts; no stage may have this name."""

CONFIG = "config"
"""Stands for a stage's name in references to settings at the top level."""

_SETTING_OF = {
    "num_categories": "num_categories",
    "num_outputs": "num_categories",
    "weights": "weights",
}
"""Fact -> setting at the top level that decides it."""

MODEL = "model"
"""The output of a stage that is its model's configuration, whether it has run or not."""

_REFERENCE = re.compile(r"\$\{([^${}]*)\}")
_FORM = "${stage.output}, ${facts.name} or ${config.name}"


class Reference(NamedTuple):
    """A reference in a config.

    Attributes:
        stage: name of a stage, ``facts`` or ``config``.
        output: role of the output, or name of the fact or setting; parts of a model's
            configuration and of a setting have dotted names.
        where: the setting that contains it, such as ``stages.finetune.init.backbone``.
    """

    stage: str
    output: str
    where: str

    def __str__(self) -> str:
        """Return the reference as the config spells it."""
        return f"${{{self.stage}.{self.output}}}"

    @property
    def first(self) -> str:
        """The role, fact or setting, without the names of parts."""
        return self.output.partition(".")[0]

    @property
    def needs_output(self) -> bool:
        """Whether the stage must have run before there is a value."""
        return self.stage not in (FACTS, CONFIG) and self.first != MODEL


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
        text = f"{where} refers to {reference}: there is no"
        if stage == FACTS:
            _require(output, facts, f"{text} fact")
        else:
            _require(stage, outputs, f"{text} stage")
            text = f"{where} refers to {reference}: stage {stage!r} has no output"
            _require(reference.first, outputs[stage], text)


def settings_of(references: Collection[Reference]) -> tuple[str, ...]:
    """Return the names of the settings at the top level on which the values depend."""
    settings = [each.first for each in references if each.stage == CONFIG]
    facts = [each.output for each in references if each.stage == FACTS]
    return (*settings, *(_SETTING_OF[fact] for fact in facts if fact in _SETTING_OF))


def resolve_settings(config: Any, settings: Mapping[str, Any], where: str) -> Any:
    """Return a nested config with the values of references to settings at the top level.

    Args:
        config: of stages; other references stay as they are.
        settings: the top level.
        where: the config's place, for messages.

    Raises:
        LussError: if there is no such setting, or its value contains references.
    """

    def value(reference: Reference) -> Any:
        if reference.stage != CONFIG:
            return str(reference)
        where = f"{reference.where} refers to {reference}"
        _require(reference.first, settings, f"{where}: there is no setting")
        found = part_of(settings[reference.first], reference)
        if inner := next(references_in(found, reference.output), None):
            raise LussError(f"{where}, whose value contains the reference {inner}; write it out")
        return copy.deepcopy(found)

    return resolve(config, value, where)


def part_of(value: Any, reference: Reference) -> Any:
    """Return the part of a nested configuration that a dotted reference names.

    Args:
        value: of ``reference.first``.
        reference: such as ``${pretrain.model.backbone}``.

    Raises:
        LussError: if there is no such part.
    """
    for name in reference.output.split(".")[1:]:
        known = value if isinstance(value, Mapping) else ()
        _require(name, known, f"{reference.where} refers to {reference}: there is no")
        value = value[name]
    return value


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
