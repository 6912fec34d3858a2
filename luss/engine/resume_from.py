"""``--resume CHECKPOINT``: resume a stage from a given checkpoint."""

import os
from pathlib import Path

from luss.engine.checkpoint import checkpoint_step, load
from luss.errors import LussError
from luss.files import atomic_write

__all__ = ["TRAINING_STATE", "adopt_checkpoint"]

TRAINING_STATE = frozenset({"optimizer", "param_schedulers", "message_hub"})
"""Keys of a checkpoint that training can be resumed from, besides weights and counters."""

_SET_ASIDE = ".set_aside"


def adopt_checkpoint(path: str | os.PathLike, folder: Path) -> Path:
    """Make a checkpoint the newest one in a stage's folder, so that training resumes from it.

    It is copied there as ``iter_<N>.pth``. Newer checkpoints, also best ones, and another one of
    the same name are renamed to ``<name>.set_aside``, which nothing reads.

    Args:
        path: of the checkpoint, in the folder or elsewhere.
        folder: of the stage.

    Returns:
        Its path in the folder.

    Raises:
        LussError: if it is missing, damaged, or has no training state.
    """
    path = Path(path)
    checkpoint = load(path)
    meta = checkpoint.get("meta")
    meta = meta if isinstance(meta, dict) else {}
    step = meta.get("iter")
    if type(step) is not int or "epoch" not in meta or not checkpoint.keys() >= TRAINING_STATE:
        raise LussError(
            f"{path} has no training state to resume from; give an iter_<N>.pth of a stage, or "
            "start from its weights: stages.<name>.weights=FILE"
        )
    target = folder / f"iter_{step}.pth"
    content = path.read_bytes()
    if not target.exists() or target.read_bytes() != content:
        if target.exists():
            _set_aside(target)
        with atomic_write(target) as file:
            file.write(content)
    for other in folder.glob("*.pth"):
        if (_step(other) or 0) > step:
            _set_aside(other)
    return target


def _step(path: Path) -> int | None:
    """Return the number of iterations of ``iter_<N>.pth`` or ``best_<metric>_iter_<N>.pth``."""
    best, _, end = path.name.rpartition("_iter_")
    return checkpoint_step(f"iter_{end}" if best.startswith("best_") else path)


def _set_aside(path: Path) -> None:
    path.replace(f"{path}{_SET_ASIDE}")
