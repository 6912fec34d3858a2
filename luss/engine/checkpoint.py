"""Checkpoints that are written whole or not at all, are told when damaged, and never execute code.

A checkpoint is PyTorch's zip file. Its zip comment, which PyTorch passes over, holds the SHA-256 of
all bytes before it: PyTorch does not look at the check sums within the zip.
"""

import hashlib
import io
import os
import re
import struct
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from luss.engine.stage_note import read_note
from luss.errors import LussError
from luss.files import atomic_write, file_digest

__all__ = [
    "DamagedCheckpointError",
    "checkpoint_digest",
    "checkpoint_step",
    "init_weights_from",
    "is_below",
    "latest_checkpoint",
    "load",
    "load_weights",
    "newest_whole_checkpoint",
    "publish",
    "required_checkpoint",
    "save",
    "stored_weights",
]

_FILENAME = re.compile(r"iter_(\d+)\.pth")

_ZIP = b"PK\x03\x04"
_END_OF_ZIP = struct.Struct("<4s16sH")
"""The end of a zip file: signature, what is of no use here, length of the comment."""
_END_SIGNATURE = b"PK\x05\x06"
_COMMENT = b"luss sha256 "
_COMMENT_LENGTH = len(_COMMENT) + 64

_GLOBAL = re.compile(r"GLOBAL (\S+)")


class DamagedCheckpointError(LussError):
    """A checkpoint is cut short, or holds other bytes than were written."""


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
        LussError: if there is none, or another one than that with which the stage ended.
    """
    folder = Path(folder)
    path = latest_checkpoint(folder)
    if path is None:
        raise LussError(
            f"there is no checkpoint iter_<N>.pth in {folder}; put it back, or remove the folder "
            "and run the stage again"
        )
    done = folder / "done.json"
    last = read_note(done).get("checkpoint") if done.exists() else None
    if last not in (None, path.name):
        raise LussError(
            f"the stage in {folder} ended with {last}, but the newest checkpoint there is "
            f"{path.name}; put {last} back, or remove {done} and go on with --resume"
        )
    return path


def newest_whole_checkpoint(path: str | os.PathLike) -> tuple[Path, list[Path]]:
    """The checkpoint to go on from: ``path``, or where that is damaged an older one beside it.

    Args:
        path: of a checkpoint.

    Returns:
        The newest that is whole, and the damaged ones that are newer.

    Raises:
        DamagedCheckpointError: that of ``path``, if no older one is whole.
        LussError: as :func:`load`, where something else than damage is wrong with one.
    """
    path = Path(path)
    found = {checkpoint_step(other): other for other in path.parent.glob("iter_*.pth")}
    found.pop(None, None)
    step = checkpoint_step(path)
    older = [found[other] for other in sorted(found, reverse=True) if step and other < step]
    damaged: dict[Path, DamagedCheckpointError] = {}
    for candidate in [path, *older]:
        try:
            load(candidate)
        except DamagedCheckpointError as error:
            damaged[candidate] = error
        else:
            return candidate, list(damaged)
    raise damaged[path]


def save(path: str | os.PathLike, checkpoint: dict) -> None:
    """Write a checkpoint, whole or not at all, with a digest of its bytes.

    Raises:
        OSError: if the disk fails; what stood at ``path`` stays.
    """
    content, comment = _encode(checkpoint)
    with content.getbuffer() as buffer, atomic_write(path) as file:
        file.write(buffer)
        file.write(comment)


def publish(path: str | os.PathLike, checkpoint: dict) -> Path:
    """As :func:`save`, to ``<stem of path>-<8 digits of the digest>.pth``, as MMEngine names it.

    Returns:
        The path that was written.
    """
    content, comment = _encode(checkpoint)
    digest = comment.removeprefix(_COMMENT).decode()
    named = Path(path).with_name(f"{Path(path).stem}-{digest[:8]}.pth")
    with content.getbuffer() as buffer, atomic_write(named) as file:
        file.write(buffer)
        file.write(comment)
    return named


def _encode(checkpoint: dict) -> tuple[io.BytesIO, bytes]:
    """A checkpoint's bytes, and the comment with their digest that is to follow them."""
    # In memory first: PyTorch's own writer turns a full disk into an error without a cause.
    content = io.BytesIO()
    torch.save(checkpoint, content)
    with content.getbuffer() as buffer:
        signature, fields, length = _END_OF_ZIP.unpack(buffer[-_END_OF_ZIP.size :])
        if (signature, length) != (_END_SIGNATURE, 0):
            raise RuntimeError("torch.save has written something else than a plain zip file")
        buffer[-_END_OF_ZIP.size :] = _END_OF_ZIP.pack(signature, fields, _COMMENT_LENGTH)
        comment = _COMMENT + hashlib.sha256(buffer).hexdigest().encode()
    return content, comment


