"""Atomic checkpoints with a digest, loaded without executing code.

A checkpoint is a zip file of PyTorch. Its zip comment, which PyTorch ignores, contains the SHA-256
of all preceding bytes, since PyTorch does not verify the checksums of the zip.
"""

import argparse
import hashlib
import io
import os
import re
import struct
from collections.abc import Mapping, Set
from pathlib import Path

import torch
from torch import Tensor, nn

from luss.engine.stage_note import read_note
from luss.errors import LussError, shorten
from luss.files import atomic_write, file_digest

__all__ = [
    "DamagedCheckpointError",
    "checkpoint_digest",
    "checkpoint_step",
    "in_module",
    "init_weights_from",
    "latest_checkpoint",
    "load",
    "load_weights",
    "newest_intact_checkpoint",
    "publish",
    "required_checkpoint",
    "save",
    "stored_weights",
]

_FILENAME = re.compile(r"iter_(\d+)\.pth")

_ZIP = b"PK\x03\x04"
_END_OF_ZIP = struct.Struct("<4s16sH")
"""The end of a zip file: signature, unused fields, length of the comment."""
_END_SIGNATURE = b"PK\x05\x06"
_COMMENT = b"luss sha256 "
_COMMENT_LENGTH = len(_COMMENT) + 64

_GLOBAL = re.compile(r"GLOBAL (\S+)")


class DamagedCheckpointError(LussError):
    """A checkpoint that is truncated or has changed bytes."""


def checkpoint_step(path: str | os.PathLike) -> int | None:
    """Return the number of iterations N of ``iter_<N>.pth``; None for another name."""
    match = _FILENAME.fullmatch(Path(path).name)
    return int(match[1]) if match else None


def checkpoints_by_step(folder: str | os.PathLike) -> dict[int, Path]:
    """Return iterations -> checkpoint ``iter_<N>.pth`` of a stage's folder, ascending."""
    steps = {path: checkpoint_step(path) for path in Path(folder).glob("iter_*.pth")}
    return dict(sorted((step, path) for path, step in steps.items() if step is not None))


def latest_checkpoint(folder: str | os.PathLike) -> Path | None:
    """Return the checkpoint with the most iterations in a stage's folder; None if there is none.

    Scans the folder; ``last_checkpoint`` may be stale after a crash.
    """
    return next(reversed(checkpoints_by_step(folder).values()), None)


def required_checkpoint(folder: str | os.PathLike) -> Path:
    """Return the latest checkpoint of a stage.

    Raises:
        LussError: if there is none, or it is not the checkpoint that the stage ended with.
    """
    folder = Path(folder)
    path = latest_checkpoint(folder)
    if path is None:
        raise LussError(
            f"there is no checkpoint iter_<N>.pth in {folder}; restore it, or delete the folder "
            "and run the stage again"
        )
    done = folder / "done.json"
    last = read_note(done).get("checkpoint") if done.exists() else None
    if last not in (None, path.name):
        raise LussError(
            f"the stage in {folder} ended with {last}, but the newest checkpoint there is "
            f"{path.name}; restore {last}, or delete {done} and run with --resume"
        )
    return path


def newest_intact_checkpoint(path: str | os.PathLike) -> tuple[Path, list[Path]]:
    """Return a checkpoint to resume from: ``path``, or if it is damaged, an older one next to it.

    Args:
        path: of a checkpoint.

    Returns:
        The newest intact checkpoint, and the damaged newer ones.

    Raises:
        DamagedCheckpointError: that of ``path``, if all older ones are damaged, too.
        LussError: as :func:`load`, for errors other than damage.
    """
    path = Path(path)
    found, step = checkpoints_by_step(path.parent), checkpoint_step(path)
    older = [found[other] for other in reversed(found) if step and other < step]
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
    """Write a checkpoint atomically, with a digest of its bytes.

    Raises:
        OSError: if the disk fails; ``path`` stays as it was.
    """
    _write(path, *_encode(checkpoint))


