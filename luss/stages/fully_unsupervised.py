"""Step 4: inference, matching and the fully unsupervised protocol (section 3.2.1)."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Self

from mmengine.dist import is_main_process
from mmengine.logging import print_log

from luss.errors import LussError
from luss.evaluation.category_names import NAMES_FILE, CategoryNames, category_names_of
from luss.evaluation.matching import read_match
from luss.evaluation.results import Results
from luss.pipeline.context import Context
from luss.pipeline.stage import build_stage
from luss.pipeline.work_dir import WorkDir
from luss.registry import MATCHERS, STAGES
from luss.stages.protocol_stage import ProtocolStage
from luss.visualization.sources import read_threshold

__all__ = ["EvaluateStage", "evaluating_matcher", "other_than"]

_WARNING = 30
_DEFAULT_MATCHER = {"type": "ImageLevelMatcher"}


@STAGES.register_module()
class EvaluateStage(ProtocolStage):
    r"""Predicts the evaluation splits, matches on validation and counts.

    Predictions contain generated ids; ``match.json`` beside them maps each to a true class.
    Without masks the training photos are predicted and nothing is counted.

    A model of a larger split is evaluated on a smaller one (table 6) by the smaller one's
    ``data_root``, the ``num_categories`` that the model was trained with, and its checkpoint::

        python tools/test.py configs/pass/pass_s_in300.py .../in300/finetune/iter_N.pth \
            --work-dir .../in300_on_50 --cfg-options num_categories=300 data_root=.../ImageNetS50

    If the user has merged or dropped categories in ``WORK_DIR/names.json``, the variant
    ``named`` does so with the predictions before it finds a match of its own
    (``match_named.json``). These numbers owe something to whoever looked at the categories, and
    stand beside the others.

    Of the generated categories as many as there are true classes are matched; the others count as
    'other', or by ``matcher=dict(type='ImageLevelMatcher', unmatched='best')`` as the class that
    fits them best.

    Args:
        name: see :class:`Stage`.
        model_from: the stage that trained the segmentor.
        labels_from: the label generation stage, for how the threshold was chosen.
        matcher: config of one of ``MATCHERS``; the threshold of the labels is chosen by it, too.
        second_matcher: another, whose metrics are reported beside the first one's; by default
            matching by pixel overlap.
        match: use this ``match.json`` instead of finding a match on validation.
        **kwargs: see :class:`ProtocolStage`.
    """

    protocol = "fully_unsupervised"
    example_configs = "configs/pass/"
    predicts_generated_ids = True
    optional_variants: ClassVar[tuple[str, ...]] = ("named",)
    settings: ClassVar[tuple[str, ...]] = ("data", "num_categories")
    roles: ClassVar[Mapping[str, str]] = {
        **ProtocolStage.roles,
        "match": "match.json",
        "named_match": "match_named.json",
    }

    decides_matcher: ClassVar[bool] = True
    """Whether the threshold and the analysis of its labels take its matcher."""

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
        self.matcher = dict(matcher or _DEFAULT_MATCHER)
        self.second_matcher = dict(second_matcher or other_than(self.matcher))
        for config in (self.matcher, self.second_matcher):
            MATCHERS.build(dict(config))
        self.match = match

    def for_checkpoint(self, work_dir: WorkDir, checkpoint: str | None) -> Self:
        """As of all protocols; the run's own match is not found again.

        The ids of another model mean something else: its match is found on validation masks.
        """
        stage = super().for_checkpoint(work_dir, checkpoint)
        match = work_dir.stage(self.name) / "match.json"
        if stage.checkpoint is None and stage.match is None and match.exists():
            stage.match = str(match)
        return stage

    def splits(self, context: Context) -> list[str]:
        """As of all protocols; without any masks the training photos, for the report."""
        return super().splits(context) or ["train"]

    def num_outputs(self, context: Context) -> int:
        """Return the number of generated categories plus one for 'other'."""
        return context.num_categories + 1

    def matchers(self, context: Context) -> tuple[dict, dict]:
        """Return the configurations of both matchers."""
        return self.matcher, self.second_matcher

    def segmentation_metric(self, context: Context, split: str) -> dict:
        """Return the metric that counts generated ids once, for all matches of validation."""
        matcher, second = self.matchers(context)
        variant = _short_name(second)
        folder = context.work_dir.stage(self.name)

        def found(matcher: dict, file: Path) -> dict:
            if split == "validation":
                return {"matcher": matcher, "match_file": str(file)}
            return {"match": str(file)}

        first = {"match": self.match} if self.match else found(matcher, self._file(context))
        variants = {variant: found(second, folder / f"match_{variant}.json")}
        names = self._names(context.work_dir)
        if names is not None and names.changes_ids:
            named = found(matcher, folder / "match_named.json")
            joined = {"joined": names.kept.tolist()} if "matcher" in named else {}
            variants["named"] = {**named, **joined}
        is_found = "validation" in context.splits_with_masks
        return {
            **super().segmentation_metric(context, split),
            "num_generated": context.num_categories,
            **first,
            "variants": variants if is_found else {},
        }

    def digests_of_files(self, work_dir: WorkDir) -> dict[str, str]:
        """Return the digest of what ``names.json`` merges and drops, without the names."""
        names = self._names(work_dir)
        digest = names.digest(of_names=False) if names is not None else None
        return {NAMES_FILE: digest} if digest else {}

    def _names(self, work_dir: WorkDir) -> CategoryNames | None:
        """Return the user's edits of categories; None for another model, whose ids differ."""
        if self.checkpoint is not None:
            return None
        clustering = work_dir.outputs(self.labels_from).get("clustering")
        return category_names_of(work_dir.root, clustering)

    def check(self, context: Context) -> None:
        """Build what the test needs.

        Raises:
            LussError: if there are masks, but neither a match nor masks to find it with.
        """
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
        source = f"found on validation masks: {self._file(context)}"
        if self.match is not None:
            read_match(self.match, context.num_classes)
            source = self.match
        print_log(f"the match of generated to true categories is {source}", "current")
        if not self.digests_of_files(context.work_dir) and is_main_process():
            (context.work_dir.stage(self.name) / "match_named.json").unlink(missing_ok=True)
        return super().evaluate(context)

    def facts(self, context: Context) -> dict:
        """Checkpoint, threshold and match."""
        threshold = context.work_dir.outputs(self.labels_from).get("threshold")
        chosen = read_threshold(threshold) if threshold else None
        found = self.match is None or Path(self.match) == self._file(context)
        matcher, _ = self.matchers(context)
        if found and chosen and chosen.matcher not in (None, matcher):
            print_log(
                f"the threshold of {self.labels_from} was chosen by the best mIoU of "
                f"{chosen.matcher}, but these metrics match by {matcher}; to choose it again, "
                f"delete the folder of {self.labels_from} and those of the stages after it",
                "current",
                level=_WARNING,
            )
        return {
            **super().facts(context),
            "threshold": chosen.value if chosen else None,
            "threshold_chosen_by": chosen.method if chosen else None,
            "match": f"{_class_of(matcher).__name__} on validation masks" if found else self.match,
            "categories": context.num_categories,
            NAMES_FILE: self.digests_of_files(context.work_dir).get(NAMES_FILE),
        }

    def _file(self, context: Context) -> Path:
        return context.work_dir.stage(self.name) / "match.json"


