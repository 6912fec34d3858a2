"""Step 4: inference, matching and the fully unsupervised protocol (section 3.2.1)."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from mmengine.dist import is_main_process
from mmengine.logging import print_log
from torch import nn

from luss.errors import LussError
from luss.evaluation.category_names import NAMES_FILE, CategoryNames, category_names_of
from luss.evaluation.matching import read_match
from luss.label_generation.threshold_file import read_threshold
from luss.pipeline.context import Context
from luss.pipeline.work_dir import WorkDir
from luss.registry import FOREGROUND_SOURCES, MATCHERS, PROTOCOLS
from luss.stages.protocols.protocol import EvaluatedStage, Protocol
from luss.stages.stand_ins import require_maps, with_stand_ins

__all__ = ["BeforeFineTuning", "FullyUnsupervised"]

_WARNING = 30


@PROTOCOLS.register_module()
class FullyUnsupervised(Protocol):
    r"""The fully unsupervised protocol: generated ids are matched with true classes on validation.

    Predictions contain generated ids; ``match.json`` beside them maps each to a true class.
    Without masks, the training photos are predicted, and there are no metrics.

    A model of a larger split is evaluated on a smaller one (table 6) by the smaller one's
    ``data_root``, the ``num_categories`` that the model was trained with, and its checkpoint::

        python tools/test.py configs/pass/pass_s_in300.py .../in300/finetune/iter_N.pth \
            --work-dir .../in300_on_50 --cfg-options num_categories=300 data_root=.../ImageNetS50

    If the user has merged or dropped categories in ``WORK_DIR/names.json``, the variant
    ``named`` does so with the predictions before it finds a match of its own
    (``match_named.json``). These metrics are not fully unsupervised, since a person looked at the
    categories, so ``results.json`` contains them beside the others.

    At most as many generated categories as there are true classes are matched. The others count as
    'other', or with ``matcher=dict(type='ImageLevelMatcher', unmatched='best')`` as the class that
    fits them best.

    Args:
        matcher: config of one of ``MATCHERS``, by default ``ImageLevelMatcher``. The threshold of
            the labels should be chosen by the same one.
        second_matcher: config of another one, whose metrics are reported beside those of the first;
            by default matching by pixel overlap.
        match: ``match.json`` to use instead of finding a match on validation.
        threshold: file with the threshold of the labels and how it was chosen, which
            ``results.json`` states, such as ``"${label_generation.threshold}"``.
        clustering: file with the centroids of the categories, for which ``names.json`` is valid,
            such as ``"${label_generation.clustering}"``.
        **kwargs: see :class:`Protocol`.
    """

    name = "fully_unsupervised"
    example_configs = "configs/pass/"
    predicts_generated_ids = True
    optional_variants: ClassVar[tuple[str, ...]] = ("named",)
    settings: ClassVar[tuple[str, ...]] = ("num_categories",)
    roles: ClassVar[Mapping[str, str]] = {
        **Protocol.roles,
        "match": "match.json",
        "named_match": "match_named.json",
    }

    def __init__(
        self,
        *,
        matcher: dict | None = None,
        second_matcher: dict | None = None,
        match: str | None = None,
        threshold: str | None = None,
        clustering: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.matcher = dict(matcher or {"type": "ImageLevelMatcher"})
        self.second_matcher = dict(second_matcher or other_than(self.matcher))
        for config in (self.matcher, self.second_matcher):
            MATCHERS.build(dict(config))
        self.match = match
        self.threshold = threshold
        self.clustering = clustering

    def for_run(self, stage: EvaluatedStage, work_dir: WorkDir) -> Self:
        """Return the protocol with the match of the run, which is not found again.

        The ids of another model have another meaning: its match is found on validation masks.
        """
        match = work_dir.stage(stage.name) / "match.json"
        if _of_the_run(stage) and self.match is None and match.exists():
            protocol = copy.copy(self)
            protocol.match = str(match)
            return protocol
        return self

    def segmentation_metric(self, stage: EvaluatedStage, context: Context, split: str) -> dict:
        """Return the metric that counts generated ids once, for all matches of validation."""
        variant = _short_name(self.second_matcher)
        folder = context.work_dir.stage(stage.name)

        def found(matcher: dict, file: Path) -> dict:
            if split == "validation":
                return {"matcher": matcher, "match_file": str(file)}
            return {"match": str(file)}

        own = folder / "match.json"
        first = {"match": self.match} if self.match else found(self.matcher, own)
        variants = {variant: found(self.second_matcher, folder / f"match_{variant}.json")}
        names = self._names(stage, context.work_dir)
        if names is not None and names.changes_ids:
            named = found(self.matcher, folder / "match_named.json")
            joined = {"joined": names.kept.tolist()} if "matcher" in named else {}
            variants["named"] = {**named, **joined}
        is_found = "validation" in context.splits_with_masks
        return {
            **super().segmentation_metric(stage, context, split),
            "num_generated": context.num_categories,
            **first,
            "variants": variants if is_found else {},
        }

    def digests_of_files(self, stage: EvaluatedStage, work_dir: WorkDir) -> dict[str, str]:
        """Return the digest of what ``names.json`` merges and drops, without the names."""
        names = self._names(stage, work_dir)
        digest = names.digest(of_names=False) if names is not None else None
        return {NAMES_FILE: digest} if digest else {}

    def _names(self, stage: EvaluatedStage, work_dir: WorkDir) -> CategoryNames | None:
        """Return the user's edits of categories; None for another model, whose ids differ."""
        source = stage.source_of("protocol.clustering")
        if source is None or not _of_the_run(stage):
            return None
        return category_names_of(work_dir.root, work_dir.outputs(source).get("clustering"))

    def check(self, stage: EvaluatedStage, context: Context, model: nn.Module) -> None:
        """Check that there is a match, or masks to find it with.

        Raises:
            LussError: if there are masks, but neither of these.
        """
        splits = context.splits_with_masks
        if splits and "validation" not in splits and self.match is None:
            raise LussError(
                f"{context.data['data_root']} has masks of {', '.join(splits)}, but the match of "
                "generated to true categories is found on validation masks, which are not there; "
                "add validation and validation-segmentation, or set stages."
                f"{stage.name}.protocol.match to a match.json"
            )

    def facts(self, stage: EvaluatedStage, context: Context) -> dict:
        """Return checkpoint, threshold and match."""
        own = context.work_dir.stage(stage.name) / "match.json"
        source = f"computed on validation masks, see {own}"
        if self.match is not None:
            read_match(self.match, context.num_classes)
            source = self.match
        print_log(f"match of generated to true categories: {source}", "current")
        digests = self.digests_of_files(stage, context.work_dir)
        if not digests and is_main_process():
            own.with_name("match_named.json").unlink(missing_ok=True)
        chosen = read_threshold(Path(self.threshold)) if self.threshold else None
        found = self.match is None or Path(self.match) == own
        if found and chosen and chosen.matcher not in (None, self.matcher):
            print_log(
                f"the threshold was chosen by the best mIoU of {chosen.matcher}, but these metrics "
                f"match by {self.matcher}; to choose it again, set the matcher of the threshold, "
                f"and delete the folder of {self.threshold} and those of the stages after it",
                "current",
                level=_WARNING,
            )
        by = f"{_class_of(self.matcher).__name__} on validation masks"
        return {
            **super().facts(stage, context),
            "threshold": chosen.value if chosen else None,
            "threshold_chosen_by": chosen.method if chosen else None,
            "match": by if found else self.match,
            "categories": context.num_categories,
            NAMES_FILE: digests.get(NAMES_FILE),
        }


@PROTOCOLS.register_module()
class BeforeFineTuning(FullyUnsupervised):
    """The fully unsupervised protocol for labels that a ``PixelLabeller`` predicts (table 10d)."""

    name = "before_fine_tuning"
    example_configs = "configs/ablations/before_fine_tuning.py"

    def check(self, stage: EvaluatedStage, context: Context, model: nn.Module) -> None:
        """Check what the protocol needs, and that photos to predict have maps of foreground.

        Raises:
            LussError: as :meth:`FullyUnsupervised.check`, or if a photo has no map.
        """
        super().check(stage, context, model)
        source = stage.model_config().get("foreground")
        # Maps that do not exist yet cannot be checked.
        if source and with_stand_ins(source, context.work_dir.root) == source:
            require_maps(FOREGROUND_SOURCES.build(source), stage.loaders(context), context)


def _of_the_run(stage: EvaluatedStage) -> bool:
    """Whether the model is that of the config, whose ids have the meaning of its clustering."""
    return stage.source_of("checkpoint") is not None


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