def load(path: str | os.PathLike) -> dict:
    """Read a checkpoint to the CPU without executing code that it may hold.

    The digest that :func:`save` wrote is compared; files of other programs have none.

    Raises:
        DamagedCheckpointError: if the file is cut short or holds other bytes than were saved.
        LussError: if the file is missing, or holds anything but data.
    """
    path = Path(path)
    if not path.is_file():
        raise LussError(f"there is no checkpoint {path}; give the path of a .pth file")
    _refuse_other_bytes(path)
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, MemoryError):
        raise
    # Damaged files raise UnpicklingError, RuntimeError, EOFError, KeyError, UnicodeDecodeError ...
    except Exception as error:
        # PyTorch's own message recommends to load the file without this guard.
        if found := _GLOBAL.search(str(error)):
            raise LussError(
                f"{path} holds the Python object {found[1]} beside tensors and plain values; luss "
                "never loads checkpoints that would execute code. Where you trust the file, save "
                "its tensors alone to another one and give that"
            ) from error
        raise _damaged(path, "cannot be read as tensors and plain values") from error
    if not isinstance(checkpoint, dict):
        raise LussError(f"{path} holds a {type(checkpoint).__name__}, expected a checkpoint dict")
    _refuse_not_finite(checkpoint, path)
    return checkpoint


def _refuse_not_finite(checkpoint: dict, path: Path) -> None:
    """Refuse weights that predict nothing; the optimizer's state lies deeper and is passed over."""
    parts = [checkpoint, *(part for part in checkpoint.values() if isinstance(part, Mapping))]
    tensors = {
        str(name): value
        for part in parts
        for name, value in part.items()
        if isinstance(value, Tensor) and value.is_floating_point()
    }
    bad = {name for name, value in tensors.items() if not torch.isfinite(value).all()}
    if bad:
        raise LussError(
            f"{path} holds weights that are not finite: {len(bad)} of {len(tensors)} tensors "
            f"({_first(bad)}); its training diverged. Give an earlier checkpoint, or another file"
        )


def checkpoint_digest(path: str | os.PathLike) -> str:
    """Hexadecimal digits that tell a checkpoint from any other: of its bytes, as it was saved."""
    return _stored_digest(Path(path)) or file_digest(path)


def _refuse_other_bytes(path: Path) -> None:
    stored = _stored_digest(path)
    if stored is not None and stored != file_digest(path, path.stat().st_size - _COMMENT_LENGTH):
        raise _damaged(path, "does not hold the bytes that were saved")


def _stored_digest(path: Path) -> str | None:
    """The digest at the end of a checkpoint; None for another program's file.

    Raises:
        DamagedCheckpointError: if the file begins as a zip file, but does not end as one.
    """
    with path.open("rb") as file:
        if file.read(len(_ZIP)) != _ZIP:
            return None
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _END_OF_ZIP.size - _COMMENT_LENGTH))
        tail = file.read()
    if (tail[-_END_OF_ZIP.size :][:4], tail[-2:]) == (_END_SIGNATURE, b"\0\0"):
        return None
    comment = tail[-_COMMENT_LENGTH:]
    if not comment.startswith(_COMMENT):
        raise _damaged(path, "is cut short, or its end is not what was saved")
    return comment.removeprefix(_COMMENT).decode(errors="replace")


def _damaged(path: Path, found: str) -> DamagedCheckpointError:
    return DamagedCheckpointError(
        f"{path} is damaged: it {found}. Put it back; or, if a run has made it, remove it, and "
        "done.json beside it if there is one: --resume then goes on from the checkpoint before it"
    )


def init_weights_from(model: nn.Module, path: str | os.PathLike, parts: list[str]) -> None:
    """Copy parts of a checkpoint into a model, all of each part or none.

    Args:
        model: the model, whose modules have the names that the checkpoint has.
        path: the checkpoint.
        parts: names of modules such as ``backbone``; everything below them is copied.

    Raises:
        LussError: if a part is missing on either side, or does not fit in name or shape.
    """
    source = stored_weights(load(path))
    target = model.state_dict()
    chosen = {}
    for part in parts:
        found = {key: value for key, value in source.items() if is_below(key, part)}
        wanted = {key for key in target if is_below(key, part)}
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
    source, target = stored_weights(checkpoint), model.state_dict()
    if source.keys() != target.keys():
        raise LussError(
            f"{path} does not fit the model: only there: {_first(source.keys() - target.keys())}; "
            f"only here: {_first(target.keys() - source.keys())}; it belongs to another config"
        )
    _refuse_other_shapes(source, target, path)
    model.load_state_dict(source)


def stored_weights(checkpoint: dict) -> dict[str, Tensor]:
    """The tensors of a model by name, in what :func:`load` gave."""
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


def is_below(key: str, part: str) -> bool:
    """Whether a tensor or module is a part of a model, or is in it."""
    return key == part or key.startswith(f"{part}.")


def _first(keys: set[str]) -> str:
    return ", ".join(sorted(keys)[:3]) or "nothing"
