"""``results.json``: the metrics of each protocol, and their provenance."""

import math
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.dist import get_world_size, is_main_process
from mmengine.evaluator import Evaluator
from mmengine.logging import print_log

from luss.errors import LussError
from luss.evaluation.provenance import versions
from luss.files import read_json, write_json

__all__ = [
    "Results",
    "absent_by_split",
    "metric_table",
    "tables_as_text",
    "tables_of_variants",
    "write_results",
]

Results = dict[str, dict[str, float | None]]
"""Split -> metric -> percent, None if undefined."""

_MAIN = "fully_unsupervised"
"""Protocol whose facts are the run's; other protocols' facts are stored under their names."""

_SHORT = {"validation": "val"}


def tables_of_variants(
    metrics: Mapping[str, Mapping[str, float]], protocol: str
) -> dict[str, Results]:
    """Sort the metrics of a test into tables.

    Args:
        metrics: split -> metric -> percent, NaN if undefined; the metric ``<variant>/<metric>``
            belongs to a variant of the protocol. Splits without metrics are skipped.
        protocol: name of the first table; tables of variants are named ``<protocol>_<variant>``.

    Returns:
        Name of the table -> split (validation as 'val') -> metric -> percent. The protocol's own
        table always exists, but may be empty.
    """
    tables: dict[str, Results] = {protocol: {}}
    for split, of_split in metrics.items():
        for name, value in of_split.items():
            variant, _, metric = name.rpartition("/")
            table = tables.setdefault(f"{protocol}_{variant}" if variant else protocol, {})
            row = table.setdefault(_SHORT.get(split, split), {})
            row[metric] = None if math.isnan(value) else float(value)
    return tables


def absent_by_split(evaluators: Mapping[str, Evaluator]) -> dict[str, list[str]]:
    """Return the classes without a true pixel, which count as IoU 0, by split.

    Args:
        evaluators: split -> evaluator after the test; only ``SegmentationMetric`` is read.

    Returns:
        Split, named as in tables -> names of classes; only splits with such classes.
    """
    found = {}
    for split, evaluator in evaluators.items():
        for metric in evaluator.metrics:
            if absent := getattr(metric, "absent_classes", None):
                found[_SHORT.get(split, split)] = absent
    return found


def write_results(
    path: str | os.PathLike,
    tables: Mapping[str, Results],
    facts: Mapping[str, Any],
    run: Mapping[str, Any],
    gone: Collection[str] = (),
) -> None:
    """Add tables to the file of results, keeping other protocols, and log them.

    Args:
        path: of the file.
        tables: results by name; the first is the protocol, others are its variants.
        facts: provenance of the numbers, such as the data root and the checkpoint.
        run: facts that all protocols share: seed and hash of the config.
        gone: names of outdated tables to remove.
    """
    path = Path(path)
    if is_main_process():
        content = _read_or_set_aside(path)
        provenance = content.pop("provenance", {})
        own = {**run, **facts}
        protocol = next(iter(tables))
        if protocol == _MAIN:
            provenance |= own
        else:
            # A protocol may have been evaluated with other options than the run.
            provenance = {**run, **provenance, protocol: own}
        provenance |= {"processes": get_world_size(), "versions": versions()}
        kept = {name: table for name, table in content.items() if name not in gone}
        write_json(path, {**kept, **tables, "provenance": provenance})
    for text in tables_as_text(tables):
        print_log(text, "current")
    print_log(f"written to {path}", "current")


def _read_or_set_aside(path: Path) -> dict:
    """Read existing results; rename a damaged file, so that new results are not lost."""
    if not path.exists():
        return {}
    try:
        content = read_json(path)
        if not all(isinstance(table, dict) for table in content.values()):
            raise LussError(f"{path} does not contain a table for each protocol")
    except LussError as error:
        path.replace(f"{path}.damaged")
        print_log(
            f"{error}. It was renamed to {path.name}.damaged; evaluate the other protocols again",
            "current",
            level=30,
        )
        return {}
    return content


def tables_as_text(tables: Mapping[str, Results]) -> Iterator[str]:
    """Yield each table as text; a variant equal to the first table becomes one line.

    Args:
        tables: results by name, first the protocol, then its variants.
    """
    first = next(iter(tables))
    for name, results in tables.items():
        if name != first and results == tables[first]:
            yield f"{name}: the same numbers as {first}"
        else:
            yield f"{name}\n{metric_table(results)}"


def metric_table(results: Results) -> str:
    """Format results as text with a column per split.

    Args:
        results: split -> metric -> percent, None if undefined.
    """
    splits = list(results)
    names = list(dict.fromkeys(name for split in splits for name in results[split]))
    lines = [f"{'%':12}" + "".join(f"{split:>10}" for split in splits)]
    for name in names:
        values = (results[split].get(name) for split in splits)
        lines.append(
            f"{name:12}" + "".join("         -" if v is None else f"{v:10.2f}" for v in values)
        )
    return "\n".join(lines)