def publish(path: str | os.PathLike, checkpoint: dict) -> Path:
    """Write a checkpoint to ``<stem of path>-<8 digits of the digest>.pth``, as MMEngine does.

    Returns:
        The written path.
    """
    content, comment = _encode(checkpoint)
    digest = comment.removeprefix(_COMMENT).decode()
    named = Path(path).with_name(f"{Path(path).stem}-{digest[:8]}.pth")
    _write(named, content, comment)
    return named


def _write(path: str | os.PathLike, content: io.BytesIO, comment: bytes) -> None:
    with content.getbuffer() as buffer, atomic_write(path) as file:
        file.write(buffer)
        file.write(comment)


def _encode(checkpoint: dict) -> tuple[io.BytesIO, bytes]:
    """Return a checkpoint's bytes, and the zip comment with their digest."""
    # In memory first: PyTorch's own writer hides the cause of a disk error.
    content = io.BytesIO()
    torch.save(checkpoint, content)
    with content.getbuffer() as buffer:
        signature, fields, length = _END_OF_ZIP.unpack(buffer[-_END_OF_ZIP.size :])
        if (signature, length) != (_END_SIGNATURE, 0):
            raise RuntimeError("torch.save did not write a plain zip file")
        buffer[-_END_OF_ZIP.size :] = _END_OF_ZIP.pack(signature, fields, _COMMENT_LENGTH)
        comment = _COMMENT + hashlib.sha256(buffer).hexdigest().encode()
    return content, comment


def load(path: str | os.PathLike) -> dict:
    """Read a checkpoint to the CPU without executing code.

    The digest written by :func:`save` is verified; files of other programs have none.

    Raises:
        DamagedCheckpointError: if the file is truncated or has changed bytes.
        LussError: if the file is missing, or contains anything but tensors and plain values.
    """
    path = Path(path)
    if not path.is_file():
        raise LussError(f"there is no checkpoint {path}; give the path of a .pth file")
    if path.suffix == ".safetensors":
        return _load_safetensors(path)
    _verify_digest(path)
    try:
        # Arguments of a training, which many programs save beside the weights, are plain values.
        with torch.serialization.safe_globals([argparse.Namespace]):
            checkpoint = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, MemoryError):
        raise
    # Damaged files raise UnpicklingError, RuntimeError, EOFError, KeyError, UnicodeDecodeError ...
    except Exception as error:
        # PyTorch's own message recommends to load the file without this protection.
        if found := _GLOBAL.search(str(error)):
            raise LussError(
                f"{path} contains the Python object {found[1]}, but luss never loads checkpoints "
                "that would execute code. If you trust the file, save only its tensors to another "
                "file and use that"
            ) from error
        raise _damaged(
            path, "cannot be read as tensors and plain values, or is not a weight file"
        ) from error
    if not isinstance(checkpoint, dict):
        raise LussError(f"{path} contains a {type(checkpoint).__name__}, expected a dict")
    _require_finite(checkpoint, path)
    return checkpoint


def _load_safetensors(path: Path) -> dict:
    """Read a file of the package safetensors, in which timm and others publish weights."""
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError as error:
        raise LussError(
            f"{path} needs the package safetensors, which is not installed; run pip install "
            "safetensors"
        ) from error
    try:
        tensors = load_file(path)
    except SafetensorError as error:
        raise _damaged(path, f"cannot be read as safetensors ({error})") from error
    _require_finite(tensors, path)
    return tensors


def _require_finite(checkpoint: dict, path: Path) -> None:
    """Check that weights are finite; the optimizer's state is nested deeper and not checked."""
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
            f"{path} contains weights that are not finite: {len(bad)} of {len(tensors)} tensors "
            f"({shorten(sorted(bad), 3)}). Its training diverged; use an earlier checkpoint or "
            "another file"
        )


