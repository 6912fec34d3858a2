"""Checkpoints that are written whole or not at all, and that never execute code."""

import io
import os
import re
from pathlib import Path

import torch
from torch import Tensor, nn

from luss.errors import LussError
from luss.files import atomic_write

__all__ = [
    "checkpoint_step",
    "init_weights_from",
    "latest_checkpoint",
    "load",
    "load_weights",
    "required_checkpoint",
    "save",
]

_FILENAME = re.compile(r"iter_(\d+)\.pth")


def checkpoint_step(path: str | os.PathLike) -> int | None:
    """Iterations that went into the checkpoint ``iter_<N>.pth``; None for another name."""
    match = _FILENAME.fullmatch(Path(path).name)
    return int(match[1]) if match else None


def latest_checkpoint(folder: str | os.PathLike) -> Path | None:
    """The checkpoint of most iterations in a stage's folder; None if there is none.

    The folder is asked, not a file that names the newest, which a killed run may have left
    behind the checkpoints, while any ``iter_*.pth`` is whole.
    """
    found = {checkpoint_step(path): path for path in Path(folder).glob("iter_*.pth")}
    found.pop(None, None)
    return found[max(found)] if found else None


def required_checkpoint(folder: str | os.PathLike) -> Path:
    """As :func:`latest_checkpoint`, of a stage that must have one.

    Raises:
        LussError: if there is none.
    """
    path = latest_checkpoint(folder)
    if path is None:
        raise LussError(
            f"there is no checkpoint iter_<N>.pth in {folder}; put it back, or remove the folder "
            "and run the stage again"
        )
    return path


def save(path: str | os.PathLike, checkpoint: dict) -> None:
    """Write a checkpoint, whole or not at all.

    Raises:
        OSError: if the disk fails; what stood at ``path`` stays.
    """
    # In memory first: PyTorch's own writer turns a full disk into an error without a cause.
    content = io.BytesIO()
    torch.save(checkpoint, content)
    with atomic_write(path) as file:
        file.write(content.getbuffer())


def load(path: str | os.PathLike) -> dict:
    """Read a checkpoint to the CPU without executing code that it may hold.

    Raises:
        LussError: if the file is missing, unreadable, or holds anything but data.
    """
    path = Path(path)
    if not path.is_file():
        raise LussError(f"there is no checkpoint {path}; give the path of a .pth file")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, MemoryError):
        raise
    # Damaged files raise UnpicklingError, RuntimeError, EOFError, KeyError, UnicodeDecodeError ...
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise LussError(
            f"{path} is not a whole checkpoint of tensors and plain values ({reason}); "
            "luss never loads checkpoints that would execute code"
        ) from error
    if not isinstance(checkpoint, dict):
        raise LussError(f"{path} holds a {type(checkpoint).__name__}, expected a checkpoint dict")
    return checkpoint


def init_weights_from(model: nn.Module, path: str | os.PathLike, parts: list[str]) -> None:
    """Copy parts of a checkpoint into a model, all of each part or none.

    Args:
        model: the model, whose modules have the names that the checkpoint has.
        path: the checkpoint.
        parts: names of modules such as ``backbone``; everything below them is copied.

    Raises:
        LussError: if a part is missing on either side, or does not fit in name or shape.
    """
    source = _weights(load(path))
    target = model.state_dict()
    chosen = {}
    for part in parts:
        found = {key: value for key, value in source.items() if _below(key, part)}
        wanted = {key for key in target if _below(key, part)}
        if not found or found.keys() != wanted:
            raise LussError(
                f"{part!r} of {path} does not fit the model: the checkpoint has {len(found)} "
                f"tensors of it, the model {len(wanted)}; "
                f"only there: {_first(found.keys() - wanted)}; only here: "
                f"{_first(wanted - found.keys())}; the two configs must name the same modules"
            )
        chosen |= found
    _refuse_other_shapes(chosen, target, path)
    model.load_state_dict(chosen, strict=False)


def load_weights(model: nn.Module, checkpoint: dict, path: str | os.PathLike) -> None:
    """Copy all weights of a checkpoint into a model, all or none.

    Args:
        model: the model.
        checkpoint: as :func:`load` gave it.
        path: where it was read, for messages.

    Raises:
        LussError: if they do not fit in name or shape.
    """
    source, target = _weights(checkpoint), model.state_dict()
    if source.keys() != target.keys():
        raise LussError(
            f"{path} does not fit the model: only there: {_first(source.keys() - target.keys())}; "
            f"only here: {_first(target.keys() - source.keys())}; it belongs to another config"
        )
    _refuse_other_shapes(source, target, path)
    model.load_state_dict(source)


def _weights(checkpoint: dict) -> dict[str, Tensor]:
    weights = checkpoint.get("state_dict", {})
    # Checkpoints of wrapped models name every module below 'module'.
    return {key.removeprefix("module."): value for key, value in weights.items()}


def _refuse_other_shapes(
    source: dict[str, Tensor], target: dict[str, Tensor], path: str | os.PathLike
) -> None:
    for key, value in source.items():
        if value.shape != target[key].shape:
            raise LussError(
                f"{key} of {path} has shape {tuple(value.shape)}, the model expects "
                f"{tuple(target[key].shape)}; the two configs differ in width"
            )


def _below(key: str, part: str) -> bool:
    return key == part or key.startswith(f"{part}.")


def _first(keys: set[str]) -> str:
    return ", ".join(sorted(keys)[:3]) or "nothing"
