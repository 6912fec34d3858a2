"""``results.json``: the metrics of each protocol, and what they came from."""

from collections.abc import Callable
from pathlib import Path

from mmengine.dist import get_world_size, is_main_process
from mmengine.logging import print_log

from luss.errors import LussError
from luss.evaluation.counts import Counts
from luss.evaluation.metrics import to_percent
from luss.files import read_json, write_json
from luss.pipeline.context import Context
from luss.pipeline.provenance import versions

__all__ = ["metric_table", "metrics_by_split", "write_results"]

Results = dict[str, dict[str, float | None]]

_MAIN = "fully_unsupervised"
"""Its facts are those of the run; the facts of the other protocols stand below their names."""

_SHORT = {"validation": "val"}


def metrics_by_split(
    counts: dict[str, Counts], metrics: Callable[[Counts], dict[str, float]]
) -> Results:
    """Metrics in percent (None where undefined) by split, validation as 'val'.

    Args:
        counts: of true ids, by split.
        metrics: see :func:`luss.evaluation.named_metrics`.
    """
    return {
        _SHORT.get(split, split): to_percent(metrics(of_split))
        for split, of_split in counts.items()
    }


def write_results(
    context: Context, tables: dict[str, Results], facts: dict, report_name: str = "results"
) -> Path:
    """Add protocols to the file of results, beside those that are there, and log their tables.

    Args:
        context: of the run.
        tables: results by name of the protocol; the first is the protocol proper, others are
            variants of it.
        facts: what the numbers came from, such as the checkpoint.
        report_name: stem of the file in the work dir.

    Returns:
        The file.
    """
    path = context.work_dir.root / f"{report_name}.json"
    if is_main_process():
        content = _read_or_set_aside(path)
        provenance = content.pop("provenance", {})
        run = {"seed": context.seed, "config_hash": context.config_hash}
        own = run | {"data_root": context.data["data_root"]} | facts
        protocol = next(iter(tables))
        if protocol == _MAIN:
            provenance |= own
        else:
            # Evaluated with options of its own, perhaps, hence with facts of its own.
            provenance = {**run, **provenance, protocol: own}
        provenance |= {"processes": get_world_size(), "versions": versions()}
        write_json(path, {**content, **tables, "provenance": provenance})
    for name, results in tables.items():
        print_log(f"{name}\n{metric_table(results)}", "current")
    print_log(f"written to {path}", "current")
    return path


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


def metric_table(results: Results) -> str:
    """Lay results out as text, a column a split.

    Args:
        results: split -> metric -> percent, None where it is not defined.
    """
    splits = list(results)
    names = list(results[splits[0]])
    lines = [f"{'%':12}" + "".join(f"{split:>10}" for split in splits)]
    for name in names:
        values = (results[split][name] for split in splits)
        lines.append(
            f"{name:12}" + "".join("         -" if v is None else f"{v:10.2f}" for v in values)
        )
    return "\n".join(lines)
