"""``threshold.json``: the threshold of the foreground, and how it was chosen."""

from dataclasses import dataclass, field
from pathlib import Path

from luss.errors import LussError
from luss.files import read_json, write_json

__all__ = ["Threshold", "read_threshold", "write_threshold"]

_ADVICE = "delete done.json in its folder and run with --resume to recompute it"


@dataclass(frozen=True)
class Threshold:
    """Threshold that separates foreground from 'other'.

    Attributes:
        value: in [0, 1], of the foreground map; None if every image has its own.
        method: how it was chosen, such as 'validation mIoU' or 'Otsu'.
        thresholds: all candidates.
        scores: of each candidate.
        score_name: name of the scores.
        matcher: config of the matcher of the scores; None if there was none.
    """

    value: float | None
    method: str
    thresholds: list[float] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    score_name: str = "score"
    matcher: dict | None = None

    @property
    def without_labels(self) -> bool:
        """Return whether it was chosen without masks."""
        return "otsu" in self.method.lower()

    def __str__(self) -> str:
        return "of each image's own" if self.value is None else f"{self.value:g}"


def write_threshold(path: Path, threshold: Threshold) -> None:
    """Write the file atomically; without candidates there is no curve."""
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
    """Read the file; return None if it does not exist.

    Raises:
        LussError: if a key is missing or invalid.
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
            raise ValueError(f"the threshold is {threshold.value}, expected 0..1")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise LussError(
            f"{path} has no valid 'threshold', 'method' and 'curve' "
            f"({type(error).__name__}: {error}); {_ADVICE}"
        ) from error
    if len(threshold.thresholds) != len(threshold.scores):
        raise LussError(
            f"the curve in {path} has {len(threshold.thresholds)} thresholds, but "
            f"{len(threshold.scores)} values; {_ADVICE}"
        )
    return threshold
