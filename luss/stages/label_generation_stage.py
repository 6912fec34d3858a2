"""Steps 2.2 to 2.4: image embeddings, categories, threshold, pseudo labels (section 4.3)."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import torch
from mmengine.model import BaseModel
from torch import Tensor

from luss.config_checks import require_count, require_keys
from luss.errors import LussError
from luss.label_generation import GivenThreshold, ValidationThreshold
from luss.label_generation.feature_maps import deepest_map
from luss.pipeline.context import Context
from luss.pipeline.runner_stage import RunnerStage
from luss.registry import (
    EMBEDDERS,
    FOREGROUND_SOURCES,
    LABEL_GENERATORS,
    LABEL_WRITERS,
    MODELS,
    STAGES,
    THRESHOLD_RULES,
)
from luss.stages.fully_unsupervised import evaluating_matcher
from luss.stages.map_folders import (
    loads_maps,
    require_maps,
    with_own_maps,
    with_stand_in_folders,
    without_map_loading,
)
from luss.stages.model_of_source import require_model_parts, trained_model
from luss.stages.patch_sizes import require_whole_patches
from luss.stages.share_loader import share_loader
from luss.stages.sound_masks import require_sound_masks

__all__ = ["LabelGenerationStage"]

_PARTS = {
    "embedder": EMBEDDERS,
    "generator": LABEL_GENERATORS,
    "foreground": FOREGROUND_SOURCES,
    "threshold": THRESHOLD_RULES,
    "writer": LABEL_WRITERS,
}
_OUTPUTS = (
    "embeddings.npy",
    "centroids.npz",
    "foreground",
    "threshold.json",
    "pseudo_labels",
)


@STAGES.register_module()
class LabelGenerationStage(RunnerStage):
    """Discovers categories among image embeddings and labels every pixel with one, or 'other'.

    A runner's test with :class:`luss.engine.loops.LabelGenerationLoop`.

    Args:
        name: see :class:`Stage`.
        model_from: the stage whose model gives features, and attention and embeddings where they
            are used: by default pixel attention. Of an algorithm of another library, the backbone
            gives features, for an ``embedding.type`` and a ``foreground`` that need no more.
        generator: config of one of ``LABEL_GENERATORS``; number of clusters and seed are filled
            in.
        embedding: ``pipeline`` and ``batch_size`` for image embeddings; ``type`` and settings of
            one of ``EMBEDDERS``, by default ``ImageEmbeddings``.
        pixels: ``pipeline`` for pixel labels, image by image, with an optional ``LoadMask``;
            ``type`` and settings of one of ``LABEL_WRITERS``, by default ``PixelLabels``.
        preprocessor: config of the data preprocessor of both.
        foreground: config of one of ``FOREGROUND_SOURCES``; by default ``Attention``. A
            ``LoadForegroundAsMask`` of ``embedding.pipeline`` that names no folder reads its maps.
        threshold: a fixed tau, or the config of one of ``THRESHOLD_RULES``; by default
            ``ValidationThreshold`` where validation has masks, else ``OtsuThreshold``. The former
            matches as the stage that evaluates these labels, unless it has a ``matcher``.
        num_attention_maps: of how many photos the report shows the foreground.
        on_unreadable: what becomes of a training image that cannot be read: ``'fail'`` raises,
            ``'skip'`` leaves it without a label. Validation always fails.
    """

    settings: ClassVar[tuple[str, ...]] = ("seed", "data", "num_categories")
    roles: ClassVar[Mapping[str, str]] = {
        "embeddings": "embeddings.npy",
        "clustering": "centroids.npz",
        "threshold": "threshold.json",
        "pseudo_labels": "pseudo_labels",
        "attention": "attention",
        "foreground": "foreground",
    }
    noted: ClassVar[tuple[str, ...]] = ("unlabelled",)

    def __init__(
        self,
        name: str,
        generator: dict,
        embedding: dict,
        pixels: dict,
        preprocessor: dict,
        model_from: str = "pixel_attention",
        foreground: dict | None = None,
        threshold: float | dict | None = None,
        num_attention_maps: int = 24,
        on_unreadable: str = "skip",
    ) -> None:
        super().__init__(name, requires=(model_from,))
        where = f"stages.{name}"
        self.embedder, self.embedding = _split(embedding, "ImageEmbeddings", ("batch_size",))
        self.writer, self.pixels = _split(pixels, "PixelLabels")
        require_keys(self.embedding, ("pipeline", "batch_size"), f"{where}.embedding")
        require_count(self.embedding["batch_size"], f"{where}.embedding.batch_size")
        require_keys(self.pixels, ("pipeline",), f"{where}.pixels")
        self.model_from = model_from
        self.generator = generator
        self.preprocessor = preprocessor
        self.foreground = {"type": "Attention", **(foreground or {})}
        self.threshold = threshold
        self.num_attention_maps = num_attention_maps
        self.on_unreadable = on_unreadable

    def has_partial_output(self, folder: Path) -> bool:
        """Return whether any step is finished, or pseudo labels were begun."""
        return any((folder / output).exists() for output in _OUTPUTS)

    def check(self, context: Context) -> None:
        """Build the data set and the parts.

        Raises:
            LussError: if there are fewer images than categories, the model lacks what the source
                of foreground or the embedder looks at, a photo will have no map, the threshold is
                none, or it is to be found on masks and validation has none.
        """
        train = self._training_set(self.embedding["pipeline"])
        context.dataset(self._training_set(self.pixels["pipeline"]))
        count = len(context.dataset(train))
        if count < context.num_categories:
            raise LussError(
                f"{count} images cannot form {context.num_categories} categories; add images or "
                "lower num_categories"
            )
        parts = self.parts(context)
        # Maps that do not exist yet are read from another folder.
        foreground = with_stand_in_folders(parts["foreground"], context.work_dir.root)
        pending = foreground != parts["foreground"]
        parts["foreground"] = foreground
        built = {name: registry.build(parts[name]) for name, registry in _PARTS.items()}
        require_model_parts(built["foreground"], self.model_from, context, f"stages.{self.name}")
        reads_maps = getattr(built["embedder"], "reads_maps", False)
        own = self.embedding_maps() is None
        if reads_maps and own and built["foreground"].is_free:
            raise LussError(
                f"stages.{self.name}.embedding: {self.embedder['type']} reads maps of foreground, "
                f"of which {self.foreground['type']} leaves none; choose another foreground, or "
                "set the folder of LoadForegroundAsMask, such as '${foreground.maps}/train'"
            )
        if not pending:
            loaders = self._loaders(context)
            loaders.pop("embedding")
            require_maps(built["foreground"], loaders, context)
        if built["threshold"].reads == "validation":
            if "validation" not in context.splits_with_masks:
                raise LussError(
                    f"stages.{self.name}.threshold: {parts['threshold']['type']} reads the masks "
                    "of validation, of which there are none; choose OtsuThreshold, or a number"
                )
            require_sound_masks(context, "validation")
        self._try_model(built["embedder"], context)

    def _try_model(self, embedder: Any, context: Context) -> None:
        """Have the model, untrained, look at a photo by both pipelines."""
        model = MODELS.build(self._model(context)).eval()
        if hasattr(model, "backbone"):
            for key, settings in (("embedding", self.embedding), ("pixels", self.pixels)):
                pipeline = without_map_loading(settings["pipeline"])
                photos = partial(context.dataset, self._training_set(pipeline))
                where = f"stages.{self.name}.{key}.pipeline"
                require_whole_patches(model.backbone, pipeline, where, photos)
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            images = self._first_photo(self.embedding["pipeline"], model, context)
            reads_maps = getattr(embedder, "reads_maps", False)
            maps = (images.new_ones(1, 1, *images.shape[2:]),) if reads_maps else ()
            embedder.embed(model, images, *maps)
            deepest_map(model, self._first_photo(self.pixels["pipeline"], model, context))

    def _first_photo(self, pipeline: list[dict], model: BaseModel, context: Context) -> Tensor:
        # Maps of foreground may not exist yet.
        photos = context.dataset(self._training_set(without_map_loading(pipeline)))
        return model.data_preprocessor({"inputs": [photos[0]["inputs"][None]]})["inputs"][0]

    def _model(self, context: Context) -> dict:
        """Return the model of the stage that trained it, with this stage's preprocessor."""
        model = trained_model(self.model_from, context, f"stages.{self.name}")
        return {**model, "data_preprocessor": dict(self.preprocessor)}

    def parts(self, context: Context) -> dict[str, dict]:
        """Return the configurations of all parts."""
        filled = {"num_clusters": context.num_categories, "seed": context.seed}
        return {
            "embedder": self.embedder,
            "generator": {**filled, **self.generator},
            "foreground": dict(self.foreground),
            "threshold": self._rule(context),
            "writer": self.writer,
        }

    def embedding_maps(self) -> dict | None:
        """Return the source of the maps that embeddings read; None for those of the foreground."""
        steps = [step for step in self.embedding["pipeline"] if loads_maps(step)]
        folder = steps[0].get("folder") if steps else None
        return None if folder is None else {"type": "FolderOfMaps", "folder": str(folder)}

    def _rule(self, context: Context) -> dict:
        if isinstance(self.threshold, Mapping):
            rule = dict(self.threshold)
        elif self.threshold is not None:
            rule = {"type": GivenThreshold.__name__, "value": self.threshold}
        else:
            masks = "validation" in context.splits_with_masks
            rule = {"type": "ValidationThreshold" if masks else "OtsuThreshold"}
        kind = rule.get("type")
        kind = THRESHOLD_RULES.get(kind) if isinstance(kind, str) else kind
        if isinstance(kind, type) and issubclass(kind, ValidationThreshold):
            return {"matcher": evaluating_matcher(context, self.name), **rule}
        return rule

    def _training_set(self, pipeline: list[dict]) -> dict:
        return {"split": "train", "pipeline": pipeline, "on_unreadable": self.on_unreadable}

    def _loaders(self, context: Context) -> dict[str, dict]:
        train = self._training_set(self.pixels["pipeline"])
        own = context.work_dir.stage(self.name) / "foreground" / "train"
        embedding = with_own_maps(self._training_set(self.embedding["pipeline"]), own)
        masks = "validation" in context.splits_with_masks
        validation = {**train, "split": "validation", "on_unreadable": "fail"}
        validation |= {"require_masks": True} if masks else {}
        report = validation if context.splits_with_masks else train
        loaders = {
            "embedding": share_loader(context, embedding, self.embedding["batch_size"]),
            "pixels": share_loader(context, train),
        }
        if masks:
            loaders["validation"] = share_loader(context, validation)
        if self.num_attention_maps:
            loaders["report"] = share_loader(context, report, most=self.num_attention_maps)
        return loaders

    def runner_config(self, context: Context) -> dict:
        """Return the complete configuration of the runner."""
        folder = context.work_dir.stage(self.name)
        return {
            **context.runner_defaults(self.name),
            "model": self._model(context),
            "load_from": str(context.checkpoint_of(self.model_from)),
            "test_dataloader": self._loaders(context),
            "test_evaluator": [],
            "test_cfg": {
                "type": "LabelGenerationLoop",
                "folder": str(folder),
                "num_categories": context.num_categories,
                **self.parts(context),
            },
        }

    def run(self, context: Context) -> dict:
        """Run the steps that are not finished."""
        return self.build_runner(context).test()


def _split(settings: dict, kind: str, own: tuple[str, ...] = ()) -> tuple[dict, dict]:
    """Return the settings of a part, and those of its photos; no type means no settings."""
    settings = dict(settings)
    if "type" not in settings:
        return {"type": kind}, settings
    photos = {key: settings.pop(key) for key in ("pipeline", *own) if key in settings}
    return settings, photos
