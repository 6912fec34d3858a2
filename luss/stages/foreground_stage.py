"""Maps of foreground, made once for all stages that read them."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import ClassVar

from luss.errors import LussError
from luss.label_generation.foreground import ForegroundSource
from luss.pipeline.context import Context
from luss.pipeline.runner_stage import RunnerStage
from luss.registry import FOREGROUND_SOURCES, MODELS, STAGES
from luss.stages.map_folders import require_maps
from luss.stages.model_of_source import require_model_parts, trained_model
from luss.stages.patch_sizes import require_whole_patches
from luss.stages.share_loader import share_loader

__all__ = ["ForegroundStage"]


@STAGES.register_module()
class ForegroundStage(RunnerStage):
    """Makes the maps of a foreground source, of training photos and of all that are evaluated.

    They lie in ``WORK_DIR/<stage>/maps/<split>/<image id>.png``, 8-bit grey, and are read by what
    refers to ``${<stage>.maps}``. A runner's test with
    :class:`luss.engine.loops.ForegroundLoop`.

    Args:
        name: see :class:`Stage`.
        foreground: config of one of ``FOREGROUND_SOURCES``.
        model_from: the stage whose trained model the source looks at, if it needs one. For a
            source of features alone, such as ``FeatureCut``, that is the model's backbone,
            whatever trained it: any pretrainer, or external weights (``PretrainStage``).
        pipeline: of the photos, as that model takes them.
        preprocessor: config of that model's data preprocessor.
        on_unreadable: what becomes of a training image that cannot be read, see
            :class:`LabelGenerationStage`.

    Raises:
        LussError: if only some of the settings of a model are there.
    """

    settings: ClassVar[tuple[str, ...]] = ("seed", "data")
    roles: ClassVar[Mapping[str, str]] = {"maps": "maps"}

    def __init__(
        self,
        name: str,
        foreground: dict,
        model_from: str | None = None,
        pipeline: list[dict] | None = None,
        preprocessor: dict | None = None,
        on_unreadable: str = "skip",
    ) -> None:
        super().__init__(name, requires=() if model_from is None else (model_from,))
        given = [value is not None for value in (model_from, pipeline, preprocessor)]
        if any(given) and not all(given):
            raise LussError(
                f"stages.{name}: a source that looks at a model takes model_from, pipeline and "
                "preprocessor together; other sources take none of them"
            )
        self.foreground = foreground
        self.model_from = model_from
        self.pipeline = list(pipeline or ())
        self.preprocessor = preprocessor
        self.on_unreadable = on_unreadable

    def has_partial_output(self, folder: Path) -> bool:
        """Whether any map was begun."""
        return (folder / "maps").exists()

    def check(self, context: Context) -> None:
        """Build the source and list the photos.

        Raises:
            LussError: if the source needs a model and none is named, or the other way round, or
                the model lacks what the source looks at.
        """
        source = FOREGROUND_SOURCES.build(dict(self.foreground))
        if source.needs_model != (self.model_from is not None):
            wanted = "a trained model, add" if source.needs_model else "no model, remove"
            raise LussError(
                f"stages.{self.name}.foreground: {self.foreground['type']} looks at {wanted} "
                "model_from, pipeline and preprocessor"
            )
        if self.model_from is not None:
            require_model_parts(source, self.model_from, context, f"stages.{self.name}")
            model = MODELS.build(self._model_config(source, context))
            if hasattr(model, "backbone"):
                where = f"stages.{self.name}.pipeline"
                photos = partial(context.dataset, self._loaders(context)["pixels"]["dataset"])
                require_whole_patches(model.backbone, self.pipeline, where, photos)
        require_maps(source, self._loaders(context), context)

    def _loaders(self, context: Context) -> dict[str, dict]:
        train = {
            "split": "train",
            "pipeline": self.pipeline,
            "on_unreadable": self.on_unreadable,
        }
        loaders = {"pixels": share_loader(context, train)}
        for split in context.description.evaluated:
            evaluated = {**train, "split": split, "on_unreadable": "fail"}
            loaders[split] = share_loader(context, evaluated)
        return loaders

    def runner_config(self, context: Context) -> dict:
        """Return the complete configuration of the runner."""
        config = {
            **context.runner_defaults(self.name),
            "model": {"type": "NoModel"},
            "test_dataloader": self._loaders(context),
            "test_evaluator": [],
            "test_cfg": {
                "type": "ForegroundLoop",
                "folder": str(context.work_dir.stage(self.name)),
                "foreground": dict(self.foreground),
            },
        }
        if self.model_from is None:
            return config
        source = FOREGROUND_SOURCES.build(dict(self.foreground))
        checkpoint = str(context.checkpoint_of(self.model_from))
        config["model"] = self._model_config(source, context)
        config["test_cfg"]["checkpoint"] = checkpoint
        if source.model_parts:
            return {**config, "load_from": checkpoint}
        fill = {"type": "BackboneWeightsHook", "weights": checkpoint}
        return {**config, "custom_hooks": [fill]}

    def _model_config(self, source: ForegroundSource, context: Context) -> dict:
        """Return the model of the stage that trained it, or only its backbone for features."""
        assert self.model_from is not None, "a source without a model has no configuration of one"
        assert self.preprocessor is not None, "model_from comes with a preprocessor"
        where = f"stages.{self.name}"
        model = trained_model(self.model_from, context, where)
        if not source.model_parts:
            if "backbone" not in model:
                raise LussError(
                    f"{where}.foreground looks at the features of a backbone, but {model['type']}, "
                    f"the model of stage {self.model_from!r}, has no 'backbone'; name another "
                    "stage by model_from"
                )
            model = {"type": "BackboneFeatures", "backbone": model["backbone"]}
        return {**model, "data_preprocessor": dict(self.preprocessor)}

    def run(self, context: Context) -> dict:
        """Compute the maps that are missing."""
        return self.build_runner(context).test()
