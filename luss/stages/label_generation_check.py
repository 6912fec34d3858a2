"""Checks of label generation before anything runs."""

import torch
from mmengine.model import BaseModel
from torch import Tensor

from luss.errors import LussError
from luss.label_generation.feature_maps import StoredFeatures, deepest_map
from luss.label_generation.threshold_rules import threshold_rule
from luss.models.backbones import probe
from luss.pipeline.context import Context
from luss.registry import CHECKS, EMBEDDERS, LABEL_GENERATORS, LABEL_WRITERS
from luss.stages.foreground_check import check_source
from luss.stages.sound_masks import require_sound_masks
from luss.stages.stand_ins import (
    loads_features,
    loads_images,
    loads_maps,
    without_map_loading,
)
from luss.stages.test import Test

__all__ = ["check_label_generation"]

_LOADERS = ("pixels", "validation")


@CHECKS.register_module(name="LabelGenerationLoop")
def check_label_generation(stage: Test, context: Context, model: BaseModel) -> None:
    """Build the parts of a ``LabelGenerationLoop``, and have the model look at a photo.

    Raises:
        LussError: if there are fewer images than categories, the model lacks what the source of
            foreground or the embedder looks at, a photo will have no map, the threshold is none,
            or it is to be found on masks and validation has none.
    """
    parts, loaders = stage.test_cfg, stage.loaders(context)
    where = f"stages.{stage.name}"
    missing = [name for name in ("embedding", "pixels") if name not in loaders]
    if missing:
        raise LussError(
            f"{where}.test_dataloader has no {missing[0]!r}; LabelGenerationLoop reads the data "
            "loaders 'embedding' and 'pixels', and 'validation' where there are masks"
        )
    count = len(context.dataset(without_map_loading(loaders["embedding"]["dataset"])))
    if count < parts["num_categories"]:
        raise LussError(
            f"{count} images cannot form {parts['num_categories']} categories; add images or "
            "lower num_categories"
        )
    filled = {"num_clusters": parts["num_categories"], "seed": context.seed}
    LABEL_GENERATORS.build({**filled, **parts["generator"]})
    LABEL_WRITERS.build(dict(parts.get("writer", {"type": "PixelLabels"})))
    embedder = EMBEDDERS.build(dict(parts.get("embedder", {"type": "ImageEmbeddings"})))
    rule = threshold_rule(parts["threshold"], parts.get("matcher"))
    model.eval()
    source = check_source(stage, model, context, list(_LOADERS))
    reads_maps = getattr(embedder, "reads_maps", False)
    if reads_maps and not loads_maps(loaders["embedding"]["dataset"]):
        raise LussError(
            f"{where}.test_cfg.embedder: {parts['embedder']['type']} reads maps of foreground; add "
            "LoadForegroundAsMask to the pipeline of test_dataloader.embedding, with the folder "
            f"'${{{stage.name}.foreground}}/train'"
        )
    if source.needs_inputs and not loads_images(loaders["pixels"]["dataset"]):
        raise LussError(
            f"{where}.test_cfg.foreground runs the model on photos, but "
            f"{where}.test_dataloader.pixels only loads their features; add LoadRGBImage and "
            "ResizeShortSide before LoadFeatures, or choose another source (FeatureCut with "
            "finer=1)"
        )
    own = str(context.work_dir.stage(stage.name))
    if reads_maps and source.is_free and own in repr(loaders["embedding"]):
        raise LussError(
            f"{where}.test_cfg.embedder: {parts['embedder']['type']} reads maps of foreground, of "
            f"which {parts['foreground']['type']} leaves none; choose another foreground, or let "
            "LoadForegroundAsMask read the maps of another stage, such as "
            "'${foreground.maps}/train'"
        )
    if rule.reads == "validation":
        if "validation" not in context.splits_with_masks:
            raise LussError(
                f"{where}.test_cfg.threshold: {parts['threshold']['type']} reads the masks of "
                "validation, of which there are none; choose OtsuThreshold, or a number"
            )
        require_sound_masks(context, "validation")
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        found, images = _first_photo(loaders["embedding"], model, context)
        size = (8, 8) if images is None else images.shape[2:]
        maps = (torch.ones(1, 1, *size),) if reads_maps else ()
        embedder.embed(found, images, *maps)
        deepest_map(*_first_photo(loaders["pixels"], model, context))


def _first_photo(
    loader: dict, model: BaseModel, context: Context
) -> tuple[BaseModel | StoredFeatures, Tensor | None]:
    """Return a model and its input, or made-up features where stored ones will be loaded."""
    if loads_features(loader["dataset"]):
        maps = [torch.ones(1, stage.channels, 2, 2) for stage in probe(model.backbone)]
        return StoredFeatures(maps), None
    # Maps of foreground may not exist yet.
    photos = context.dataset(without_map_loading(loader["dataset"]))
    inputs = [photos[0]["inputs"][None]]
    return model, model.data_preprocessor({"inputs": inputs})["inputs"][0]
