"""A diagnosis of a run on true masks, before anything is tuned."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from mmengine.dist import barrier, is_main_process
from mmengine.logging import print_log

from luss.build_errors import clear_build_errors
from luss.errors import LussError
from luss.files import read_json, write_json
from luss.label_generation.foreground.compared import sources_to_compare
from luss.pipeline.context import Context
from luss.pipeline.runner_stage import RunnerStage
from luss.pipeline.stage import build_stage
from luss.ranks import main_process_decides
from luss.registry import FOREGROUND_SOURCES, STAGES
from luss.stages.fully_unsupervised import EvaluateStage, evaluating_matcher
from luss.stages.label_generation_stage import LabelGenerationStage
from luss.stages.map_folders import require_maps, with_stand_in_folders
from luss.stages.model_of_source import trained_model
from luss.stages.other_stage import other_stage
from luss.stages.protocol_stage import WHOLE_IMAGE
from luss.stages.share_loader import share_loader
from luss.stages.sound_masks import require_sound_masks
from luss.visualization.analysis_plots import plot_analysis

__all__ = ["ForegroundAnalysisStage", "analyze_foreground"]

_NAME = "foreground_analysis"
_PRECISIONS = {"fp16", "bf16"}
"""Settings of the test that change predictions."""


@STAGES.register_module()
class ForegroundAnalysisStage(RunnerStage):
    """Compares foreground, embeddings and masks with the truth; writes ``analysis.json``, plots.

    Nothing is chosen by it: neither other stages nor ``results.json`` know of it. The report shows
    what the stage of this name found, so in a config it stands before the report::

        stages.foreground_analysis = dict(type="ForegroundAnalysisStage", before="report")

    Args:
        name: see :class:`Stage`.
        labels_from: the label generation stage.
        evaluate_from: the stage that evaluates the finished model; None to leave the model out.
        split: with true masks.
        sources: names, see :func:`sources_to_compare`; by default all. The run's own is added.
        num_photos: whose maps the report shows.
        num_channels: of attention that it shows.
    """

    settings: ClassVar[tuple[str, ...]] = ("seed", "data", "num_categories")
    roles: ClassVar[Mapping[str, str]] = {"analysis": "analysis.json"}
    made_again_on_change: ClassVar[bool] = True

    def __init__(
        self,
        name: str = _NAME,
        labels_from: str = "label_generation",
        evaluate_from: str | None = "evaluate",
        split: str = "validation",
        sources: Sequence[str] | None = None,
        num_photos: int = 8,
        num_channels: int = 8,
    ) -> None:
        super().__init__(name, (labels_from, *([evaluate_from] if evaluate_from else ())))
        if num_photos < 0 or num_channels < 0:
            raise LussError(
                f"stages.{name}: num_photos is {num_photos} and num_channels {num_channels}, "
                "expected 0 or more"
            )
        self.labels_from = labels_from
        self.evaluate_from = evaluate_from
        self.split = split
        self.sources = None if sources is None else list(sources)
        self.num_photos = num_photos
        self.num_channels = num_channels

    def check(self, context: Context) -> None:
        """Look for the masks, and build what is to be compared.

        Raises:
            LussError: if the split has no true masks, a stage that is named is missing or of
                another kind, a source is unknown, or a photo has no map of the run's own source.
        """
        masked = context.description.masked
        if self.split not in masked:
            raise LussError(
                f"the analysis compares with true masks, but {self.split!r} of "
                f"{context.data['data_root']} has none; splits with masks: "
                f"{', '.join(masked) or 'none'}"
            )
        require_sound_masks(context, self.split)
        labels = self._labels(context)
        foreground = dict(labels.foreground)
        if with_stand_in_folders(foreground, context.work_dir.root) == foreground:
            source = FOREGROUND_SOURCES.build(foreground)
            photos = {"dataset": context.dataset_config({"split": self.split})}
            require_maps(source, {"photos": photos}, context)
        if self.evaluate_from:
            self._evaluation(context)
        for config in sources_to_compare(self.sources).values():
            FOREGROUND_SOURCES.build(dict(config))

    def runner_config(self, context: Context) -> dict:
        """Return the complete configuration of the runner."""
        labels = self._labels(context)
        trained = trained_model(labels.model_from, context, f"stages.{labels.name}")
        parts = labels.parts(context)
        photos = self._photos(labels, context)
        loaders = {"photos": share_loader(context, photos)}
        matching: dict = {"matcher": evaluating_matcher(context, self.labels_from)}
        segmentor = None
        if self.evaluate_from:
            evaluation = self._evaluation(context)
            segmentor = self._segmentor(evaluation, context)
            matching = {"match": evaluation.match}
            if evaluation.match is None:
                matching = {"matcher": evaluation.matchers(context)[0]}
        if segmentor is not None:
            whole = {**photos, "pipeline": evaluation.pipeline}
            loaders["predictions"] = share_loader(context, whole)
        return {
            **context.runner_defaults(self.name),
            "model": {**trained, "data_preprocessor": dict(labels.preprocessor)},
            "load_from": str(context.checkpoint_of(labels.model_from)),
            "test_dataloader": loaders,
            "test_evaluator": [],
            "test_cfg": {
                "type": "ForegroundAnalysisLoop",
                "folder": str(context.work_dir.stage(self.name)),
                "labels": {
                    "folder": str(context.work_dir.stage(self.labels_from)),
                    "num_categories": context.num_categories,
                    **parts,
                    "embedding_maps": labels.embedding_maps(),
                },
                "sources": sources_to_compare(self.sources, model_parts=trained),
                "segmentor": segmentor,
                "matching": matching,
                "num_photos": self.num_photos,
                "num_channels": self.num_channels,
            },
        }

    def run(self, context: Context) -> dict:
        """Analyse, and write the results."""
        found = without_nan(self.build_runner(context).test())
        folder = context.work_dir.stage(self.name)
        if is_main_process():
            write_json(folder / "analysis.json", found)
            plot_analysis(found, folder)
        barrier()
        print_log(f"written to {folder / 'analysis.json'}", "current")
        return {"split": self.split, "images": found["images"]}

    def _photos(self, labels: LabelGenerationStage, context: Context) -> dict:
        """Return the data set of label generation, or that of the evaluation if it has no masks."""
        photos = {
            "split": self.split,
            "pipeline": labels.pixels["pipeline"],
            "require_masks": True,
            "on_unreadable": "fail",
        }
        if "gt_sem_seg" in context.dataset(photos)[0]["data_samples"]:
            return photos
        print_log(
            f"stages.{labels.name}.pixels.pipeline loads no masks: photos are analysed "
            "as for evaluation",
            "current",
        )
        whole = self._evaluation(context).pipeline if self.evaluate_from else WHOLE_IMAGE
        return {**photos, "pipeline": whole}

    def _segmentor(self, evaluation: EvaluateStage, context: Context) -> dict | None:
        model = evaluation.model_config(context)
        if "decode_head" not in model:
            print_log(f"{model['type']} has no decode_head: the model is left out", "current", 30)
            return None
        precision = {
            key: evaluation.test_cfg[key] for key in _PRECISIONS & evaluation.test_cfg.keys()
        }
        checkpoint = str(evaluation.checkpoint_path(context))
        return {"model": model, "checkpoint": checkpoint, **precision}

    def _labels(self, context: Context) -> LabelGenerationStage:
        where = f"stages.{self.name}.labels_from"
        return other_stage(context, self.labels_from, LabelGenerationStage, where)

    def _evaluation(self, context: Context) -> EvaluateStage:
        assert self.evaluate_from is not None, "called only if a stage is named"
        where = f"stages.{self.name}.evaluate_from"
        return other_stage(context, self.evaluate_from, EvaluateStage, where)


def analyze_foreground(
    context: Context, split: str | None = None, sources: Sequence[str] | None = None
) -> dict[str, Any]:
    """Analyse a run with finished labels; also the model, if it has been evaluated.

    Args:
        context: of the run.
        split: with true masks; by default as the config's stage of this kind has it, or validation.
        sources: names of sources, likewise.

    Returns:
        The content of ``analysis.json``.

    Raises:
        LussError: as :meth:`ForegroundAnalysisStage.check`, and if the labels are missing.
    """
    stages, done = context.config["stages"], context.work_dir.is_done
    settings = dict(stages.get(_NAME, {"type": ForegroundAnalysisStage.__name__}))
    settings |= {"split": split} if split else {}
    settings |= {"sources": list(sources)} if sources else {}
    stage = build_stage(_NAME, settings)
    if not isinstance(stage, ForegroundAnalysisStage):
        raise LussError(
            f"stages.{_NAME} is a {type(stage).__name__}, expected a "
            f"{ForegroundAnalysisStage.__name__}; rename that stage"
        )
    if not main_process_decides(done(stage.labels_from)):
        raise LussError(
            f"the analysis reads what {stage.labels_from!r} writes, which is not finished in "
            f"{context.work_dir.root}; train first"
        )
    if stage.evaluate_from and not main_process_decides(done(stage.evaluate_from)):
        print_log(f"{stage.evaluate_from!r} is not finished: the model is left out", "current", 30)
        stage.evaluate_from = None
    with clear_build_errors(f"stages.{_NAME}"):
        stage.check(context)
    facts = stage.run(context)
    if _NAME not in stages:
        outputs = stage.outputs(context.work_dir.stage(_NAME))
        context.work_dir.mark_done(_NAME, {**facts, "outputs": outputs})
    return read_json(context.work_dir.stage(_NAME) / "analysis.json")


def without_nan(value: Any) -> Any:
    """Return the same nested values with None for NaN, which JSON lacks."""
    if isinstance(value, dict):
        return {key: without_nan(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [without_nan(entry) for entry in value]
    return None if isinstance(value, float) and math.isnan(value) else value
