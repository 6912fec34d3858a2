"""The scalars that MMEngine's LocalVisBackend wrote while a stage trained."""

import json
import math
from collections.abc import Iterable
from pathlib import Path

__all__ = ["Series", "read_scalars", "shown_names"]

Series = dict[int, float]
"""The value of each step, in the order of steps."""

_BOOK_KEEPING = frozenset({"time", "data_time", "memory", "iter", "epoch", "base_lr", "eta"})


def read_scalars(stage_dir: Path) -> dict[str, Series]:
    """Read the scalars of a stage, over all its resumes.

    Every start of a stage writes a file of its own. A resumed run repeats the steps after the
    last checkpoint: the value written last counts.

    Args:
        stage_dir: holds ``<timestamp>/vis_data/scalars.json``, a JSON object a line with 'step'.

    Returns:
        A series for each name of a scalar. Values that are no finite numbers are left out, and so
        are lines that are no JSON objects, since a killed run may leave half a line.
    """
    found: dict[str, Series] = {}
    for path in sorted(stage_dir.glob("*/vis_data/scalars.json")):
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                _add_line(found, line)
    return {name: dict(sorted(series.items())) for name, series in found.items() if series}


def shown_names(found: Iterable[str]) -> list[str]:
    """Return the names of scalars to draw, the total loss first, then other losses."""

    def rank(name: str) -> int:
        return 0 if name == "loss" else 1 if "loss" in name else 2

    return sorted(set(found) - _BOOK_KEEPING, key=lambda name: (rank(name), name))


def _add_line(found: dict[str, Series], line: str) -> None:
    try:
        record = json.loads(line)
    except ValueError:
        return
    if not isinstance(record, dict) or not _is_number(record.get("step")):
        return
    step = int(record.pop("step"))
    for name, value in record.items():
        series = found.setdefault(name, {})
        series.pop(step, None)
        if _is_number(value):
            series[step] = float(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
