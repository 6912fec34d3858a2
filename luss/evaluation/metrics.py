"""The metrics of ImageNet-S from sums of counts (paper, section 3.2.2; the released evaluator)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from luss.build_errors import named_functions
from luss.errors import LussError, shorten
from luss.evaluation.counts import F_BETA_UNIT, SIZE_GROUPS, Counts, check_evaluated
from luss.registry import COUNT_METRICS

__all__ = [
    "BOUNDARY_METRICS",
    "IMAGENET_S",
    "REGION_METRICS",
    "ClassIoU",
    "absent_classes",
    "compute_metrics",
    "describe_absent",
    "iou_from_areas",
    "matched_miou",
    "named_metrics",
    "per_class_iou",
    "per_class_table",
    "to_percent",
]

REGION_METRICS = ("mIoU", "Img-Acc", "F_beta", *SIZE_GROUPS)
BOUNDARY_METRICS = ("b-mIoU", *("B" + group for group in SIZE_GROUPS))

IMAGENET_S = ("imagenet_s",)
"""Names of the metrics that are reported by default."""

_ORDER = ("mIoU", "b-mIoU", "Img-Acc", "F_beta", *SIZE_GROUPS, *BOUNDARY_METRICS[1:])


@dataclass(frozen=True)
class ClassIoU:
    """Intersection over union of each class, 'other' first.

    Attributes:
        iou: (C+1,) float64 in 0..1; 0 for a class without pixels.
        true_area: (C+1,) int64 pixels (or boundary pixels) of the truth.
        predicted_area: (C+1,) int64 pixels of the prediction.
    """

    iou: np.ndarray
    true_area: np.ndarray
    predicted_area: np.ndarray


def iou_from_areas(
    intersection: np.ndarray, predicted_area: np.ndarray, true_area: np.ndarray
) -> np.ndarray:
    """Return intersection / (union + 1e-10), of any shape, float64; 0 for an empty union."""
    return intersection / (predicted_area + true_area - intersection + 1e-10)


def matched_miou(confusion: np.ndarray, match: np.ndarray) -> float:
    """Return the mIoU of predictions after a match, equal to :func:`compute_metrics`.

    Regions, unlike boundaries, can be added if a match joins ids.

    Args:
        confusion: (G+1, C+1) integers, pixels by generated and true id, 'other' first.
        match: (G+1,) true id of each generated id.

    Returns:
        0 to 1, mean over C+1 classes.
    """
    joined = np.zeros((confusion.shape[1],) * 2, np.int64)
    np.add.at(joined, match, confusion)
    areas = joined.sum(axis=1), joined.sum(axis=0)
    return float(iou_from_areas(joined.diagonal(), *areas).mean())


def absent_classes(counts: Counts, names: Sequence[str] | None = None) -> list[str]:
    """Return the classes without a true pixel, which count as IoU 0 in mIoU and b-mIoU.

    Args:
        counts: sums over images, of true or generated predictions.
        names: C+1 names, 'other' first; ids are returned if None or of another length.
    """
    if names is None or len(names) != counts.num_classes + 1:
        names = list(map(str, range(counts.num_classes + 1)))
    missing = np.flatnonzero(counts.confusion[0, 0, :, :-1].sum(axis=0) == 0)
    return [names[index] for index in missing.tolist()]


def describe_absent(absent: Sequence[str]) -> str:
    """Return a sentence with up to 20 absent classes and how they are counted."""
    return (
        f"Classes without a true pixel ({len(absent)}): {shorten(absent, 20)}. They count as IoU "
        "0 in mIoU and b-mIoU, as in the official evaluator; S to L and BS to BL exclude them."
    )


def per_class_iou(counts: Counts, boundary: bool = False, group: str | None = None) -> ClassIoU:
    """Return each class's IoU over all images.

    Args:
        counts: sums over images of predictions with true ids (see `Counts.matched`).
        boundary: over boundary pixels instead of all pixels.
        group: one of `SIZE_GROUPS`, by default all sizes.

    Raises:
        LussError: if the counts are of generated ids, or lack boundaries.
    """
    if counts.num_generated != counts.num_classes:
        raise LussError(
            f"the counts have {counts.num_generated} generated and {counts.num_classes} true "
            "classes. Apply a match before computing metrics"
        )
    if boundary and not counts.boundary:
        raise LussError("boundaries were not counted. Count with boundary=True")
    table = counts.confusion[int(boundary), 0 if group is None else 1 + SIZE_GROUPS.index(group)]
    predicted_area, true_area = table.sum(axis=1)[:-1], table.sum(axis=0)[:-1]
    iou = iou_from_areas(table.diagonal()[:-1], predicted_area, true_area)
    return ClassIoU(iou, true_area, predicted_area)


@COUNT_METRICS.register_module(name="imagenet_s")
def compute_metrics(counts: Counts, without_other: bool = False) -> dict[str, float]:
    """Return all metrics of the counts as fractions.

    mIoU and b-mIoU are means over all C+1 classes; a class without a true pixel counts as 0, as in
    the released evaluator (see :func:`absent_classes`). A size group's value is the mean over
    classes with true (boundary) pixels in the group, NaN if there is none. Img-Acc is the fraction
    of images whose truth contains the predicted class of the largest area, without 'other'; the
    lowest id wins a tie. F_beta is the mean over images of F_beta (beta^2 = 0.3) of foreground
    against 'other'.

    Args:
        counts: sums over images of predictions with true ids (see `Counts.matched`).
        without_other: exclude class 0 from all means over classes. Img-Acc and F_beta do not
            change.

    Returns:
        ``mIoU b-mIoU Img-Acc F_beta S MS ML L BS BMS BML BL``, in this order; boundary metrics
        only if boundaries were counted.

    Raises:
        LussError: if there are no images, all their pixels are ignored, or the counts are of
            generated ids.
    """
    check_evaluated(counts.confusion[0, 0, :-1, :-1], counts.images)
    first = 1 if without_other else 0
    metrics = {
        "Img-Acc": _images_right(counts) / counts.images,
        "F_beta": counts.f_beta / (F_BETA_UNIT * counts.images),
    }
    for boundary in (False, True)[: 1 + counts.boundary]:
        mean, prefix = ("b-mIoU", "B") if boundary else ("mIoU", "")
        metrics[mean] = float(per_class_iou(counts, boundary).iou[first:].mean())
        for group in SIZE_GROUPS:
            classes = per_class_iou(counts, boundary, group)
            iou = classes.iou[first:][classes.true_area[first:] > 0]
            metrics[prefix + group] = float(iou.mean()) if iou.size else float("nan")
    return {name: metrics[name] for name in _ORDER if name in metrics}


def named_metrics(
    metrics: Sequence[str | dict], where: str = "metrics"
) -> Callable[[Counts], dict[str, float]]:
    """Return a function that computes all metrics of a list, in its order.

    A metric is a function in ``COUNT_METRICS`` from counts with true ids to a fraction, or to a
    mapping of names to fractions; NaN if undefined.

    Args:
        metrics: names, or ``dict(type=NAME, ...)`` with arguments of the function.
        where: name of the setting, for messages.

    Raises:
        LussError: if a metric or an argument is unknown; when called, if two metrics have one name.
    """
    functions = named_functions(metrics, COUNT_METRICS, where)

    def compute(counts: Counts) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, function in functions:
            values = function(counts)
            values = dict(values) if isinstance(values, Mapping) else {name: float(values)}
            if twice := found.keys() & values.keys():
                raise LussError(f"{where} contains {', '.join(sorted(twice))} twice. Remove one")
            found |= values
        return found

    return compute


def per_class_table(counts: Counts, names: Sequence[str] | None = None) -> str:
    """Return a text table of each class's IoU and boundary IoU in percent, 'other' first.

    Classes without a true pixel are marked.

    Args:
        counts: sums over images of predictions with true ids.
        names: C+1 names, 'other' first; by default the ids.
    """
    names = list(map(str, range(counts.num_classes + 1))) if names is None else list(names)
    if len(names) != counts.num_classes + 1:
        raise LussError(f"there are {len(names)} names, expected {counts.num_classes + 1}")
    columns = {"IoU": per_class_iou(counts)}
    if counts.boundary:
        columns["b-IoU"] = per_class_iou(counts, boundary=True)
    width = max(map(len, ["class", *names]))
    lines = ["  ".join([f"{'class':{width}}", *(f"{title:>6}" for title in columns)])]
    for index, name in enumerate(names):
        values = (f"{100 * column.iou[index]:6.2f}" for column in columns.values())
        remark = [] if columns["IoU"].true_area[index] else ["no true pixel"]
        lines.append("  ".join([f"{name:{width}}", *values, *remark]))
    return "\n".join(lines)


def to_percent(metrics: dict[str, float]) -> dict[str, float | None]:
    """Return the metrics in percent, with None for NaN, which JSON lacks."""
    return {name: None if np.isnan(value) else 100 * value for name, value in metrics.items()}


def _images_right(counts: Counts) -> int:
    right = int(counts.top.diagonal().sum())
    return right + sum(images for (tops, true), images in counts.ties.items() if tops[0] in true)
