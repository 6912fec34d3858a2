"""Step 4: inference, matching and the fully unsupervised protocol (section 3.2.1)."""

from pathlib import Path
from typing import ClassVar

import numpy as np
from mmengine.dist import is_main_process
from mmengine.logging import print_log

from luss.errors import LussError
from luss.evaluation.counts import Counts
from luss.evaluation.matching import read_match, write_match
from luss.evaluation.results import Results
from luss.pipeline.context import Context
from luss.pipeline.inference import load_model
from luss.pipeline.protocols.predictions import (
    evaluation_splits,
    matched_counts,
    metrics_by_split,
    predict_split,
    segment,
)
from luss.pipeline.protocols.protocol_stage import ProtocolStage
from luss.pipeline.work_dir import WorkDir, main_process_decides
from luss.ranks import fail_together
from luss.registry import MATCHERS, MODELS, STAGES
from luss.visualization.sources import read_threshold

__all__ = ["EvaluateStage"]

_NAMES = {"PixelOverlapMatcher": "pixel_overlap", "ImageLevelMatcher": "image_level"}


@STAGES.register_module()
class EvaluateStage(ProtocolStage):
    r"""Predicts the evaluation splits, matches on validation and counts.

    Predictions hold generated ids; ``match.json`` beside them says which true class each one is.
    Without masks the training photos are predicted and nothing is counted.

    A model of a larger split is evaluated on a smaller one (table 6) by the smaller one's
    ``data_root``, the ``num_categories`` that the model was trained with, and its checkpoint::

        python tools/test.py configs/pass/pass_s_in300.py .../in300/finetune/iter_N.pth \
            --work-dir .../in300_on_50 --cfg-options num_categories=300 data_root=.../ImageNetS50

    Of the generated categories as many as there are true classes are matched; the others count as
    'other', or by ``matcher=dict(type='ImageLevelMatcher', unmatched='best')`` as the class that
    fits them best.

    Args:
        name: see :class:`Stage`.
        model_from: the stage that trained the segmentor.
        labels_from: the label generation stage, for how the threshold was chosen.
        matcher: config of one of ``MATCHERS``.
        second_matcher: another, whose metrics are reported beside the first one's; by default
            matching by pixel overlap.
        match: use this ``match.json`` instead of finding a match on validation.
        **kwargs: see :class:`ProtocolStage`.
    """

    protocol = "fully_unsupervised"
    settings: ClassVar[tuple[str, ...]] = ("data", "num_categories")

    def __init__(
        self,
        name: str,
        *,
        model_from: str = "finetune",
        labels_from: str = "label_generation",
        matcher: dict | None = None,
        second_matcher: dict | None = None,
        match: str | None = None,
        **kwargs,
    ) -> None:
        super().__init__(name, model_from, **kwargs)
        self.labels_from = labels_from
        self.matcher = MATCHERS.build(dict(matcher or {"type": "ImageLevelMatcher"}))
        self.second_matcher = MATCHERS.build(dict(second_matcher or _other_than(self.matcher)))
        self.match = match

    def again(self, work_dir: WorkDir, checkpoint: str | None = None) -> "EvaluateStage":
        """As of all protocols; the run's own match is not found again.

        The ids of another model mean something else: its match is found on validation masks.
        """
        stage = super().again(work_dir, checkpoint)
        match = work_dir.stage(self.name) / "match.json"
        if stage.checkpoint is None and stage.match is None and match.exists():
            stage.match = str(match)
        return stage

    def check(self, context: Context) -> None:
        """Build the model and the evaluation sets.

        Raises:
            LussError: if there are masks, but neither a match nor masks to find it with.
        """
        MODELS.build(self.segmentor_config(context, context.num_categories + 1))
        super().check(context)
        splits = context.splits_with_masks
        if splits and "validation" not in splits and self.match is None:
            raise LussError(
                f"{context.data['data_root']} has masks of {', '.join(splits)}, but the match of "
                "generated to true categories is found on validation masks, which are not there; "
                "add validation and validation-segmentation, or set stages."
                f"{self.name}.match to a match.json"
            )

    def evaluate(self, context: Context) -> Results:
        """Predict, match, count, and write ``match.json`` and the results."""
        # Files that may be damaged are read before the long work.
        facts = self._facts(context)
        if self.match is not None:
            read_match(self.match, context.num_true_classes)
        predicted = self._predict(context, evaluation_splits(context))
        counts = {split: found for split, found in predicted.items() if found is not None}
        match = self._match(context, counts)
        tables = {self.protocol: self._metrics(context, counts, match)}
        if "validation" in counts:
            second = main_process_decides(self.second_matcher(counts["validation"]))
            name = type(self.second_matcher).__name__
            variant = f"{self.protocol}_{_NAMES.get(name, name)}"
            tables[variant] = self._metrics(context, counts, second)
        self.write(context, tables, facts)
        return tables[self.protocol]

    def run_without_masks(self, context: Context) -> None:
        """Predict the training photos, for the report."""
        self._predict(context, ["train"])

    def _predict(self, context: Context, splits: list[str]) -> dict[str, Counts | None]:
        categories = context.num_categories
        config = self.segmentor_config(context, categories + 1)
        model = load_model(config, self.checkpoint_path(context), context.device)
        return {
            split: predict_split(
                context,
                split,
                segment(model),
                self.folder(context, split),
                pipeline=self.pipeline,
                num_generated=categories,
                boundary=self.boundary,
                batch_size=self.batch_size,
            )
            for split in splits
        }

    def _match(self, context: Context, counts: dict[str, Counts]) -> np.ndarray:
        """The match of generated to true ids: given, or found on validation, never on test."""
        categories = context.num_categories
        path = context.work_dir.stage(self.name) / "match.json"
        if self.match is not None:
            print_log(f"the match of generated to true categories is {self.match}", "current")
            match = read_match(self.match, context.num_true_classes)
            if len(match) > categories + 1:
                raise LussError(
                    f"{self.match} names {len(match) - 1} generated categories, but the model has "
                    f"{categories}; give the match.json that belongs to it"
                )
            # Ids that are not named count as 'other'.
            return np.pad(match, (0, categories + 1 - len(match)))
        print_log(
            f"the match of generated to true categories is found on validation masks: {path}",
            "current",
        )
        match = main_process_decides(self.matcher(counts["validation"]))
        with fail_together():
            if is_main_process():
                write_match(path, match)
        return match

    def _metrics(self, context: Context, counts: dict[str, Counts], match: np.ndarray) -> Results:
        return metrics_by_split(
            {
                split: matched_counts(context, split, self.folder(context, split), found, match)
                for split, found in counts.items()
            },
            self.metrics,
        )

    def _facts(self, context: Context) -> dict:
        checkpoint = self.checkpoint_path(context)
        chosen = read_threshold(context.work_dir.stage(self.labels_from) / "threshold.json")
        own = context.work_dir.stage(self.name) / "match.json"
        found = self.match is None or Path(self.match) == own
        return {
            "checkpoint": f"{checkpoint.parent.name}/{checkpoint.name}",
            "threshold": chosen.value if chosen else None,
            "threshold_chosen_by": chosen.method if chosen else None,
            "match": f"{type(self.matcher).__name__} on validation masks" if found else self.match,
            "categories": context.num_categories,
        }


def _other_than(matcher) -> dict:
    """The matcher to stand beside one."""
    names = [name for name in _NAMES if name != type(matcher).__name__]
    return {"type": names[0], "unmatched": getattr(matcher, "unmatched", "other")}
