"""``plan.json``: the arguments of ``luss train``, and the epochs of each stage."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from luss.errors import LussError
from luss.files import read_json

__all__ = ["PLAN", "check_times", "read_plan"]

PLAN = "plan.json"

_TIMES = ("epochs", "epoch_seconds", "seconds")


def read_plan(path: Path) -> dict[str, Any]:
    """Read the plan of a run that was started; :func:`check_times` checks the rest of it.

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
        raise _damaged(f"{path} is damaged: 'photos' is not an object of digests")
    return plan


def check_times(plan: dict[str, Any], path: Path, trained: Collection[str]) -> None:
    """Check that epochs and seconds of a plan are numbers of the stages that train.

    Raises:
        LussError: with the wrong entry.
    """
    for key in _TIMES:
        times = plan.get(key)
        numbers = times.values() if isinstance(times, dict) else [None]
        if not all(isinstance(number, int | float) for number in numbers):
            raise _damaged(f"{path} is damaged: {key!r} is not an object of numbers")
    if not plan["epochs"].keys() <= set(trained) & plan["epoch_seconds"].keys():
        raise _damaged(f"{path} is damaged: its stages are {', '.join(plan['epochs'])}")


def _damaged(message: str) -> LussError:
    return LussError(
        f"{message}. Only this file contains the epochs of the run; restore it, or choose another "
        "--work-dir"
    )
