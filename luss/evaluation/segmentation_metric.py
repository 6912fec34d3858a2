"""ImageNet-S metrics inside MMEngine's test and validation loops."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object, all_reduce, get_world_size, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from luss.errors import LussError
from luss.evaluation.counting import count_image
from luss.evaluation.counts import Counts, ImageCounts, check_numbers
from luss.evaluation.dump_masks import ids_of
from luss.evaluation.folders import FolderPair, Problems, count_masks
from luss.evaluation.match_source import MatchSource
from luss.evaluation.matching import apply_match
from luss.evaluation.metrics import (
    IMAGENET_S,
    absent_classes,
    compute_metrics,
    describe_absent,
    named_metrics,
    per_class_table,
)
from luss.evaluation.seen_images import SeenImages
from luss.ranks import fail_together
from luss.registry import METRICS

__all__ = ["SegmentationMetric"]

_FILES = ("image_id", "seg_map_path", "mask_encoding", "mask_id_shift")
"""What a second pass needs of an image: its id, and its true mask."""


@METRICS.register_module()
class SegmentationMetric(BaseMetric):
    """All metrics of ImageNet-S, in percent: mIoU, b-mIoU, Img-Acc, F_beta and by object size.

    Only sums are kept, and added up across ranks; an image that a sampler hands out twice to make
    ranks even is counted once. An image that does not fit is an error at once; of several ranks,
    which would wait for the one that fails, all raise it at the end.

    Args:
        num_classes: C, true classes without 'other'; by default those of the data set's
            ``classes``, of which the first is 'other'.
        match: true id of each generated id, as (G+1,) array or an official ``match.json`` that
            is read when the first image arrives; by default predictions hold true ids.
        matcher: instead of ``match``, find it on these images; config of one of ``MATCHERS``.
        num_generated: G, only with a match or a matcher; by default C with a matcher.
        match_file: with ``matcher``, where to write the match that was found.
        variants: further matches of the same predictions, name -> ``match``, or ``matcher`` and
            perhaps ``match_file`` and ``joined``, see :class:`MatchSource`; their metrics are
            called ``<name>/<metric>``.
        predictions: folder where ``DumpMasks`` writes the predictions. They are read once more
            for a match that joins generated ids, as when there are more of them than true classes
            (table 6), or where people have merged some; the true masks are those that samples name
            by ``seg_map_path``.
        metrics: names of ``COUNT_METRICS``, see :func:`luss.evaluation.named_metrics`.
        boundary: whether to count boundaries (b-mIoU, BS, BMS, BML, BL).
        without_other: add every metric of ImageNet-S without class 0, under '<name> without
            other'.
        per_class: log the table of IoU by class.
        **kwargs: of ``mmengine.evaluator.BaseMetric``, such as ``prefix``.

    Raises:
        LussError: if options exclude each other; later, if masks, ids or images do not fit.
    """

    # Without one, MMEngine warns.
    default_prefix = ""

    def __init__(
        self,
        num_classes: int | None = None,
        *,
        match: Sequence[int] | np.ndarray | str | os.PathLike | None = None,
        matcher: Mapping[str, Any] | None = None,
        num_generated: int | None = None,
        match_file: str | os.PathLike | None = None,
        variants: Mapping[str, Mapping[str, Any]] | None = None,
        predictions: str | os.PathLike | None = None,
        metrics: Sequence[str | dict] = IMAGENET_S,
        boundary: bool = True,
        without_other: bool = False,
        per_class: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.source: MatchSource | None = None
        if match is not None or matcher is not None:
            self.source = MatchSource(match, matcher, match_file)
        elif num_generated is not None or match_file is not None or variants:
            raise LussError(
                "num_generated, match_file and variants need a matcher or a match in "
                "SegmentationMetric"
            )
        if num_classes is not None:
            check_numbers(num_classes, num_generated)
        self.variants = {name: MatchSource(**of) for name, of in (variants or {}).items()}
        self.num_classes = num_classes
        self.num_generated = num_generated
        # Of generated ids, to which a match is applied afterwards; else each prediction is matched.
        self.counts_generated = matcher is not None or num_generated is not None or bool(variants)
        self.predictions = None if predictions is None else Path(predictions)
        self.functions = named_metrics(metrics, "SegmentationMetric.metrics")
        self.boundary = boundary
        self.without_other = without_other
        self.per_class = per_class
        self.absent_classes: list[str] | None = None
        """Names of the classes without a true pixel, once images were evaluated."""
        self._forget()

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count a batch.

        Args:
            data_batch: not looked at.
            data_samples: each with ``pred_sem_seg`` and ``gt_sem_seg``, whose ``data`` is
                (1, H, W) or (H, W) integer ids at the image's original size, and, if there are
                several ranks, an identity (``sample_idx``, ``image_id`` or ``img_path``).
        """
        for sample in data_samples:
            files = tuple(map(sample.get, _FILES))
            if not self._seen.is_new(sample, files if self.predictions else None):
                continue
            try:
                image = self._count(ids_of(sample, "pred_sem_seg"), ids_of(sample, "gt_sem_seg"))
            except LussError as error:
                name = sample.get("img_path", sample.get("image_id", "without a name"))
                message = f"image {name}: {error}"
                if get_world_size() == 1:
                    raise LussError(message) from error
                self._problems.add("images cannot be counted", message)
                continue
            if self._last is not None:
                self._counts.add(self._last)
            self._last = image

    def evaluate(self, size: int) -> dict[str, float]:
        """Add up the counts of all ranks and return the metrics on each of them.

        Args:
            size: number of images of the data set.

        Returns:
            In percent, NaN where a metric is not defined.

        Raises:
            LussError: on all ranks, if images of any of them do not fit, another number of images
                was counted, a rank cannot tell which, or all their pixels are ignored.
        """
        try:
            counts = self._counts_of_all_ranks(size)
            metrics = self.compute_metrics([counts])
        finally:
            self._forget()
        return {f"{self.prefix}/{name}" if self.prefix else name: metrics[name] for name in metrics}

    def compute_metrics(self, results: list[Counts]) -> dict[str, float]:
        """Return the metrics of summed counts, in percent.

        Args:
            results: the sum, as the one element.
        """
        (counts,) = results
        absent = absent_classes(counts, (self.dataset_meta or {}).get("classes"))
        # A validation comes back every epoch.
        if absent and absent != self.absent_classes:
            print_log(describe_absent(absent), "current")
        self.absent_classes = absent
        if not self.counts_generated:
            return self._metrics_of(counts, self.per_class)
        metrics = self._metrics_of(self._matched(counts, self.source), self.per_class)
        for variant, source in self.variants.items():
            found = self._metrics_of(self._matched(counts, source))
            metrics |= {f"{variant}/{name}": value for name, value in found.items()}
        return metrics

    def _metrics_of(self, counts: Counts, per_class: bool = False) -> dict[str, float]:
        """Metrics of counts over true ids."""
        metrics = _in_percent(self.functions(counts))
        if self.without_other:
            without = _in_percent(compute_metrics(counts, without_other=True))
            metrics |= {f"{name} without other": value for name, value in without.items()}
        with fail_together():
            if per_class and is_main_process():
                names = (self.dataset_meta or {}).get("classes")
                print_log(per_class_table(counts, names), logger="current")
        return metrics

    def _counts_of_all_ranks(self, size: int) -> Counts:
        with fail_together():
            if self._counts is None:
                self._begin()
        sum(all_gather_object(self._problems), Problems()).refuse("nothing was evaluated")
        if self._seen.last_is_repeated(size):
            del self._seen.facts[next(reversed(self._seen.facts))]
        elif self._last is not None:
            self._counts.add(self._last)
        return _sum_over_ranks(self._counts)

    def _forget(self) -> None:
        self._counts: Counts | None = None
        self._true_of: np.ndarray | None = None
        # The sampler repeats at most one image a rank, its last, which hence waits for the end.
        self._last: ImageCounts | None = None
        self._seen = SeenImages()
        self._problems = Problems()

    def _begin(self) -> None:
        classes = self.num_classes
        if classes is None:
            if not (self.dataset_meta or {}).get("classes"):
                raise LussError("SegmentationMetric needs num_classes: the data set names none")
            classes = len(self.dataset_meta["classes"]) - 1
        sources = [self.source, *self.variants.values()] if self.source else []
        given = [source.given(classes) for source in sources]
        if given and not self.counts_generated:
            self._true_of = given[0]
        self._counts = Counts.zeros(classes, self.num_generated, self.boundary)

    def _count(self, prediction: np.ndarray, truth: np.ndarray) -> ImageCounts:
        if self._counts is None:
            self._begin()
        if self._true_of is not None:
            prediction = apply_match(prediction, self._true_of)
        counts = self._counts
        return count_image(
            prediction, truth, counts.num_classes, counts.num_generated, self.boundary
        )

    def _matched(self, counts: Counts, source: MatchSource) -> Counts:
        """Counts over true ids: by arithmetic, or by reading the predictions again."""
        joined = counts
        if source.joined is not None:
            joined = self._count_again(counts, source, source.joined, counts.num_generated)
        match = source.of(joined)
        if counts.can_match(match):
            return counts.matched(match)
        return self._count_again(counts, source, match, counts.num_classes)

    def _count_again(
        self, counts: Counts, source: MatchSource, match: np.ndarray, num_matched: int
    ) -> Counts:
        """Counts over the ids 0..``num_matched`` that a match gives to those of predictions."""
        if len(match) != counts.num_generated + 1:
            raise LussError(
                f"{len(match) - 1} categories are merged or kept, but the model has "
                f"{counts.num_generated}"
            )
        if self.predictions is None:
            raise LussError(
                f"generated categories are joined, as they are merged, or more than the "
                f"{counts.num_classes} true ones, which takes a second pass: give "
                "the folder of DumpMasks as predictions"
                + (
                    f", or evaluate again with match={str(source.match_file)!r}"
                    if source.match_file is not None
                    else ", or match_file, then evaluate again with match=that file"
                )
            )
        files = self._seen.facts.values()
        with fail_together():
            if self._seen.unnamed or any(None in of_image[:2] for of_image in files):
                raise LussError(
                    "images came without image_id or seg_map_path, by which the predictions are "
                    "read once more; add them to the meta_keys of the pipeline"
                )
            pair = FolderPair(
                {name: self.predictions / f"{name}.png" for name, *_ in files},
                {name: Path(mask) for name, mask, *_ in files},
                # Those of the data set, hence of all its masks.
                true_encoding=next((of_mask[2] for of_mask in files if of_mask[2]), "rgb"),
                true_id_shift=next((of_mask[3] for of_mask in files if of_mask[3]), 0),
            )
            found, problems = count_masks(
                pair,
                counts.num_classes,
                match=match,
                boundary=self.boundary,
                num_matched=num_matched,
            )
        problems = sum(all_gather_object(problems), Problems())
        problems.refuse(f"the predictions in {self.predictions} cannot be counted")
        return _sum_over_ranks(found)


def _sum_over_ranks(counts: Counts) -> Counts:
    if get_world_size() == 1:
        return counts
    for array in counts.arrays:
        # On the CPU the tensor shares the array's memory; from a GPU it is copied back.
        tensor = torch.from_numpy(array)
        all_reduce(tensor)
    rest = all_gather_object((counts.ties, counts.f_beta, counts.images))
    counts.ties = sum((ties for ties, _, _ in rest), Counter())
    counts.f_beta = sum(f_beta for _, f_beta, _ in rest)
    counts.images = sum(images for _, _, images in rest)
    return counts


def _in_percent(metrics: dict[str, float]) -> dict[str, float]:
    return {name: 100 * value for name, value in metrics.items()}
