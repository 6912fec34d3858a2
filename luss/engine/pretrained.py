"""``init_cfg=dict(type='Pretrained')``: load all weights of a module from a local file.

MMEngine downloads the file, skips tensors that do not fit, and continues with random weights and a
warning. luss reads the files as those of ``weights=``.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from mmengine.model import PretrainedInit
from torch import nn

from luss.engine.checkpoint import load
from luss.errors import LussError
from luss.models.backbones.filling import fill_from
from luss.models.backbones.weights import WeightsEntry

__all__ = ["check_pretrained", "load_pretrained", "take_pretrained"]


@dataclass(frozen=True)
class _Pretrained:
    """A module and the file of its weights."""

    part: nn.Module
    weights: WeightsEntry


def check_pretrained(model: nn.Module) -> None:
    """Check that the ``Pretrained`` files of a new model fit; discard the model afterwards.

    Raises:
        LussError: as :func:`load_pretrained`.
    """
    load_pretrained(take_pretrained(model))


def take_pretrained(model: nn.Module) -> list[_Pretrained]:
    """Remove ``Pretrained`` entries from the ``init_cfg`` of a model, and return them.

    Inner modules come first. Besides MMEngine's ``checkpoint`` and ``prefix``, entries may have
    ``layout``, ``key`` and ``rename``, see :class:`luss.models.backbones.weights.WeightsEntry`.
    ``Pretrained`` in the ``override`` of another initialisation is for the module that it names.

    Raises:
        LussError: if an entry is invalid.
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
        vars(part)["init_cfg"] = kept or None
    return found


def load_pretrained(pretrained: list[_Pretrained]) -> None:
    """Load the weights of modules from files.

    Raises:
        LussError: if a file is missing, contains code, or does not fit its module, see
            :func:`luss.models.backbones.picking.pick`.
    """
    for one in pretrained:
        fill_from(one.part, load(one.weights.path), one.weights)


def _split(part: nn.Module, config: dict) -> tuple[list[_Pretrained], list[dict]]:
    """Split an initialisation into ``Pretrained`` entries and the rest, which MMEngine handles."""
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
            f"the init_cfg of {type(part).__name__} loads all of its weights from a file, so "
            "'override' is not accepted; set init_cfg of that part instead, and 'prefix' or "
            "'rename' for names in the file"
        )
    return [_Pretrained(part, _entry(rest, f"the init_cfg of {type(part).__name__}")), *found], []


def _overridden(part: nn.Module, overrides: list[dict]) -> Iterator[tuple[dict, nn.Module]]:
    """Yield the ``Pretrained`` overrides, each with the module that it names."""
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
    # map_location is not needed: weights are always read to the CPU.
    ours = ("type", "name", "map_location", "checkpoint")
    settings = {key: value for key, value in config.items() if key not in ours}
    settings = {key: value for key, value in settings.items() if value is not None}
    return WeightsEntry.parse({"file": config.get("checkpoint"), **settings}, where)


def _is_pretrained(config: dict) -> bool:
    kind = config.get("type")
    if isinstance(kind, str):
        return kind.rpartition(".")[2] in ("Pretrained", "PretrainedInit")
    return isinstance(kind, type) and issubclass(kind, PretrainedInit)
