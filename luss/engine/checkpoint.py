"""Checkpoints that are written whole or not at all, and that never execute code."""

import os
import pickle
import re
from pathlib import Path

import torch
from mmengine.fileio.backends import LocalBackend, register_backend
from torch import Tensor, nn

from luss.errors import LussError
from luss.files import atomic_write

__all__ = [
    "AtomicLocalBackend",
    "checkpoint_step",
    "init_weights_from",
    "latest_checkpoint",
    "load",
]

_FILENAME = re.compile(r"iter_(\d+)\.pth")


class AtomicLocalBackend(LocalBackend):
    """MMEngine's local files, but a written file takes its name only once it is on disk.

    Named ``luss.atomic``, as in ``CheckpointHook(backend_args=dict(backend='luss.atomic'))``.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes to ``filepath``, whole or not at all."""
        with atomic_write(filepath) as file:
            file.write(obj)


register_backend("luss.atomic", AtomicLocalBackend, force=True)


def checkpoint_step(path: str | os.PathLike) -> int | None:
    """Iterations that went into the checkpoint ``iter_<N>.pth``; None for another name."""
    match = _FILENAME.fullmatch(Path(path).name)
    return int(match[1]) if match else None


def latest_checkpoint(folder: str | os.PathLike) -> Path | None:
    """The checkpoint of most iterations in a stage's folder; None if there is none.

    The folder is asked, not MMEngine's ``last_checkpoint``: a killed run may have left that
    empty, while any ``iter_*.pth`` is whole.
    """
    found = {checkpoint_step(path): path for path in Path(folder).glob("iter_*.pth")}
    found.pop(None, None)
    return found[max(found)] if found else None


def load(path: str | os.PathLike) -> dict:
    """Read a checkpoint to the CPU without executing code that it may hold.

    Raises:
        LussError: if the file is missing, unreadable, or holds anything but data.
    """
    path = Path(path)
    if not path.is_file():
        raise LussError(f"no checkpoint at {path}; give the path of a .pth file")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
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
    source: dict[str, Tensor] = load(path).get("state_dict", {})
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
        for key, value in found.items():
            if value.shape != target[key].shape:
                raise LussError(
                    f"{key} of {path} has shape {tuple(value.shape)}, the model expects "
                    f"{tuple(target[key].shape)}; the two configs differ in width"
                )
        chosen |= found
    model.load_state_dict(chosen, strict=False)


def _below(key: str, part: str) -> bool:
    return key == part or key.startswith(f"{part}.")


def _first(keys: set[str]) -> str:
    return ", ".join(sorted(keys)[:3]) or "nothing"
