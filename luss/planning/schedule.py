"""How long each stage trains, so that a run ends in the time that is given."""

import math
from collections.abc import Mapping

from luss.errors import LussError

__all__ = ["TRAINED", "fitting_batch", "full_schedule", "plan_schedule", "too_short"]

TRAINED = ("pretrain", "pixel_attention", "finetune")
"""The stages that train, in order."""

_REFERENCE = 1200
"""Photos for which the configs' epochs are made."""

_FEWEST_EPOCHS = {"pretrain": 20, "pixel_attention": 2, "finetune": 5}
_SHARES = {"pixel_attention": 0.05, "finetune": 0.3}
"""Of the time for training at most; the rest is pretraining's."""

_SHARES_WITHOUT_PRETRAINING = {"pixel_attention": 0.25, "finetune": 0.75}
_SMALL = 10
_LEAST_SHARE = 0.1
"""Of the full schedule; trainings of fewer epochs are named."""


def fitting_batch(photos: int, batch_size: int) -> int:
    """A batch size up to ``batch_size`` by which few photos of a small folder are left over.

    Of folders of more than ten batches, it stays as it is.
    """
    if photos >= _SMALL * batch_size:
        return batch_size
    return photos // math.ceil(photos / batch_size)


def full_schedule(epochs: Mapping[str, int], photos: int) -> dict[str, int]:
    """Epochs of each stage without a limit: as many image views as of 1,200 photos.

    Args:
        epochs: of the config.
        photos: their number.
    """
    return {
        name: max(_FEWEST_EPOCHS.get(name, 1), math.ceil(count * _REFERENCE / photos))
        for name, count in epochs.items()
    }


def plan_schedule(
    full: Mapping[str, int], epoch_seconds: Mapping[str, float], available: float
) -> dict[str, int]:
    """Epochs of each stage in the seconds that are there for training.

    Args:
        full: stage -> epochs at most; pretraining is left out where it is taken from elsewhere.
        epoch_seconds: stage -> seconds an epoch.
        available: seconds for all of them.

    Raises:
        LussError: if not even an epoch of each fits.
    """
    least = sum(epoch_seconds[name] for name in full)
    if available < least:
        raise LussError(f"an epoch of each stage takes {least:.0f} s, {available:.0f} s are left")
    shares = _SHARES if "pretrain" in full else _SHARES_WITHOUT_PRETRAINING
    # An epoch of each is set aside, the rest is shared out.
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
    """Name the stages that train for less than a tenth of their epochs; empty if none does.

    Args:
        planned: stage -> epochs.
        full: stage -> epochs without a limit of time.
    """
    return ", ".join(
        f"{name} trains {count} of {full[name]} epochs"
        for name, count in planned.items()
        if count < _LEAST_SHARE * full[name]
    )
