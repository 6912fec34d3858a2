"""Maps of foreground, made once for all stages that read them."""

from pathlib import Path
from typing import ClassVar

from luss.errors import LussError
from luss.pipeline.context import Context
from luss.pipeline.runner_stage import RunnerStage
from luss.registry import FOREGROUND_SOURCES, STAGES
from luss.stages.share_loader import share_loader

__all__ = ["ForegroundStage"]


@STAGES.register_module()
class ForegroundStage(RunnerStage):
    """Makes the maps of a foreground source, of training and validation photos.

    They lie in ``WORK_DIR/<stage>/maps/<split>/<image id>.png``, 8-bit grey, and are read by what
    names this stage as ``maps_from``. A runner's test with
    :class:`luss.engine.loops.ForegroundLoop`.

    Args:
        name: see :class:`Stage`.
        foreground: config of one of ``FOREGROUND_SOURCES``.
        model_from: the stage whose trained model the source looks at, if it needs one.
        pipeline: of the photos, as that model takes them.
        preprocessor: config of that model's data preprocessor.
        on_unreadable: what becomes of a training image that cannot be read, see
            :class:`LabelGenerationStage`.

    Raises:
        LussError: if only some of the settings of a model are there.
    """

    settings: ClassVar[tuple[str, ...]] = ("seed", "data")

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
                "preprocessor together; others take none of them"
            )
        self.foreground = foreground
        self.model_from = model_from
        self.pipeline = list(pipeline or ())
        self.preprocessor = preprocessor
        self.on_unreadable = on_unreadable

    def has_partial_output(self, folder: Path) -> bool:
        """Whether any map was begun."""
        return (folder / "maps").exists() or (folder / "maps_raw").exists()

    def check(self, context: Context) -> None:
        """Build the source and list the photos.

        Raises:
            LussError: if the source needs a model and none is named, or the other way round.
        """
        source = FOREGROUND_SOURCES.build(dict(self.foreground))
        if source.needs_model != (self.model_from is not None):
            wanted = "a trained model, add" if source.needs_model else "no model, remove"
            raise LussError(
                f"stages.{self.name}.foreground: {self.foreground['type']} looks at {wanted} "
                "model_from, pipeline and preprocessor"
            )
        for loader in self._loaders(context).values():
            context.dataset(loader["dataset"])

    def _loaders(self, context: Context) -> dict[str, dict]:
        train = {
            "split": "train",
            "pipeline": self.pipeline,
            "on_unreadable": self.on_unreadable,
        }
        loaders = {"pixels": share_loader(context, train)}
        if context.splits_with_masks:
            validation = {**train, "split": "validation", "on_unreadable": "fail"}
            loaders["validation"] = share_loader(context, validation)
        return loaders

    def runner_config(self, context: Context) -> dict:
        """The runner's whole configuration."""
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
        # Built as the stage that trained it had it.
        model = context.config["stages"][self.model_from]["model"]
        return {
            **config,
            "model": {**model, "data_preprocessor": dict(self.preprocessor)},
            "load_from": str(context.checkpoint_of(self.model_from)),
        }

    def run(self, context: Context) -> dict:
        """Make the maps that are not whole yet."""
        return self.build_runner(context).test()
