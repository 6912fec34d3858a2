"""Epochs of each stage, so that a run ends in the given time."""

import math
from collections.abc import Mapping

from mmengine import Config

from luss.errors import LussError

__all__ = ["fitting_batch", "full_schedule", "plan_schedule", "too_short", "trained_stages"]

_REFERENCE = 1200
"""Number of photos that the configs' epochs are chosen for."""

_FEWEST_EPOCHS = {"pretrain": 20, "pixel_attention": 2, "finetune": 5}
_SHARES = {"pixel_attention": 0.05, "finetune": 0.3}
"""Largest share of the training time; pretraining gets the rest."""

_SHARES_WITHOUT_PRETRAINING = {"pixel_attention": 0.25, "finetune": 0.75}
_SMALL = 10
_SMALLEST_BATCH = 8
_UPDATES_AN_EPOCH = 10
_WEIGHTS = "${facts.weights}"
_LEAST_SHARE = 0.1
"""Warn about stages that train for a smaller share of the full schedule."""


def trained_stages(config: Config) -> tuple[str, ...]:
    """Return the names of the stages that train, in order, without those with pretrained weights.

    Args:
        config: of a run.
    """
    return tuple(
        name
        for name, stage in config.stages.items()
        if stage.get("type") == "Train" and not _is_pretrained(stage, config)
    )


def _is_pretrained(stage: Mapping, config: Config) -> bool:
    given = stage.get("pretrained")
    file = given.get("file") if isinstance(given, Mapping) else given
    return (config.get("weights") if file == _WEIGHTS else file) is not None


def fitting_batch(photos: int, batch_size: int, stage: str = "pretrain") -> int:
    """Return a batch size up to ``batch_size`` so that an epoch drops few photos.

    Folders of ten batches or more keep ``batch_size``.

    Args:
        photos: number of photos.
        batch_size: the largest one.
        stage: name of the stage.
    """
    if stage == "finetune":
        # Small folders need small batches (more updates). Clustering needs large batches to fill
        # its prototypes.
        batch_size = min(batch_size, max(_SMALLEST_BATCH, photos // _UPDATES_AN_EPOCH))
    if photos >= _SMALL * batch_size:
        return batch_size
    return photos // math.ceil(photos / batch_size)


def full_schedule(epochs: Mapping[str, int], photos: int) -> dict[str, int]:
    """Return the epochs of each stage without a time limit: as many views as for 1,200 photos.

    Args:
        epochs: stage -> epochs of the config.
        photos: number of photos.
    """
    return {
        name: max(_FEWEST_EPOCHS.get(name, 1), math.ceil(count * _REFERENCE / photos))
        for name, count in epochs.items()
    }


def plan_schedule(
    full: Mapping[str, int], epoch_seconds: Mapping[str, float], available: float
) -> dict[str, int]:
    """Return the epochs of each stage that fit in the available time.

    Args:
        full: stage -> most epochs; without pretraining if it is reused.
        epoch_seconds: stage -> seconds per epoch.
        available: seconds for all stages.

    Raises:
        LussError: if one epoch of each stage takes longer.
    """
    least = sum(epoch_seconds[name] for name in full)
    if available < least:
        raise LussError(
            f"one epoch of each stage takes {least:.0f} s, but only {available:.0f} s are left"
        )
    shares = _SHARES
    if "pretrain" not in full:
        others = {name: _SHARES_WITHOUT_PRETRAINING.get(name, 0.25) for name in full}
        shares = {name: share / sum(others.values()) for name, share in others.items()}
    # Each stage gets one epoch; the stages share the rest of the time.
    spare = available - least
    planned = {}
    for name in full:
        if name != "pretrain":
            more = int(shares.get(name, 0.0) * spare / epoch_seconds[name])
            planned[name] = min(full[name], 1 + more)
    if "pretrain" in full:
        used = sum((count - 1) * epoch_seconds[name] for name, count in planned.items())
        more = int((spare - used) / epoch_seconds["pretrain"])
        planned["pretrain"] = min(full["pretrain"], 1 + more)
    return {name: planned[name] for name in full}


def too_short(planned: Mapping[str, int], full: Mapping[str, int]) -> str:
    """List the stages that train for less than a tenth of the full schedule, or return ''.

    Args:
        planned: stage -> epochs.
        full: stage -> epochs without a time limit.
    """
    return ", ".join(
        f"{name} trains {count} of {full[name]} epochs"
        for name, count in planned.items()
        if count < _LEAST_SHARE * full[name]
    )
