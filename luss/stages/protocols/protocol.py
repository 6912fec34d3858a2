"""What all evaluation protocols have in common."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self
from typing import Protocol as Interface

from torch import nn

from luss.evaluation.metrics import IMAGENET_S, named_metrics
from luss.pipeline.context import Context
from luss.pipeline.work_dir import WorkDir
from luss.registry import PROTOCOLS

__all__ = ["EvaluatedStage", "Protocol", "SemiSupervised"]


class EvaluatedStage(Interface):
    """What a protocol reads of its stage, see :class:`luss.stages.Test`."""

    name: str
    checkpoint: str | None
    weights: str | dict | None

    def source_of(self, setting: str) -> str | None:
        """Return the stage whose output a setting refers to; None if it refers to none."""

    def model_config(self) -> dict:
        """Return the configuration of the model."""

    def loaders(self, context: Context) -> dict[str, dict]:
        """Return the configuration of each split's data loader."""

    def loader_of_split(self, context: Context, split: str) -> dict:
        """Return the configuration of a split's data loader."""

    def require_whole_patches(self, context: Context, model: nn.Module, **kwargs: Any) -> None:
        """Check that the patches of a transformer cover photos."""


@PROTOCOLS.register_module()
class Protocol:
    """An evaluation: masks of all splits are predicted, and compared with true masks.

    For a protocol of your own, name it in a config and set metrics, or register a subclass::

        stages.mine = dict(type="Test", protocol=dict(type="Protocol", name="mine"),
                           model="${finetune.model}", checkpoint="${finetune.checkpoint}",
                           test_dataloader=dict(splits="${facts.splits_with_masks}", ...),
                           test_evaluator=[dict(type="MyMetric")])

    Args:
        name: name on the command line and in ``results.json``; by default that of the class.
        metrics: names of ``COUNT_METRICS``, in the order of ``results.json``.
        boundary: whether to compute boundary metrics.

    Raises:
        LussError: if a metric is unknown.
        ValueError: if there is no name.
    """

    name: str = ""

    example_configs: ClassVar[str] = ""
    """Where configs are that have this protocol."""

    settings: ClassVar[tuple[str, ...]] = ()
    """Top-level settings of the config that results depend on, beside those of the stage."""

    roles: ClassVar[Mapping[str, str]] = {"predictions": "predictions"}
    """Role -> path below the stage's folder, of what the metrics write."""

    optional_variants: ClassVar[tuple[str, ...]] = ()
    """Variants whose tables are in ``results.json`` only where there is something to measure."""

    predicts_generated_ids: ClassVar[bool] = False
    """Whether the model predicts discovered categories, which only a match makes true classes."""

    reads_backbone: ClassVar[bool] = False
    """Whether the model is a backbone, whose weights may be random."""

    match: str | None = None
    """Path of the match of generated to true ids that is given; of protocols that match."""

    def __init__(
        self,
        name: str | None = None,
        metrics: Sequence[str | dict] = IMAGENET_S,
        boundary: bool = True,
    ) -> None:
        self.name = name or self.name
        if not self.name:
            raise ValueError("the protocol has no name; set 'name', as results.json will have it")
        named_metrics(metrics, f"metrics of the protocol {self.name}")
        self.metrics = metrics
        self.boundary = boundary

    @classmethod
    def entry_after(cls, stages: Mapping[str, Mapping], pipeline: list[dict]) -> dict | None:
        """Return the stage by which a config without an entry is evaluated; None if by none.

        Args:
            stages: of the config.
            pipeline: of photos, as for the config's other protocols.
        """
        return None

    def for_run(self, stage: EvaluatedStage, work_dir: WorkDir) -> Self:
        """Return the protocol for evaluating a finished run again, or another checkpoint."""
        return self

    def metrics_of(self, stage: EvaluatedStage, context: Context, split: str) -> list[dict]:
        """Return the configurations of the metrics of a split."""
        masks = {"type": "DumpMasks", "folder": str(self.folder(stage, context, split))}
        if split not in context.splits_with_masks:
            return [masks]
        return [masks, self.segmentation_metric(stage, context, split)]

    def segmentation_metric(self, stage: EvaluatedStage, context: Context, split: str) -> dict:
        """Return the configuration of the metric of a split with masks."""
        return {
            "type": "SegmentationMetric",
            "num_classes": context.num_classes,
            "metrics": list(self.metrics),
            "boundary": self.boundary,
        }

    def folder(self, stage: EvaluatedStage, context: Context, split: str) -> Path:
        """Where the predictions of a split are."""
        return context.work_dir.stage(stage.name) / "predictions" / split

    def hooks(self, stage: EvaluatedStage, context: Context) -> list[dict]:
        """Return the configurations of the hooks of the test."""
        return []

    def digests_of_files(self, stage: EvaluatedStage, work_dir: WorkDir) -> dict[str, str]:
        """See :meth:`luss.pipeline.Stage.digests_of_files`."""
        return {}

    def check(self, stage: EvaluatedStage, context: Context, model: nn.Module) -> None:
        """Look for what would fail later, see :meth:`luss.pipeline.Stage.check`."""

    def passes_over(self, context: Context) -> str | None:
        """Return why these data cannot be evaluated by the protocol, to log it; or None."""
        return None

    def facts(self, stage: EvaluatedStage, context: Context) -> dict:
        """Return the provenance of the numbers, for ``results.json``."""
        path = Path(stage.checkpoint) if stage.checkpoint else None
        return {"checkpoint": f"{path.parent.name}/{path.name}" if path else None}

    def facts_of_test(self, stage: EvaluatedStage, context: Context) -> dict:
        """Return the facts that are known only after the test."""
        return {}


@PROTOCOLS.register_module()
class SemiSupervised(Protocol):
    """A segmentor that learnt true classes from ``train-semi``; there is nothing to match."""

    name = "semi_supervised"
    example_configs = "configs/semi_supervised/"
