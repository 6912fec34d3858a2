"""ImageNet-S metrics inside MMEngine's test and validation loops."""

import os
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dist import (
    all_gather_object,
    all_reduce,
    get_rank,
    get_world_size,
    is_main_process,
)
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from luss.errors import LussError
from luss.evaluation.counting import count_image
from luss.evaluation.counts import Counts, ImageCounts, check_numbers
from luss.evaluation.dump_masks import ids_of
from luss.evaluation.folders import Problems
from luss.evaluation.matching import apply_match, read_match, write_match
from luss.evaluation.metrics import compute_metrics, per_class_table
from luss.ranks import fail_together
from luss.registry import MATCHERS, METRICS

__all__ = ["SegmentationMetric"]

_IDENTITIES = ("sample_idx", "image_id", "img_path")


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
        num_generated: G, only with ``matcher``; by default C.
        match_file: with ``matcher``, where to write the match that was found.
        boundary: whether to count boundaries (b-mIoU, BS, BMS, BML, BL).
        without_other: add every metric without class 0, under '<name> without other'.
        per_class: log the table of IoU by class.
        **kwargs: of ``mmengine.evaluator.BaseMetric``, such as ``prefix``.

    Raises:
        LussError: if options exclude each other; later, if masks, ids or images do not fit.
    """

    def __init__(
        self,
        num_classes: int | None = None,
        *,
        match: Sequence[int] | np.ndarray | str | os.PathLike | None = None,
        matcher: Mapping[str, Any] | None = None,
        num_generated: int | None = None,
        match_file: str | os.PathLike | None = None,
        boundary: bool = True,
        without_other: bool = False,
        per_class: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if match is not None and matcher is not None:
            raise LussError("SegmentationMetric takes a match or a matcher, not both")
        if matcher is None and (num_generated is not None or match_file is not None):
            raise LussError("num_generated and match_file need a matcher in SegmentationMetric")
        if num_classes is not None:
            check_numbers(num_classes, num_generated)
        self.num_classes = num_classes
        self.match = match
        self.matcher = None if matcher is None else MATCHERS.build(dict(matcher))
        self.num_generated = num_generated
        self.match_file = match_file
        self.boundary = boundary
        self.without_other = without_other
        self.per_class = per_class
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
            # Joined data sets may share indices, but then differ in paths.
            identity = tuple(sample[key] for key in _IDENTITIES if key in sample)
            if identity in self._seen:
                continue
            if identity:
                self._seen[identity] = None
            else:
                self._anonymous += 1
            try:
                image = self._count(ids_of(sample, "pred_sem_seg"), ids_of(sample, "gt_sem_seg"))
            except LussError as error:
                message = f"image {sample.get('img_path', identity)}: {error}"
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
        if self.matcher is not None:
            counts = counts.matched(self._find_match(counts))
        metrics = _in_percent(compute_metrics(counts))
        if self.without_other:
            without = _in_percent(compute_metrics(counts, without_other=True))
            metrics |= {f"{name} without other": value for name, value in without.items()}
        with fail_together():
            if self.per_class and is_main_process():
                names = (self.dataset_meta or {}).get("classes")
                print_log(per_class_table(counts, names), logger="current")
        return metrics

    def _counts_of_all_ranks(self, size: int) -> Counts:
        with fail_together():
            if self._counts is None:
                self._begin()
        ranks = all_gather_object((list(self._seen), self._anonymous, self._problems))
        sum((found for _, _, found in ranks), Problems()).refuse("nothing was evaluated")
        _check_all_seen([(seen, anonymous) for seen, anonymous, _ in ranks], size)
        counts = self._counts
        if self._last is not None and not _last_is_repeated([r[0] for r in ranks], get_rank()):
            counts.add(self._last)
        return _sum_over_ranks(counts)

    def _forget(self) -> None:
        self._counts: Counts | None = None
        self._true_of: np.ndarray | None = None
        # The sampler repeats at most one image a rank, its last, which hence waits for the end.
        self._last: ImageCounts | None = None
        self._seen: dict[Hashable, None] = {}
        self._anonymous = 0
        self._problems = Problems()

    def _begin(self) -> None:
        classes = self.num_classes
        if classes is None:
            if not (self.dataset_meta or {}).get("classes"):
                raise LussError("SegmentationMetric needs num_classes: the data set names none")
            classes = len(self.dataset_meta["classes"]) - 1
        if isinstance(self.match, str | os.PathLike):
            self._true_of = read_match(self.match, classes)
        elif self.match is not None:
            self._true_of = np.asarray(self.match, np.int64)
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

    def _find_match(self, counts: Counts) -> np.ndarray:
        match = self.matcher(counts)
        with fail_together():
            if self.match_file is not None and is_main_process():
                write_match(self.match_file, match)
        if not counts.can_match(match):
            raise LussError(
                f"the model generated more categories than the {counts.num_classes} true ones, "
                "and what is left over joins other categories, which takes a second pass: "
                + (
                    f"evaluate again with match={str(self.match_file)!r}"
                    if self.match_file is not None
                    else "give match_file, then evaluate again with match=that file"
                )
            )
        return match


def _check_all_seen(ranks: list[tuple[list, int]], size: int) -> None:
    anonymous = sum(unnamed for _, unnamed in ranks)
    if anonymous and len(ranks) > 1:
        raise LussError(
            f"{anonymous} images came without {' or '.join(_IDENTITIES)}, so that images which "
            "the sampler repeats cannot be told: add one to the meta_keys of the pipeline"
        )
    counted = len({identity for seen, _ in ranks for identity in seen}) + anonymous
    if counted != size:
        raise LussError(f"{counted} images were evaluated, but the data set has {size}")
    repeated = sum(len(seen) for seen, _ in ranks) + anonymous - counted
    droppable = sum(_last_is_repeated([s for s, _ in ranks], rank) for rank in range(len(ranks)))
    if repeated > droppable:
        raise LussError(
            f"{repeated} images were evaluated by several ranks, expected the last of a rank at "
            "most; use MMEngine's DefaultSampler with shuffle=False"
        )


def _last_is_repeated(seen: list[list], rank: int) -> bool:
    """Whether the last image of a rank is counted by another one."""
    if not seen[rank]:
        return False
    last = seen[rank][-1]
    return any(
        last in (others if other < rank else others[:-1])
        for other, others in enumerate(seen)
        if other != rank
    )


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
