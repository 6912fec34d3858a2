"""Means and deviations over seeds in the layout of table 5, as Markdown and for JSON."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from luss.evaluation.counts import SIZE_GROUPS
from luss.evaluation.results import Results

__all__ = ["Methods", "Spread", "as_json", "as_markdown", "main_columns", "spread_of_results"]


@dataclass(frozen=True)
class Spread:
    """A metric over seeds, in percent.

    Attributes:
        values: seed -> value; None where the metric is not defined.
    """

    values: Mapping[int, float | None]

    @property
    def defined(self) -> list[float]:
        """The values that there are."""
        return [value for value in self.values.values() if value is not None]

    @property
    def mean(self) -> float | None:
        """Mean of the values that there are; None if there is none."""
        return statistics.fmean(self.defined) if self.defined else None

    @property
    def deviation(self) -> float | None:
        """Sample standard deviation, by n - 1; None for fewer than two values."""
        return statistics.stdev(self.defined) if len(self.defined) > 1 else None


def spread_of_results(runs: Sequence[tuple[int, Results]]) -> dict[str, dict[str, Spread]]:
    """Gather the metrics of one method by one protocol.

    Args:
        runs: seed and results of each run.

    Returns:
        Split -> metric -> its values, in the order of the first run that has them. A run that
        lacks a metric has None.
    """
    names: dict[str, dict[str, None]] = {}
    for _, results in runs:
        for split, metrics in results.items():
            names.setdefault(split, {}).update(dict.fromkeys(metrics))
    return {
        split: {
            metric: Spread({seed: results.get(split, {}).get(metric) for seed, results in runs})
            for metric in metrics
        }
        for split, metrics in names.items()
    }


Methods = Mapping[str, Mapping[str, Mapping[str, Spread]]]
"""Method -> split -> metric -> values over seeds: one protocol."""

_MAIN = ("mIoU", "b-mIoU", "Img-Acc", "F_beta")
_OF_BOUNDARIES = tuple("B" + group for group in SIZE_GROUPS)
_BY_SIZE = (*SIZE_GROUPS, *_OF_BOUNDARIES)


def main_columns(methods: Methods) -> list[tuple[str, str]]:
    """Metric and split of each column: the paper's metrics, then all others but those by size."""
    pairs = _pairs(methods)
    splits = _ordered({split for _, split in pairs}, ("val", "test"))
    metrics = [metric for metric, _ in pairs if metric not in _BY_SIZE]
    names = _ordered(dict.fromkeys(metrics), _MAIN)
    return [(name, split) for name in names for split in splits if (name, split) in pairs]


def size_columns(methods: Methods) -> list[tuple[str, str]]:
    """Metric and split of each column by object size: on test, or on validation without it."""
    pairs = _pairs(methods)
    for split in ("test", "val"):
        if found := [(name, split) for name in _BY_SIZE if (name, split) in pairs]:
            return found
    return []


def as_markdown(protocol: str, methods: Methods) -> str:
    """Return the tables of a protocol: all objects, and by size of the object.

    A cell is 'mean ± deviation' with one digit, as in the paper; only the mean for one seed; '-'
    if the metric is not defined. If fewer runs than those of the row have the metric, the cell
    contains their number.

    Args:
        protocol: its name, for the heading.
        methods: the rows.
    """
    parts = [f"## {_title(protocol)}\n", _table(methods, main_columns(methods), _main_heading)]
    if by_size := size_columns(methods):
        parts += [f"By size of the object, {by_size[0][1]}:\n"]
        parts += [_table(methods, by_size, _size_heading)]
    return "\n".join(parts)


def as_json(methods: Methods) -> dict[str, Any]:
    """Return method -> split -> metric -> mean, deviation, n and values by seed."""
    return {
        method: {
            split: {
                metric: {
                    "mean": spread.mean,
                    "deviation": spread.deviation,
                    "n": len(spread.defined),
                    "values": {str(seed): value for seed, value in spread.values.items()},
                }
                for metric, spread in metrics.items()
            }
            for split, metrics in splits.items()
        }
        for method, splits in methods.items()
    }


def _table(methods: Methods, columns: Sequence[tuple[str, str]], heading: Any) -> str:
    rows = [["method", "n", *(heading(metric, split) for metric, split in columns)]]
    for method, splits in methods.items():
        seeds = _seeds(splits)
        cells = [_cell(splits.get(split, {}).get(metric), seeds) for metric, split in columns]
        rows.append([method.replace("|", "\\|"), str(seeds), *cells])
    # A line of hyphens needs three signs.
    widths = [max(3, *map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    lines = (
        [row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]
        for row in rows
    )
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _cell(spread: Spread | None, seeds: int) -> str:
    if spread is None or spread.mean is None:
        return "-"
    text = f"{spread.mean:.1f}"
    if spread.deviation is not None:
        text += f" ± {spread.deviation:.1f}"
    fewer = len(spread.defined) < seeds
    return f"{text} (n={len(spread.defined)})" if fewer else text


def _seeds(splits: Mapping[str, Mapping[str, Spread]]) -> int:
    return max((len(s.values) for metrics in splits.values() for s in metrics.values()), default=0)


def _pairs(methods: Methods) -> dict[tuple[str, str], None]:
    """Metric and split of all that a method has, in order."""
    return {
        (metric, split): None
        for splits in methods.values()
        for split, metrics in splits.items()
        for metric in metrics
    }


def _ordered(names: Any, first: Sequence[str]) -> list[str]:
    return [*(name for name in first if name in names), *(n for n in names if n not in first)]


def _title(protocol: str) -> str:
    return protocol[:1].upper() + protocol[1:].replace("_", " ")


def _main_heading(metric: str, split: str) -> str:
    return f"{metric} {split}"


def _size_heading(metric: str, split: str) -> str:
    return f"b-mIoU {metric[1:]}" if metric in _OF_BOUNDARIES else f"mIoU {metric}"
