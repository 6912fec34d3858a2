"""``init_cfg=dict(type='Pretrained')``: all of a part from a local file of tensors, or nothing.

MMEngine would fetch the file from an address, skip what does not fit, and go on with random weights
and a warning. Here these files are read as those of ``weights=`` are.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from mmengine.model import PretrainedInit
from torch import nn

from luss.engine.checkpoint import load
from luss.errors import LussError
from luss.models.backbones.weights import WeightsEntry, fill_from

__all__ = ["check_pretrained", "fill", "take_pretrained"]


@dataclass(frozen=True)
class _Pretrained:
    """A part of a model, and the file of its weights."""

    part: nn.Module
    weights: WeightsEntry


def check_pretrained(model: nn.Module) -> None:
    """Refuse a freshly built model that names weights which cannot fill it; it is of no use after.

    Raises:
        LussError: as :func:`fill`.
    """
    fill(take_pretrained(model))


def take_pretrained(model: nn.Module) -> list[_Pretrained]:
    """Take what is to be filled from files out of a model's ``init_cfg``, inner parts first.

    Beside MMEngine's ``checkpoint`` and ``prefix``, ``layout``, ``key`` and ``rename`` may be
    given, see :class:`luss.models.backbones.weights.WeightsEntry`. ``Pretrained`` in the
    ``override`` of another initialisation fills the part that it names.

    Raises:
        LussError: if an entry makes no sense.
    """
    found = []
    for part in reversed(list(model.modules())):
        config = getattr(part, "init_cfg", None)
        if not config:
            continue
        configs = [config] if isinstance(config, dict) else list(config)
        kept = []
        for one in configs:
            pretrained, other = _split(part, one)
            found += pretrained
            kept += other
        part.init_cfg = kept or None
    return found


def fill(pretrained: list[_Pretrained]) -> None:
    """Fill parts of a model from files.

    Raises:
        LussError: if a file is missing, holds more than data, or does not fit its part, see
            :func:`luss.models.backbones.weights.pick`.
    """
    for one in pretrained:
        fill_from(one.part, load(one.weights.path), one.weights)


def _split(part: nn.Module, config: dict) -> tuple[list[_Pretrained], list[dict]]:
    """What one initialisation takes from files, and what is left of it for MMEngine."""
    overrides = config.get("override") or []
    overrides = [overrides] if isinstance(overrides, dict) else list(overrides)
    others = [one for one in overrides if not _is_pretrained(one)]
    found = [
        _Pretrained(named, _entry(one, f"override of the init_cfg of {type(part).__name__}"))
        for one, named in _overridden(part, overrides)
    ]
    rest = {key: value for key, value in config.items() if key != "override"}
    if not _is_pretrained(config):
        return found, [{**rest, "override": others} if others else rest]
    if others:
        raise LussError(
            f"the init_cfg of {type(part).__name__} fills all of it from a file, and its "
            "'override' would start a part of it anew; give that part an init_cfg of its own, "
            "and 'prefix' or 'rename' for what is in the file"
        )
    return [_Pretrained(part, _entry(rest, f"the init_cfg of {type(part).__name__}")), *found], []


def _overridden(part: nn.Module, overrides: list[dict]) -> Iterator[tuple[dict, nn.Module]]:
    """Overrides that take weights from a file, and the module that each names."""
    for one in filter(_is_pretrained, overrides):
        named = getattr(part, str(one.get("name")), None)
        if not isinstance(named, nn.Module):
            raise LussError(
                f"the override of an init_cfg names part {one.get('name')!r} of "
                f"{type(part).__name__}, whose parts are "
                f"{', '.join(name for name, _ in part.named_children())}"
            )
        yield one, named


def _entry(config: dict, where: str) -> WeightsEntry:
    # Weights are always read to the CPU.
    ours = ("type", "name", "map_location", "checkpoint")
    settings = {key: value for key, value in config.items() if key not in ours}
    settings = {key: value for key, value in settings.items() if value is not None}
    return WeightsEntry.parse({"file": config.get("checkpoint"), **settings}, where)


def _is_pretrained(config: dict) -> bool:
    kind = config.get("type")
    if isinstance(kind, str):
        return kind.rpartition(".")[2] in ("Pretrained", "PretrainedInit")
    return isinstance(kind, type) and issubclass(kind, PretrainedInit)
