"""``threshold.json``: how foreground is told from 'other', and how that was chosen."""

from dataclasses import dataclass, field
from pathlib import Path

from luss.errors import LussError
from luss.files import read_json, write_json

__all__ = ["Threshold", "read_threshold", "write_threshold"]

_ADVICE = "remove done.json beside it and run with --resume: what is damaged is made anew"


@dataclass(frozen=True)
class Threshold:
    """How foreground is told from 'other'.

    Attributes:
        value: in [0, 1], of the map of foreground; None if every image has its own.
        method: how it was found, such as 'validation mIoU' or 'Otsu'.
        thresholds: that were tried.
        scores: of each of them.
        score_name: what the scores are.
        matcher: config of the matcher by which scores were found; None if there was none.
    """

    value: float | None
    method: str
    thresholds: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    score_name: str = "score"
    matcher: dict | None = None

    @property
    def without_labels(self) -> bool:
        """Whether no mask was looked at."""
        return "otsu" in self.method.lower()

    def __str__(self) -> str:
        return "of each image's own" if self.value is None else f"{self.value:g}"


def write_threshold(path: Path, threshold: Threshold) -> None:
    """Write the file, whole or not at all; what was not tried has no curve."""
    curve = {
        "name": threshold.score_name,
        "thresholds": threshold.thresholds,
        "values": threshold.scores,
    }
    content = {
        "threshold": threshold.value,
        "method": threshold.method,
        "curve": curve if threshold.thresholds else None,
        **({"matcher": threshold.matcher} if threshold.matcher else {}),
    }
    write_json(path, content)


def read_threshold(path: Path) -> Threshold | None:
    """Read the file; None if there is none.

    Raises:
        LussError: if a key is missing or does not fit.
    """
    if not path.exists():
        return None
    content = read_json(path)
    try:
        curve = content.get("curve") or {}
        value = content["threshold"]
        threshold = Threshold(
            value=None if value is None else float(value),
            method=str(content["method"]),
            thresholds=[float(value) for value in curve.get("thresholds", [])],
            scores=[float(value) for value in curve.get("values", [])],
            score_name=str(curve.get("name", "score")),
            matcher=dict(content["matcher"]) if content.get("matcher") else None,
        )
        if threshold.value is not None and not 0 <= threshold.value <= 1:
            raise ValueError(f"the threshold is {threshold.value}, not in 0..1")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LussError(
            f"{path} does not hold 'threshold', 'method' and 'curve' as expected "
            f"({type(error).__name__}: {error}); {_ADVICE}"
        ) from error
    if len(threshold.thresholds) != len(threshold.scores):
        raise LussError(
            f"the curve in {path} has {len(threshold.thresholds)} thresholds, but "
            f"{len(threshold.scores)} values"
        )
    return threshold
