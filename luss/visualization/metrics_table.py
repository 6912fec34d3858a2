"""Report section of metrics: one table per protocol, with notes on the used masks."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from markupsafe import Markup

from luss.evaluation.counts import SIZE_GROUPS, SIZE_LIMITS
from luss.evaluation.metrics import describe_absent
from luss.registry import REPORT_SECTIONS
from luss.visualization.markup import Row, render
from luss.visualization.run_files import RunFiles
from luss.visualization.sections import Section
from luss.visualization.sources import Threshold

__all__ = ["in_percent", "metrics", "provenance"]

_PROTOCOL = "fully_unsupervised"
_SIZES = [
    f"up to {SIZE_LIMITS[0]} %",
    *(f"over {low} up to {high} %" for low, high in pairwise(SIZE_LIMITS)),
    f"over {SIZE_LIMITS[-1]} %",
]
_MEANINGS = {
    "mIoU": "intersection over union, mean over all classes and ‘other’",
    "b-mIoU": "the same on boundaries only",
    "Img-Acc": "images whose largest predicted category is in the truth",
    "F_beta": "foreground against ‘other’, precision weighted (β² = 0.3)",
} | {
    prefix + group: f"{mean} where a class covers {size} of its photo"
    for prefix, mean in (("", "mIoU"), ("B", "b-mIoU"))
    for group, size in zip(SIZE_GROUPS, _SIZES, strict=True)
}
_VARIANTS = {
    "named": "A person merged or dropped discovered categories (names.json) before they were "
    "matched, so that these numbers are not fully unsupervised.",
    "pixel_overlap": "Here categories are matched to true classes by the pixels that they share.",
    "image_level": "Here categories are matched to true classes by the images where both occur.",
}
_SHOWN_NAMES = {"F_beta": Markup("F<sub>β</sub>")}
_SPLIT_NAMES = {"val": "validation"}


@REPORT_SECTIONS.register_module()
def metrics(run: RunFiles) -> Section:
    """Return the tables of all protocols in ``results.json``; equal ones are shown once."""
    results = run.results or {}
    figures = {}
    for name in sorted(results, key=lambda name: name != _PROTOCOL):
        if name != "provenance" and isinstance(results[name], Mapping):
            figures[name] = _figures(results[name])
    figures = {name: of_protocol for name, of_protocol in figures.items() if of_protocol}
    twins = {name: _twin(name, figures) for name in figures}
    matched = run.match is not None
    tables = []
    for name in (name for name, twin in twins.items() if twin is None):
        notes = [_note_on(name, run.threshold, matched), _note_on_absent(name, results)]
        for other in (other for other, twin in twins.items() if twin == name):
            notes.append(f"{_title(other)}: the same numbers. {_note_on(other)}")
        tables.append(
            {
                "title": _title(name),
                "columns": [_SPLIT_NAMES.get(split, split) for split in figures[name]],
                "rows": _rows(figures[name]),
                "notes": [note for note in notes if note],
            }
        )
    measurable = run.gallery_split != "train"
    return Section("Metrics", render("metrics", tables=tables, measurable=measurable))


@REPORT_SECTIONS.register_module()
def provenance(run: RunFiles) -> Section | None:
    """Return the recorded provenance of the numbers; None if nothing can be measured."""
    if run.results is None and run.gallery_split == "train":
        return None
    recorded = (run.results or {}).get("provenance")
    facts = _flattened("", recorded) if isinstance(recorded, Mapping) else []
    return Section("Provenance", render("provenance", facts=facts))


def _twin(name: str, figures: Mapping[str, Any]) -> str | None:
    """Return the protocol of a variant if their figures are equal, or None."""
    return next(
        (
            base
            for base in figures
            if name.startswith(f"{base}_") and figures[base] == figures[name]
        ),
        None,
    )


def _note_on(protocol: str, threshold: Threshold | None = None, matched: bool = False) -> str:
    """Return a note on the numbers of a protocol, which may be empty."""
    for variant, said in _VARIANTS.items():
        if protocol.endswith(f"_{variant}"):
            return said
    return _how_chosen(threshold, matched) if protocol == _PROTOCOL else ""


def _note_on_absent(protocol: str, results: Mapping[str, Any]) -> str | None:
    """Return a note on classes without a true pixel, which count as IoU 0."""
    facts = results.get("provenance")
    if isinstance(facts, Mapping) and protocol != _PROTOCOL:
        facts = facts.get(protocol)
    absent = facts.get("absent_classes") if isinstance(facts, Mapping) else None
    if not isinstance(absent, Mapping):
        return None
    said = (
        f"{_SPLIT_NAMES.get(split, split)}: {describe_absent(of)}" for split, of in absent.items()
    )
    return " ".join(said)


def _how_chosen(threshold: Threshold | None, matched: bool) -> str:
    """Return a note on the masks that the fully unsupervised numbers depend on."""
    match = (
        "the match of generated categories to true classes"
        if matched
        else "(no match of generated categories to true classes is recorded)"
    )
    if threshold is None:
        said = "How the threshold was chosen is not recorded"
        return f"{said}; {match} was found on validation masks." if matched else f"{said}."
    if threshold.without_labels:
        return (
            f"The threshold {threshold} was found without labels ({threshold.method}); "
            f"{match}{' was chosen on validation masks' if matched else ''}. No training mask "
            "was used."
        )
    together = f"and {match} were" if matched else f"was {match}"
    return (
        f"The threshold {threshold} ({threshold.method}) {together} chosen on validation "
        "masks. No training mask was used."
    )


def _figures(splits: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    """Return the numbers of each split that has any; None is an undefined metric."""
    figures = {
        split: {
            metric: value
            for metric, value in metrics.items()
            if value is None or (isinstance(value, int | float) and not isinstance(value, bool))
        }
        for split, metrics in splits.items()
        if isinstance(metrics, Mapping)
    }
    return {split: metrics for split, metrics in figures.items() if metrics}


def _rows(figures: Mapping[str, Mapping[str, float | None]]) -> list[Row]:
    names = dict.fromkeys(metric for split in figures.values() for metric in split)
    return [
        Row(
            _SHOWN_NAMES.get(name, name),
            [in_percent(split.get(name)) for split in figures.values()],
            _MEANINGS.get(name, ""),
        )
        for name in names
    ]


def in_percent(value: float | None) -> str:
    """Format a metric with two digits; None is undefined."""
    return "–" if value is None else f"{value:.2f}"


def _title(protocol: str) -> str:
    title = protocol.replace("_", " ")
    return title[:1].upper() + title[1:]


def _flattened(prefix: str, content: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = []
    for key, value in content.items():
        if isinstance(value, Mapping):
            rows += _flattened(f"{prefix}{key}: ", value)
        else:
            rows.append((f"{prefix}{key}", str(value)))
    return rows