def checkpoint_digest(path: str | os.PathLike) -> str:
    """Return the digest of a checkpoint's bytes, as hexadecimal digits."""
    return _stored_digest(Path(path)) or file_digest(path)


def _verify_digest(path: Path) -> None:
    stored = _stored_digest(path)
    if stored is not None and stored != file_digest(path, path.stat().st_size - _COMMENT_LENGTH):
        raise _damaged(path, "has other bytes than were saved")


def _stored_digest(path: Path) -> str | None:
    """Return the digest at the end of a checkpoint; None for a file of another program.

    Raises:
        DamagedCheckpointError: if the file starts like a zip file, but does not end like one.
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
        raise _damaged(path, "is truncated, or its end has changed")
    return comment.removeprefix(_COMMENT).decode(errors="replace")


def _damaged(path: Path, found: str) -> DamagedCheckpointError:
    return DamagedCheckpointError(
        f"{path} is damaged: it {found}. Restore it, or give another file; if it belongs to a run, "
        "delete it and the done.json next to it, and run with --resume to continue from the "
        "checkpoint before"
    )


def init_weights_from(model: nn.Module, path: str | os.PathLike, parts: list[str]) -> None:
    """Copy complete modules of a checkpoint into a model.

    Args:
        model: with the same names of modules as the checkpoint.
        path: of the checkpoint.
        parts: names of modules, such as ``backbone``.

    Raises:
        LussError: if a module is missing in either, or names or shapes of tensors differ.
    """
    source = stored_weights(load(path))
    target = model.state_dict()
    chosen: dict[str, Tensor] = {}
    for part in parts:
        found = {key: value for key, value in source.items() if in_module(key, part)}
        expected = {key for key in target if in_module(key, part)}
        if not found or found.keys() != expected:
            raise LussError(
                f"{part!r} of {path} does not fit the model: the checkpoint has {len(found)} "
                f"tensors of it, the model {len(expected)}; {_difference(found.keys(), expected)}. "
                "Both configs must have the same modules"
            )
        chosen |= found
    _require_equal_shapes(chosen, target, path)
    model.load_state_dict(chosen, strict=False)


def load_weights(model: nn.Module, checkpoint: dict, path: str | os.PathLike) -> None:
    """Copy all weights of a checkpoint into a model.

    Args:
        model: to fill.
        checkpoint: of :func:`load`.
        path: of the checkpoint, for messages.

    Raises:
        LussError: if names or shapes of tensors differ.
    """
    source, target = stored_weights(checkpoint), model.state_dict()
    if source.keys() != target.keys():
        raise LussError(
            f"{path} does not fit the model: {_difference(source.keys(), target.keys())}. It "
            "belongs to another config"
        )
    _require_equal_shapes(source, target, path)
    model.load_state_dict(source)


def stored_weights(checkpoint: dict) -> dict[str, Tensor]:
    """Return the model's tensors of a checkpoint, by name."""
    weights = checkpoint.get("state_dict", {})
    # Names of wrapped models start with 'module.'.
    return {key.removeprefix("module."): value for key, value in weights.items()}


def _require_equal_shapes(
    source: dict[str, Tensor], target: dict[str, Tensor], path: str | os.PathLike
) -> None:
    for key, value in source.items():
        if value.shape != target[key].shape:
            raise LussError(
                f"{key} of {path} has shape {tuple(value.shape)}, the model expects "
                f"{tuple(target[key].shape)}; the two configs differ in width"
            )


def _difference(found: Set[str], expected: Set[str]) -> str:
    only_found, only_expected = (
        shorten(sorted(names), 3) or "nothing" for names in (found - expected, expected - found)
    )
    return f"only in the checkpoint: {only_found}; only in the model: {only_expected}"


def in_module(name: str, module: str) -> bool:
    """Return whether a tensor or module belongs to the module of another name."""
    return name == module or name.startswith(f"{module}.")
