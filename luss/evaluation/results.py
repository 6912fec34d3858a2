"""``results.json``: the metrics of each protocol, and what they came from."""

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
"""Split -> metric -> percent, None where it is not defined."""

_MAIN = "fully_unsupervised"
"""Its facts are those of the run; the facts of the other protocols stand below their names."""

_SHORT = {"validation": "val"}


def tables_of_variants(
    metrics: Mapping[str, Mapping[str, float]], protocol: str
) -> dict[str, Results]:
    """Sort what a test returned into tables.

    Args:
        metrics: split -> metric -> percent, NaN where it is not defined; a metric called
            ``<variant>/<metric>`` belongs to a variant of the protocol. Splits without metrics are
            left out.
        protocol: name of the first table; those of variants are called ``<protocol>_<variant>``.

    Returns:
        Name of the table -> split (validation as 'val') -> metric -> percent. The protocol's own
        table is there, though it may be empty.
    """
    tables: dict[str, Results] = {protocol: {}}
    for split, of_split in metrics.items():
        for name, value in of_split.items():
            variant, _, metric = name.rpartition("/")
            table = tables.setdefault(f"{protocol}_{variant}" if variant else protocol, {})
            shown = table.setdefault(_SHORT.get(split, split), {})
            shown[metric] = None if math.isnan(value) else float(value)
    return tables


def absent_by_split(evaluators: Mapping[str, Evaluator]) -> dict[str, list[str]]:
    """Return the classes without a true pixel, which count as IoU 0, of the splits that have any.

    Args:
        evaluators: split -> evaluator after the test; metrics other than ``SegmentationMetric``
            know of no classes.

    Returns:
        Split, as in tables -> names of classes.
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
    """Add protocols to the file of results, beside those that are there, and log their tables.

    Args:
        path: of the file.
        tables: results by name of the protocol; the first is the protocol proper, others are
            variants of it.
        facts: what the numbers came from, such as the data root and the checkpoint.
        run: what all protocols of the run share: its seed and the hash of its config.
        gone: names of tables that are taken out, since they are not made any more.
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
            # Evaluated with options of its own, perhaps, hence with facts of its own.
            provenance = {**run, **provenance, protocol: own}
        provenance |= {"processes": get_world_size(), "versions": versions()}
        kept = {name: table for name, table in content.items() if name not in gone}
        write_json(path, {**kept, **tables, "provenance": provenance})
    for text in tables_as_text(tables):
        print_log(text, "current")
    print_log(f"written to {path}", "current")


def _read_or_set_aside(path: Path) -> dict:
    """The results that are there; a damaged file must not cost those that were just computed."""
    if not path.exists():
        return {}
    try:
        content = read_json(path)
        if not all(isinstance(table, dict) for table in content.values()):
            raise LussError(f"{path} holds something else than a table for each protocol")
    except LussError as error:
        path.replace(f"{path}.damaged")
        print_log(
            f"{error}; it is now {path.name}.damaged and a new one is begun: evaluate the other "
            "protocols again",
            "current",
            level=30,
        )
        return {}
    return content


def tables_as_text(tables: Mapping[str, Results]) -> Iterator[str]:
    """Yield each table as text; of a variant with the numbers of the first, only that it has them.

    Args:
        tables: results by name of the protocol, variants of the first behind it.
    """
    first = next(iter(tables))
    for name, results in tables.items():
        if name != first and results == tables[first]:
            yield f"{name}: the same numbers as {first}"
        else:
            yield f"{name}\n{metric_table(results)}"


def metric_table(results: Results) -> str:
    """Lay results out as text, a column a split.

    Args:
        results: split -> metric -> percent, None where it is not defined.
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
