"""The distance matching protocol: k-NN of pixels among labelled vectors (section 3.2.1)."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from mmengine.dist import all_gather_object, barrier, is_main_process
from mmengine.logging import print_log
from torch import Tensor, nn

from luss.engine.foreign_weights import build_backbone, fill_backbone
from luss.errors import LussError
from luss.evaluation.distance_bank import DistanceBank, class_vectors, nearest_class_map
from luss.evaluation.results import Results
from luss.models.backbones import FeatureMap, probe
from luss.models.backbones.weights import WeightsEntry, weights_entry
from luss.models.segmentors.upsampled_argmax import nearest_resize_ids
from luss.pipeline.context import Context
from luss.pipeline.inference import own_share, stream
from luss.pipeline.protocols.predictions import evaluation_splits, metrics_by_split, predict_split
from luss.pipeline.protocols.protocol_stage import ProtocolStage
from luss.pipeline.sound_masks import require_sound_masks
from luss.pipeline.work_dir import main_process_decides
from luss.ranks import fail_together
from luss.registry import MODELS, STAGES
from luss.structures.batches import of_one_size

__all__ = ["DistanceMatchingStage"]


@STAGES.register_module()
class DistanceMatchingStage(ProtocolStage):
    """Labels each pixel by the labelled vectors nearest to its feature; nothing is trained.

    After a stage that trained a model with a ``backbone``, or on its own with any backbone of
    mmcls, mmseg, mmselfsup or luss, whose weights come from a local file: ``checkpoint``, the
    stage's ``weights``, or the config's top-level ``weights``; random ones without any.

    Args:
        name: see :class:`Stage`.
        model_from: the stage whose backbone is evaluated; by default 'pretrain' if no backbone
            is given.
        backbone: config of a backbone that stands alone; or, with ``model_from``, one to read the
            weights of that stage's backbone into, such as a plain vision transformer for those of
            a masked autoencoder.
        weights: a path, or a dict as :class:`luss.models.backbones.weights.WeightsEntry`. Without
            a file in it, it says how that of ``checkpoint`` or the top level is to be read.
        layer: name of the backbone's module whose output is used; by default its last output.
        preprocessor: config of the data preprocessor; by default ImageNet's mean and deviation.
        k: neighbours that vote.
        temperature: votes weigh exp(cosine / temperature).
        batch_size: images that are loaded together; those of one size go through the backbone
            together.
        **kwargs: see :class:`ProtocolStage`.
    """

    protocol = "distance_matching"
    settings: ClassVar[tuple[str, ...]] = ("seed", "data", "weights")

    def __init__(
        self,
        name: str,
        *,
        model_from: str | None = None,
        backbone: dict | None = None,
        weights: str | dict | None = None,
        layer: str | None = None,
        preprocessor: dict | None = None,
        k: int = 10,
        temperature: float = 0.07,
        batch_size: int = 8,
        **kwargs,
    ) -> None:
        trained = model_from or ("pretrain" if backbone is None else None)
        if trained and weights is not None:
            raise LussError(
                f"stages.{name} has weights and evaluates those of stage {trained!r}; give one of "
                "the two"
            )
        super().__init__(name, trained, batch_size=batch_size, **kwargs)
        self.backbone = backbone
        self.weights = weights
        self.layer = layer
        self.preprocessor = preprocessor or {"type": "ViewPreprocessor"}
        self.k = k
        self.temperature = temperature

    def check(self, context: Context) -> None:
        """Build the backbone, the preprocessor, and the data sets; look for the weights.

        Raises:
            LussError: if anything of these is unknown or missing.
        """
        backbone = MODELS.build(self._backbone_config(context))
        given = self._given_weights(context)
        if given is not None:
            fill_backbone(backbone, given, f"stages.{self.name}.weights")
        # Looks the layer up; backbones that pool behind it are no feature maps themselves.
        FeatureMap(backbone, self.layer)
        if self.layer is None:
            probe(backbone)
        MODELS.build(dict(self.preprocessor))
        if context.splits_with_masks and _is_labelled(context):
            self._labelled_set(context)
            require_sound_masks(context, "train-semi")
            super().check(context)

    def run(self, context: Context) -> dict:
        """Evaluate where there are labelled images; a pipeline goes on without them."""
        if not context.has_splits or _is_labelled(context):
            return super().run(context)
        print_log(f"{self.protocol}: train-semi has no masks, so there is no bank", "current")
        return {"splits": []}

    def checkpoint_path(self, context: Context) -> Path | None:
        """The weights to evaluate; None for random ones."""
        given = self._given_weights(context)
        if given is None:
            return super().checkpoint_path(context)
        return Path(WeightsEntry.parse(given, f"stages.{self.name}.weights").file).expanduser()

    def evaluate(self, context: Context) -> Results:
        """Fill the bank, predict, count, write results."""
        weights = self.checkpoint_path(context)
        config = self._backbone_config(context)
        backbone = build_backbone(
            config,
            self._given_weights(context) or weights,
            context.seed,
            f"stages.{self.name}.weights",
        )
        self.model = FeatureMap(backbone.to(context.device), self.layer)
        self.normalize = MODELS.build(dict(self.preprocessor)).to(context.device)
        bank = self._bank(context)
        vectors, labels = bank.on(context.device)
        num_labels = context.num_true_classes + 1

        @torch.no_grad()
        def predict(items: list[dict]) -> list[np.ndarray]:
            maps = nearest_class_map(
                self._features(items),
                vectors,
                labels,
                num_labels,
                k=self.k,
                temperature=self.temperature,
            )
            sizes = [tuple(item["data_samples"].ori_shape[:2]) for item in items]
            return [
                nearest_resize_ids(ids[None], size)[0].cpu().numpy()
                for ids, size in zip(maps, sizes, strict=True)
            ]

        counts = {
            split: predict_split(
                context,
                split,
                predict,
                self.folder(context, split),
                pipeline=self.pipeline,
                num_generated=num_labels - 1,
                boundary=self.boundary,
                batch_size=self.batch_size,
            )
            for split in evaluation_splits(context)
        }
        counted = {split: found for split, found in counts.items() if found is not None}
        results = metrics_by_split(counted, self.metrics)
        facts = {
            "backbone": str(config["type"]),
            "weights": f"{weights.parent.name}/{weights.name}" if weights else "random",
            "bank": f"{len(bank.labels)} vectors of {len(np.unique(bank.images))} images",
            "k": self.k,
            "temperature": self.temperature,
        }
        self.write(context, {self.protocol: results}, facts)
        return results

    def _backbone_config(self, context: Context) -> dict:
        if self.backbone is not None:
            return dict(self.backbone)
        model = self.model_config(context)
        if "backbone" not in model:
            raise LussError(
                f"the model of stage {self.model_from!r} has no 'backbone'; give stages."
                f"{self.name}.backbone and a checkpoint"
            )
        return dict(model["backbone"])

    def _given_weights(self, context: Context) -> str | dict | None:
        if self.model_from is not None:
            return self.checkpoint
        return weights_entry(self.weights, self.checkpoint or context.config.get("weights"))

    def _labelled_set(self, context: Context):
        return context.dataset(
            {"split": "train-semi", "pipeline": self.pipeline, "require_masks": True}
        )

    def _features(self, items: Sequence[dict]) -> Tensor:
        """Last feature maps (N, L, h, w) of packed items of one size."""
        images = torch.stack([item["inputs"] for item in items])
        return self.model(self.normalize({"inputs": [images]})["inputs"][0])

    def _bank(self, context: Context) -> DistanceBank:
        """The bank of this backbone: that of a killed run if there is one, or a new one."""
        path = context.work_dir.stage(self.name) / "bank.npz"
        dataset = self._labelled_set(context)
        settings = [dict(self.preprocessor), [dict(step) for step in self.pipeline], self.layer]
        source = _fingerprint(self.model.backbone, settings, dataset)
        if main_process_decides(_is_bank_of(path, source)):
            print_log(f"the bank {path} is there already", "current")
        else:
            self._fill_bank(context, dataset, path, source)
        barrier()
        return DistanceBank.read(path)

    @torch.no_grad()
    def _fill_bank(self, context: Context, dataset, path: Path, source: str) -> None:
        vectors, labels, images = [], [], []
        share = own_share(len(dataset))
        workers, place = context.num_workers, share.start
        with fail_together():
            for items in stream(dataset, share, self.batch_size, workers, "bank of train-semi"):
                numbered = [{**item, "row": place + row} for row, item in enumerate(items)]
                place += len(items)
                found = {}
                for group in of_one_size(numbered):
                    for item, features in zip(group, self._features(group), strict=True):
                        mask = item["data_samples"].gt_sem_seg.data[0]
                        found[item["row"]] = class_vectors(features, mask)
                for row in sorted(found):
                    of_image, classes = found[row]
                    vectors.append(of_image.cpu().numpy())
                    labels.append(classes.numpy())
                    images.append(np.full(len(classes), row, np.int64))
        parts = all_gather_object((vectors, labels, images))
        if is_main_process():
            vectors, labels, images = (
                np.concatenate([array for part in column for array in part])
                for column in zip(*parts, strict=True)
            )
            DistanceBank(vectors, labels, images, source).write(path)


def _is_bank_of(path: Path, source: str) -> bool:
    """Whether a file holds the bank of a source; a damaged one is named and made anew."""
    if not path.exists():
        return False
    try:
        return DistanceBank.read(path).source == source
    except LussError as error:
        print_log(f"{error}; it is made anew", "current", level=30)
        return False


def _is_labelled(context: Context) -> bool:
    return Path(context.data["data_root"], "train-semi-segmentation").is_dir()


def _fingerprint(backbone: nn.Module, settings: list, dataset) -> str:
    """What a bank depends on, as hexadecimal digits."""
    digest = hashlib.sha256()
    for name, value in backbone.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    described = [repr(backbone), settings, str(dataset.data_root)]
    digest.update(json.dumps(described, default=str).encode())
    for index in range(len(dataset)):
        digest.update(dataset.get_data_info(index)["image_id"].encode())
    return digest.hexdigest()[:16]
