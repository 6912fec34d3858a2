"""ImageNet-S metrics for MMEngine's test and validation loops."""

import os
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dist import all_gather_object, all_reduce, get_world_size, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from luss.errors import LussError, Problems
from luss.evaluation.counting import count_image
from luss.evaluation.counts import Counts, ImageCounts, check_numbers
from luss.evaluation.dump_masks import ids_of
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

_Masks = tuple[bytes, tuple[int, ...]]
"""Compressed prediction and truth of an image, and their shape."""


@METRICS.register_module()
class SegmentationMetric(BaseMetric):
    """All metrics of ImageNet-S, in percent: mIoU, b-mIoU, Img-Acc, F_beta and by object size.

    Only sums are kept, and added across ranks; images that a sampler repeats are counted once. With
    one rank, an invalid image raises an error at once; with several, all ranks raise it at the end,
    since they would wait for the failed rank otherwise.

    Args:
        num_classes: C, true classes without 'other'; by default from the data set's ``classes``,
            whose first is 'other'.
        match: true id of each generated id, as (G+1,) array or an official ``match.json``, which is
            read at the first image; by default predictions have true ids.
        matcher: config of one of ``MATCHERS`` that finds the match on these images.
        num_generated: G, only with a match or a matcher; by default C with a matcher.
        match_file: with ``matcher``, file to write the match to.
        variants: further matches of the same predictions, name -> arguments of
            :class:`MatchSource`; their metrics are named ``<name>/<metric>``.
        keep_masks: keep all masks in memory, compressed, to count them again after matching. A
            match that joins generated ids changes boundaries and largest classes. By default, if
            there are more generated than true classes (table 6), or categories are merged.
        metrics: names of ``COUNT_METRICS``, see :func:`luss.evaluation.named_metrics`.
        boundary: whether to count boundaries (b-mIoU, BS, BMS, BML, BL).
        without_other: add every metric of ImageNet-S without class 0, under '<name> without
            other'.
        per_class: log the table of IoU by class.
        **kwargs: of ``mmengine.evaluator.BaseMetric``, such as ``prefix``.

    Raises:
        LussError: if options conflict; later, if masks, ids or images are invalid.
    """

    # MMEngine warns without a prefix.
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
        keep_masks: bool = False,
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
                "SegmentationMetric. Set one of them"
            )
        if num_classes is not None:
            check_numbers(num_classes, num_generated)
        self.variants = {name: MatchSource(**of) for name, of in (variants or {}).items()}
        self.num_classes = num_classes
        self.num_generated = num_generated
        # Count generated ids and match the sums; otherwise each prediction is matched at once.
        self.counts_generated = matcher is not None or num_generated is not None or bool(variants)
        self.keep_masks = keep_masks
        self.functions = named_metrics(metrics, "SegmentationMetric.metrics")
        self.boundary = boundary
        self.without_other = without_other
        self.per_class = per_class
        self.absent_classes: list[str] | None = None
        """Names of the classes without a true pixel; None before the first evaluation."""
        self._reset()

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Count a batch.

        Args:
            data_batch: not used.
            data_samples: each with ``pred_sem_seg`` and ``gt_sem_seg``, whose ``data`` is
                (1, H, W) or (H, W) integer ids at the image's original size, and, if there are
                several ranks, an identity (``sample_idx``, ``image_id`` or ``img_path``).
        """
        for sample in data_samples:
            if not self._seen.is_new(sample):
                continue
            masks = None
            try:
                prediction, truth = ids_of(sample, "pred_sem_seg"), ids_of(sample, "gt_sem_seg")
                image = self._count(prediction, truth)
                if self._keeps_masks:
                    masks = _compressed(prediction, truth)
            except LussError as error:
                name = sample.get("img_path", sample.get("image_id", "without a name"))
                message = f"image {name}: {error}"
                if get_world_size() == 1:
                    raise LussError(message) from error
                self._problems.add("images cannot be counted", message)
                continue
            self._add_last((image, masks))

    def evaluate(self, size: int) -> dict[str, float]:
        """Add the counts of all ranks, and return the metrics on each rank.

        Args:
            size: number of images of the data set.

        Returns:
            Metrics in percent, NaN if undefined.

        Raises:
            LussError: on all ranks, if images are invalid, the number of images differs, repeated
                images cannot be detected, or all pixels are ignored.
        """
        try:
            counts = self._counts_of_all_ranks(size)
            metrics = self.compute_metrics([counts])
        finally:
            self._reset()
        return {f"{self.prefix}/{name}" if self.prefix else name: metrics[name] for name in metrics}

    def compute_metrics(self, results: list[Counts]) -> dict[str, float]:
        """Return the metrics of summed counts, in percent.

        Args:
            results: the sum, as the only element.
        """
        (counts,) = results
        absent = absent_classes(counts, (self.dataset_meta or {}).get("classes"))
        # Validation runs every epoch: log the same classes once.
        if absent and absent != self.absent_classes:
            print_log(describe_absent(absent), "current")
        self.absent_classes = absent
        if not self.counts_generated or self.source is None:
            return self._metrics_of(counts, self.per_class)
        metrics = self._metrics_of(self._matched(counts, self.source), self.per_class)
        for variant, source in self.variants.items():
            found = self._metrics_of(self._matched(counts, source))
            metrics |= {f"{variant}/{name}": value for name, value in found.items()}
        return metrics

    def _metrics_of(self, counts: Counts, per_class: bool = False) -> dict[str, float]:
        """Return the metrics of counts over true ids."""
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
            counts = self._require_counts()
        sum(all_gather_object(self._problems), Problems()).raise_if_any("nothing was evaluated")
        if not self._seen.last_is_repeated(size):
            self._add_last(None)
        return _sum_over_ranks(counts)

    def _reset(self) -> None:
        self._counts: Counts | None = None
        self._true_of: np.ndarray | None = None
        # A sampler may repeat the last image of a rank, so that image is added at the end.
        self._last: tuple[ImageCounts, _Masks | None] | None = None
        self._keeps_masks = False
        self._masks: list[_Masks] = []
        self._seen: SeenImages = SeenImages()
        self._problems: Problems = Problems()

    def _add_last(self, following: tuple[ImageCounts, _Masks | None] | None) -> None:
        if self._last is not None:
            image, masks = self._last
            self._require_counts().add(image)
            if masks is not None:
                self._masks.append(masks)
        self._last = following

    def _require_counts(self) -> Counts:
        """Return the counts; create them at the first image."""
        if self._counts is not None:
            return self._counts
        classes = self.num_classes
        if classes is None:
            names = (self.dataset_meta or {}).get("classes")
            if not names:
                raise LussError(
                    "the data set has no classes in its metainfo. Set num_classes of "
                    "SegmentationMetric"
                )
            classes = len(names) - 1
        sources = [self.source, *self.variants.values()] if self.source else []
        given = [match for source in sources if (match := source.given(classes)) is not None]
        if given and not self.counts_generated:
            self._true_of = given[0]
        else:
            self._keeps_masks = bool(sources) and (
                self.keep_masks
                or (self.num_generated or classes) > classes
                or any(source.joined is not None for source in sources)
                or any(len(np.unique(match)) <= (self.num_generated or classes) for match in given)
            )
        self._counts = Counts.zeros(classes, self.num_generated, self.boundary)
        return self._counts

    def _count(self, prediction: np.ndarray, truth: np.ndarray) -> ImageCounts:
        counts = self._require_counts()
        if self._true_of is not None:
            prediction = apply_match(prediction, self._true_of)
        return count_image(
            prediction, truth, counts.num_classes, counts.num_generated, self.boundary
        )

    def _matched(self, counts: Counts, source: MatchSource) -> Counts:
        """Return counts over true ids, from the sums or by counting the predictions again."""
        joined = counts
        if source.joined is not None:
            joined = self._count_again(counts, source.joined, counts.num_generated)
        match = source.of(joined)
        if counts.can_match(match):
            return counts.matched(match)
        return self._count_again(counts, match, counts.num_classes)

    def _count_again(self, counts: Counts, match: np.ndarray, num_matched: int) -> Counts:
        """Return counts over the ids 0..``num_matched`` that a match gives to predictions."""
        if len(match) != counts.num_generated + 1:
            raise LussError(
                f"`joined` has {len(match) - 1} categories, but the model has "
                f"{counts.num_generated}. Use the names of this model's categories"
            )
        if not self._keeps_masks:
            raise LussError(
                "the match joins generated categories, so the predictions must be counted again; "
                "set keep_masks=True in SegmentationMetric"
            )
        found = Counts.zeros(counts.num_classes, num_matched, self.boundary)
        with fail_together():
            for masks in self._masks:
                prediction, truth = _uncompressed(masks)
                matched = apply_match(prediction, match)
                found.add(
                    count_image(matched, truth, counts.num_classes, num_matched, self.boundary)
                )
        return _sum_over_ranks(found)


def _compressed(prediction: np.ndarray, truth: np.ndarray) -> _Masks:
    ids = np.stack([prediction, truth]).astype(np.uint16)
    return zlib.compress(ids.tobytes(), level=1), truth.shape


def _uncompressed(masks: _Masks) -> np.ndarray:
    """Return prediction and truth, (2, H, W) uint16."""
    content, shape = masks
    return np.frombuffer(zlib.decompress(content), np.uint16).reshape(2, *shape)


def _sum_over_ranks(counts: Counts) -> Counts:
    if get_world_size() == 1:
        return counts
    for array in counts.arrays:
        # A CPU tensor shares the array's memory; all_reduce copies a GPU tensor back.
        tensor = torch.from_numpy(array)
        all_reduce(tensor)
    rest = all_gather_object((counts.ties, counts.f_beta, counts.images))
    counts.ties = sum((ties for ties, _, _ in rest), Counter())
    counts.f_beta = sum(f_beta for _, f_beta, _ in rest)
    counts.images = sum(images for _, _, images in rest)
    return counts


def _in_percent(metrics: dict[str, float]) -> dict[str, float]:
    return {name: 100 * value for name, value in metrics.items()}
