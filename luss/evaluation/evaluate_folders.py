"""Evaluation of a folder of predictions with all metrics of ImageNet-S."""

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from luss.datasets.mask_codec import MaskEncoding
from luss.datasets.mask_tally import MaskTally
from luss.errors import LussError
from luss.evaluation.counts import Counts, check_numbers
from luss.evaluation.folders import FolderPair, count_masks, mask_class_folders, pair_folders
from luss.evaluation.matching import ImageLevelMatcher, PixelOverlapMatcher, read_match
from luss.evaluation.metrics import (
    BOUNDARY_METRICS,
    REGION_METRICS,
    absent_classes,
    compute_metrics,
    describe_absent,
    per_class_iou,
    to_percent,
)

__all__ = ["FIND", "evaluate_folders", "format_result"]

FIND = "find"
"""Value of ``match`` to find the match on the evaluated images."""


def evaluate_folders(
    predicted: str | os.PathLike,
    true: str | os.PathLike,
    num_classes: int | None = None,
    *,
    match: Literal["find"] | str | os.PathLike | None = None,
    num_generated: int | None = None,
    unmatched: str = "other",
    without_other: bool = False,
    per_class: bool = False,
    jobs: int = 1,
    encoding: MaskEncoding = "rgb",
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Evaluate folders of masks.

    Args:
        predicted: folder of ``<class folder>/<image>.png`` (or .npy) predictions.
        true: folder of true masks of the same names.
        num_classes: C; by default the number of class folders of ``true``, which must all contain
            masks.
        match: official ``match.json`` to apply, or `FIND`; by default ids are true ids.
        num_generated: with `FIND`, the largest predicted id; by default C.
        unmatched: treatment of unmatched generated ids, see `luss.evaluation.matching.match_ids`.
        without_other: also return the metrics without class 0.
        per_class: also return IoU by class.
        jobs: number of processes.
        encoding: of the PNG files of both folders, see `luss.datasets.mask_codec.MaskEncoding`.
        progress: called with the numbers of finished and of all images.

    Returns:
        A JSON object: the metrics in percent (None if undefined), ``images``, ``num_classes``,
        ``absent_classes`` (names of classes without a true pixel, see
        `luss.evaluation.metrics.absent_classes`); ``warnings``, if the truths look wrong; and
        depending on the arguments ``match`` (generated to true id), ``pixel_overlap`` (the metrics
        with the second matcher), ``without_other``, ``per_class``.

    Raises:
        LussError: with up to ten files of each kind of problem, and their number.
    """
    if num_generated is not None and match != FIND:
        raise LussError(
            f"num_generated is {num_generated}, but match is {match!r}. Omit it, or set "
            f"match={FIND!r}"
        )
    if num_classes is not None:
        check_numbers(num_classes, num_generated)
    pair = pair_folders(predicted, true)
    names = mask_class_folders(true)
    if num_classes is None:
        num_classes = _number_of_classes(names, pair, true)
        check_numbers(num_classes, num_generated)

    if len(names) == num_classes:
        categories = {name: index for index, name in enumerate(names, 1)}
        pair = replace(pair, categories=categories)
    pair = replace(pair, encoding=encoding)
    images, held = len(pair.names), MaskTally(num_classes)

    def count(known: np.ndarray | None) -> Counts:
        report = None if progress is None else lambda done: progress(done, images)
        generated = num_generated if known is None else None
        counts, problems = count_masks(
            pair,
            num_classes,
            generated,
            known,
            jobs=jobs,
            progress=report,
            # A second pass reads the same truths.
            tally=None if held.with_mask else held,
        )
        problems.raise_if_any(
            f"the predictions in {predicted} do not fit the truths in {true}. Nothing was evaluated"
        )
        return counts

    content: dict[str, Any] = {}
    if match == FIND:
        counts = count(None)
        found = ImageLevelMatcher(unmatched)(counts)
        other = PixelOverlapMatcher(unmatched)(counts)
        by_pixel = _matched(counts, other, count)
        counts = _matched(counts, found, count)
        content["match"] = _match_content(found)
        content["pixel_overlap"] = {
            **to_percent(compute_metrics(by_pixel)),
            "match": _match_content(other),
        }
    elif match is not None:
        known = read_match(match, num_classes)
        counts = count(known)
        content["match"] = _match_content(known)
    else:
        counts = count(None)
    result: dict[str, Any] = {
        **to_percent(compute_metrics(counts)),
        "images": counts.images,
        "num_classes": num_classes,
        "absent_classes": absent_classes(counts, ["other", *names]),
    }
    if doubts := held.doubts(names if len(names) == num_classes else None, encoding):
        result["warnings"] = doubts
    if without_other:
        result["without_other"] = to_percent(compute_metrics(counts, without_other=True))
    if per_class:
        result["per_class"] = _per_class(counts, names)
    return result | content


def format_result(result: Mapping[str, Any]) -> str:
    """Return the result of `evaluate_folders` as tables of text, in percent."""
    rows = {"": result}
    if "pixel_overlap" in result:
        rows = {"image-level matching": result, "pixel-overlap matching": result["pixel_overlap"]}
    if "without_other" in result:
        rows["without 'other'"] = result["without_other"]
    metrics = [name for name in (*REGION_METRICS, *BOUNDARY_METRICS) if name in result]
    width = max(map(len, rows))
    lines = [f"{result['images']} images, {result['num_classes']} classes"]
    lines.append("  ".join([" " * width, *(f"{name:>7}" for name in metrics)]))
    for title, row in rows.items():
        values = ("      -" if row[name] is None else f"{row[name]:7.2f}" for name in metrics)
        lines.append("  ".join([f"{title:{width}}", *values]))
    if result["absent_classes"]:
        lines.append(describe_absent(result["absent_classes"]))
    for entry in result.get("per_class", ()):
        lines.append(f"{entry['IoU']:7.2f}  {entry['b-IoU']:7.2f}  {entry['id']} {entry['name']}")
    return "\n".join(lines)


def _number_of_classes(names: list[str], pair: FolderPair, true: str | os.PathLike) -> int:
    """Return the number of class folders; report folders without a mask as problems of the pair.

    An empty folder would count as a class and shift the ids of later classes.
    """
    if not names:
        raise LussError(f"{true} has no class folders. Give the number of classes")
    held = {name.split("/")[0] for name in pair.true}
    for name in names:
        if name not in held:
            pair.problems.add(
                "class folders without a mask (remove them, or set --num-classes)",
                f"{os.fspath(true)}/{name}",
            )
    return len(names)


def _matched(
    counts: Counts, match: np.ndarray, count: Callable[[np.ndarray | None], Counts]
) -> Counts:
    """Apply a match to the counts, or count again if that is impossible."""
    return counts.matched(match) if counts.can_match(match) else count(match)


def _match_content(match: np.ndarray) -> dict[str, int]:
    return {str(generated): int(true) for generated, true in enumerate(match)}


def _per_class(counts: Counts, names: list[str]) -> list[dict[str, Any]]:
    regions, boundaries = per_class_iou(counts), per_class_iou(counts, boundary=True)
    known = len(names) == counts.num_classes
    return [
        {
            "id": index,
            "name": "other" if index == 0 else names[index - 1] if known else str(index),
            "IoU": 100 * float(regions.iou[index]),
            "b-IoU": 100 * float(boundaries.iou[index]),
            "true_pixels": int(regions.true_area[index]),
            "predicted_pixels": int(regions.predicted_area[index]),
        }
        for index in range(counts.num_classes + 1)
    ]