def evaluating_matcher(context: Context, labels: str) -> dict:
    """Return the config of the matcher by which the model of some labels is evaluated.

    So the threshold, the labels before fine-tuning and the analysis are matched by the same.

    Args:
        context: of the run.
        labels: name of the label generation stage.

    Returns:
        That of the first :class:`EvaluateStage` of these labels; ``ImageLevelMatcher`` if the
        config has none.
    """
    for name, settings in context.config["stages"].items():
        kind = settings.get("type")
        kind = STAGES.get(kind) if isinstance(kind, str) else kind
        if isinstance(kind, type) and issubclass(kind, EvaluateStage) and kind.decides_matcher:
            stage = build_stage(name, settings)
            if isinstance(stage, EvaluateStage) and stage.labels_from == labels:
                return stage.matcher
    return dict(_DEFAULT_MATCHER)


def _class_of(matcher: dict) -> type:
    return type(MATCHERS.build(dict(matcher)))


def _short_name(matcher: dict) -> str:
    kind = _class_of(matcher)
    return getattr(kind, "short_name", kind.__name__)


def other_than(matcher: dict) -> dict:
    """Return the config of a matcher of the other kind."""
    built = MATCHERS.build(dict(matcher))
    by_pixels = type(built).__name__ == "PixelOverlapMatcher"
    kind = "ImageLevelMatcher" if by_pixels else "PixelOverlapMatcher"
    return {"type": kind, "unmatched": getattr(built, "unmatched", "other")}
