"""Report section of metrics: one table per protocol, with notes on the used masks."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from luss.evaluation.counts import SIZE_GROUPS, SIZE_LIMITS
from luss.evaluation.metrics import describe_absent
from luss.visualization.markup import Markup, element, joined, notice
from luss.visualization.sources import Threshold

__all__ = ["how_chosen", "metrics_section", "provenance_section"]

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
_SHOWN_NAMES = {"F_beta": joined("F", element("sub", "β"))}
_SPLIT_NAMES = {"val": "validation"}


def metrics_section(
    results: Mapping[str, Any] | None,
    threshold: Threshold | None,
    matched: bool,
    measurable: bool = True,
) -> Markup:
    """Return the tables of all protocols in ``results.json``.

    Args:
        results: protocol -> split -> metric -> percent, and 'provenance'; None if missing.
        threshold: None if missing.
        matched: whether there is a match of generated to true categories.
        measurable: whether the photos have true masks.
    """
    protocols = {
        name: splits
        for name, splits in (results or {}).items()
        if name != "provenance" and isinstance(splits, Mapping) and _figures(splits)
    }
    if not protocols and not measurable:
        return element(
            "p",
            "Metrics compare predictions with true masks, of which these photos have none. Whether "
            "the categories make sense, the pictures below show.",
            class_="aside",
        )
    if not protocols:
        return notice(
            "There are no metrics: ",
            element("code", "results.json"),
            " is missing or holds none. The stage ",
            element("code", "evaluate"),
            " writes them, for data with true masks.",
        )
    figures = {name: _figures(splits) for name, splits in protocols.items()}
    names = sorted(figures, key=lambda name: name != _PROTOCOL)
    same = {name: _twin(name, figures) for name in names}
    tables = []
    for name in names:
        if same[name] is None:
            notes = [_note_on(name, threshold, matched), _note_on_absent(name, results or {})]
            for other in (other for other in names if same[other] == name):
                notes.append(f"{_title(other)}: the same numbers. {_note_on(other) or ''}")
            tables.append(_table(name, figures[name], [note for note in notes if note]))
    return joined(*tables)


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


def _note_on(
    protocol: str, threshold: Threshold | None = None, matched: bool = False
) -> str | None:
    """Return a note on the numbers of a protocol."""
    for variant, said in _VARIANTS.items():
        if protocol.endswith(f"_{variant}"):
            return said
    return how_chosen(threshold, matched) if protocol == _PROTOCOL else None


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


def how_chosen(threshold: Threshold | None, matched: bool) -> str:
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


def provenance_section(results: Mapping[str, Any] | None) -> Markup:
    """Return the recorded provenance of the numbers."""
    provenance = (results or {}).get("provenance")
    if not isinstance(provenance, Mapping) or not provenance:
        return notice("No provenance is recorded in ", element("code", "results.json"), ".")
    rows = [
        element("div", element("dt", key), element("dd", value))
        for key, value in _flattened("", provenance)
    ]
    return element("dl", *rows, class_="facts")


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


def _table(
    protocol: str, figures: Mapping[str, Mapping[str, float | None]], notes: Sequence[str]
) -> Markup:
    metrics = list(dict.fromkeys(metric for split in figures.values() for metric in split))
    head = element(
        "tr",
        element("th", "Metric, %", scope="col"),
        *(element("th", _SPLIT_NAMES.get(split, split), scope="col") for split in figures),
    )
    rows = [
        element(
            "tr",
            element(
                "th",
                _SHOWN_NAMES.get(metric, metric),
                element("small", _MEANINGS.get(metric, "")),
                scope="row",
            ),
            *(
                element("td", "–" if split.get(metric) is None else f"{split[metric]:.2f}")
                for split in figures.values()
            ),
        )
        for metric in metrics
    ]
    return joined(
        element(
            "table",
            element("caption", _title(protocol)),
            element("thead", head),
            element("tbody", *rows),
        ),
        *(element("p", said, class_="aside") for said in notes),
        None if "test" in figures else notice("There are no numbers on test."),
    )


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
