"""Mean and deviation over seeds."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from luss.evaluation.results import Results

__all__ = ["Spread", "spread_of_results"]


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
