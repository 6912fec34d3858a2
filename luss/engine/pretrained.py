"""``init_cfg=dict(type='Pretrained')``: all of a part from a local file of tensors, or nothing.

MMEngine would fetch the file from an address, skip what does not fit, and go on with random weights
and a warning.
"""

from dataclasses import dataclass
from pathlib import Path

from mmengine.model import PretrainedInit
from torch import Tensor, nn

from luss.engine.checkpoint import load
from luss.errors import LussError

__all__ = ["check_pretrained", "fill", "take_pretrained"]

_SHOWN = 3


@dataclass(frozen=True)
class _Pretrained:
    """A part of a model, the file of its weights, and what their names begin with there."""

    part: nn.Module
    path: str
    prefix: str


def check_pretrained(model: nn.Module) -> None:
    """Refuse a freshly built model that names weights which cannot fill it; it is of no use after.

    Raises:
        LussError: as :func:`fill`.
    """
    fill(take_pretrained(model))


def take_pretrained(model: nn.Module) -> list[_Pretrained]:
    """Take what is to be filled from files out of a model's ``init_cfg``, inner parts first."""
    found = []
    for part in model.modules():
        config = getattr(part, "init_cfg", None)
        if not config:
            continue
        configs = [config] if isinstance(config, dict) else list(config)
        kept = [one for one in configs if not _is_pretrained(one)]
        found += [
            _Pretrained(part, str(one.get("checkpoint")), one.get("prefix") or "")
            for one in configs
            if _is_pretrained(one)
        ]
        if len(kept) < len(configs):
            part.init_cfg = kept or None
    return found[::-1]


def fill(pretrained: list[_Pretrained]) -> None:
    """Fill parts of a model from files.

    Every tensor of a part must be there in its shape. Surplus tensors are an error below a prefix
    or below a module that the part has (a deeper network of the same kind); others, such as a
    classifier on top, are passed over.

    Raises:
        LussError: if a file is missing, no local one, holds more than data, or does not fit.
    """
    for one in pretrained:
        if "://" in one.path:
            raise LussError(
                f"Pretrained weights {one.path} are an address; fetch the file yourself and give "
                "its path"
            )
        weights = _below(_tensors(one.path), one.prefix)
        own = one.part.state_dict().keys()
        try:
            missing, surplus = one.part.load_state_dict(weights, strict=False)
        except RuntimeError as error:
            shapes = [line.strip() for line in str(error).splitlines() if "size mismatch" in line]
            raise LussError(
                f"{one.path} does not fit {type(one.part).__name__}: {'; '.join(shapes[:_SHOWN])}"
            ) from error
        # Checkpoints older than this counter of batch norm lack it; nothing here reads it.
        missing = [key for key in missing if not key.endswith("num_batches_tracked")]
        modules = {key.split(".")[0] for key in own}
        surplus = [key for key in surplus if one.prefix or key.split(".")[0] in modules]
        if missing or surplus:
            raise LussError(
                f"{one.path} does not fit {type(one.part).__name__}: {len(missing)} of its "
                f"{len(own)} tensors are missing ({_first(missing)}), {len(surplus)} belong to "
                f"another one ({_first(surplus)}); give the file of this network, and in 'prefix' "
                "what its names begin with there, such as 'backbone.'"
            )


def _is_pretrained(config: dict) -> bool:
    kind = config.get("type")
    if isinstance(kind, str):
        return kind.rpartition(".")[2] in ("Pretrained", "PretrainedInit")
    return isinstance(kind, type) and issubclass(kind, PretrainedInit)


def _tensors(path: str) -> dict[str, Tensor]:
    content = load(Path(path).expanduser())
    tensors = content.get("state_dict", content.get("model", content))
    if not isinstance(tensors, dict):
        raise LussError(f"{path} has no weights by name; expected a dict, or one 'state_dict'")
    return {
        key.removeprefix("module."): value
        for key, value in tensors.items()
        if isinstance(key, str) and isinstance(value, Tensor)
    }


def _below(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    if not prefix:
        return tensors
    start = f"{prefix.rstrip('.')}."
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}


def _first(names: list[str]) -> str:
    return ", ".join(sorted(names)[:_SHOWN]) or "none"
