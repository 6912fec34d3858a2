"""ImageNet-S metrics for MMEngine's test and validation loops."""

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
"""Keys of an image that a second pass needs: its id, and its true mask."""


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
        predictions: folder where ``DumpMasks`` writes the predictions. A match that joins generated
            ids, such as with more of them than true classes (table 6) or with merged categories,
            changes boundaries and largest classes, so predictions and true masks
            (``seg_map_path``) are read and counted again.
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
                "SegmentationMetric. Set one of them"
            )
        if num_classes is not None:
            check_numbers(num_classes, num_generated)
        self.variants = {name: MatchSource(**of) for name, of in (variants or {}).items()}
        self.num_classes = num_classes
        self.num_generated = num_generated
        # Count generated ids and match the sums; otherwise each prediction is matched at once.
        self.counts_generated = matcher is not None or num_generated is not None or bool(variants)
        self.predictions = None if predictions is None else Path(predictions)
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
            self._add_last(image)

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
        if self._seen.last_is_repeated(size):
            del self._seen.facts[next(reversed(self._seen.facts))]
        else:
            self._add_last(None)
        return _sum_over_ranks(counts)

    def _reset(self) -> None:
        self._counts: Counts | None = None
        self._true_of: np.ndarray | None = None
        # A sampler may repeat the last image of a rank, so that image is added at the end.
        self._last: ImageCounts | None = None
        self._seen: SeenImages = SeenImages()
        self._problems: Problems = Problems()

    def _add_last(self, following: ImageCounts | None) -> None:
        if self._last is not None:
            self._require_counts().add(self._last)
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
        given = [source.given(classes) for source in sources]
        if given and not self.counts_generated:
            self._true_of = given[0]
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
            joined = self._count_again(counts, source, source.joined, counts.num_generated)
        match = source.of(joined)
        if counts.can_match(match):
            return counts.matched(match)
        return self._count_again(counts, source, match, counts.num_classes)

    def _count_again(
        self, counts: Counts, source: MatchSource, match: np.ndarray, num_matched: int
    ) -> Counts:
        """Return counts over the ids 0..``num_matched`` that a match gives to predictions."""
        if len(match) != counts.num_generated + 1:
            raise LussError(
                f"`joined` has {len(match) - 1} categories, but the model has "
                f"{counts.num_generated}. Use the names of this model's categories"
            )
        if self.predictions is None:
            file = "match_file" if source.match_file is None else repr(str(source.match_file))
            raise LussError(
                f"the match joins generated categories, for example more than the "
                f"{counts.num_classes} true ones, so predictions must be counted again. Set "
                f"`predictions` to the folder of DumpMasks, or evaluate again with match={file}"
            )
        files = self._seen.facts.values()
        with fail_together():
            if self._seen.unnamed or any(None in of_image[:2] for of_image in files):
                raise LussError(
                    "images have no image_id or seg_map_path, so predictions cannot be counted "
                    "again. Add both to the meta_keys of the pipeline"
                )
            pair = FolderPair(
                {name: self.predictions / f"{name}.png" for name, *_ in files},
                {name: Path(mask) for name, mask, *_ in files},
                # Encoding and shift are the same for all masks of a data set.
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
        problems.raise_if_any(f"the predictions in {self.predictions} cannot be counted")
        return _sum_over_ranks(found)


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
