"""``plan.json``: what ``luss train`` was asked for, and how long each stage trains."""

from pathlib import Path
from typing import Any

from luss.errors import LussError
from luss.files import read_json
from luss.planning.schedule import TRAINED

__all__ = ["PLAN", "check_times", "read_plan"]

PLAN = "plan.json"

_TIMES = ("epochs", "epoch_seconds", "seconds")


def read_plan(path: Path) -> dict[str, Any]:
    """Read the plan of a run that was begun; of what it plans, see :func:`check_times`.

    Args:
        path: of the file.

    Raises:
        LussError: if it is damaged.
    """
    try:
        plan = read_json(path)
    except LussError as error:
        raise _damaged(str(error)) from error
    if not isinstance(plan.get("asked"), dict):
        raise _damaged(f"{path} is damaged: it has no object 'asked'")
    photos = plan.get("photos", {})
    if not isinstance(photos, dict) or not all(isinstance(it, str) for it in photos.values()):
        raise _damaged(f"{path} is damaged: 'photos' is no object of digests")
    return plan


def check_times(plan: dict[str, Any], path: Path) -> None:
    """Reject a plan whose epochs and seconds are no numbers of stages that train.

    Raises:
        LussError: naming what is wrong.
    """
    for key in _TIMES:
        times = plan.get(key)
        numbers = times.values() if isinstance(times, dict) else [None]
        if not all(isinstance(number, int | float) for number in numbers):
            raise _damaged(f"{path} is damaged: {key!r} is no object of numbers")
    if not plan["epochs"].keys() <= set(TRAINED) & plan["epoch_seconds"].keys():
        raise _damaged(f"{path} is damaged: it plans the stages {', '.join(plan['epochs'])}")


def _damaged(found: str) -> LussError:
    return LussError(
        f"{found}. The epochs of this run stand only in that file: put it back, or choose another "
        "--work-dir"
    )
