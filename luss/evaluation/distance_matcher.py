"""Model that segments by the nearest labelled vectors (paper, section 3.2.1)."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from mmengine.structures import PixelData
from torch import Tensor

from luss.errors import LussError
from luss.evaluation.distance_bank import DistanceBank, nearest_class_map
from luss.models.backbones import FeatureMap, probe
from luss.models.segmentors.upsampled_argmax import nearest_resize_ids
from luss.registry import MODELS
from luss.structures.batches import step_by_size

__all__ = ["DistanceMatcher"]


@MODELS.register_module()
class DistanceMatcher(BaseModel):
    """Untrained segmentor that labels each pixel by the labelled vectors nearest to its feature.

    ``DistanceBankHook`` sets the bank of vectors before a test.

    Args:
        backbone: config of any backbone that returns feature maps.
        layer: name of the backbone's module whose output is used; by default its last output.
        k: number of neighbours that vote.
        temperature: votes have the weight exp(cosine / temperature).
        data_preprocessor: by default with ImageNet's mean and deviation.

    Raises:
        LussError: if the backbone has no such layer, or returns no feature maps.
    """

    def __init__(
        self,
        backbone: Mapping[str, Any],
        layer: str | None = None,
        k: int = 10,
        temperature: float = 0.07,
        data_preprocessor: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(MODELS.build(dict(data_preprocessor or {"type": "ViewPreprocessor"})))
        self.backbone = MODELS.build(dict(backbone))
        self.layer = layer
        self.k = k
        self.temperature = temperature
        # The backbone may pool its output, so the layer's output is used instead.
        self._feature_map = FeatureMap(self.backbone, layer)
        if layer is None:
            probe(self.backbone)
        self._bank: tuple[Tensor, Tensor] | None = None

    def set_bank(self, bank: DistanceBank) -> None:
        """Set the vectors that pixels are compared with."""
        self._bank = bank.on(next(self.backbone.parameters()).device)

    @torch.no_grad()
    def features_of(self, images: Sequence[Tensor]) -> list[Tensor]:
        """Return feature maps (L, h, w) float32 of uint8 images (3, H, W) of any sizes."""
        return list(step_by_size(lambda batch: self(self._prepared(batch)), {"inputs": images}))

    def test_step(self, data: dict) -> list:
        """Predict a batch; images of equal size are processed together.

        Args:
            data: a collated batch, ``inputs`` a list of uint8 images (3, H, W), ``data_samples``
                with ``ori_shape``.

        Returns:
            The samples in the batch's order, with ``pred_sem_seg`` (1, H, W) int64 in 0..C at
            their original sizes.
        """
        predict = lambda batch: self(self._prepared(batch), batch["data_samples"], mode="predict")  # noqa: E731
        return list(step_by_size(predict, data))

    val_step = test_step

    @torch.no_grad()
    def forward(
        self, inputs: Tensor, data_samples: Sequence | None = None, mode: str = "tensor"
    ) -> Tensor | list:
        """Return feature maps of images, or predictions.

        Args:
            inputs: images (N, 3, H, W), normalised.
            data_samples: N samples with ``ori_shape``, to predict.
            mode: 'tensor' for feature maps (N, L, h, w), 'predict' for samples like
                :meth:`test_step`.

        Raises:
            LussError: if the bank is missing, or the mode is 'loss'.
        """
        if mode == "loss":
            raise LussError("DistanceMatcher cannot be trained. Use it with Runner.test()")
        features = self._feature_map(inputs)
        if mode == "tensor":
            return features
        if self._bank is None or data_samples is None:
            raise LussError(
                "DistanceMatcher has no bank of labelled vectors, or no data_samples. Add "
                "DistanceBankHook to custom_hooks"
            )
        vectors, labels = self._bank
        maps = nearest_class_map(
            features,
            vectors,
            labels,
            # Larger classes cannot get votes.
            int(labels.max()) + 1,
            k=self.k,
            temperature=self.temperature,
        )
        for sample, ids in zip(data_samples, maps, strict=True):
            size = tuple(sample.metainfo["ori_shape"][:2])
            sample.pred_sem_seg = PixelData(data=nearest_resize_ids(ids[None], size))
        return list(data_samples)

    def _prepared(self, batch: dict) -> Tensor:
        images = self.data_preprocessor({"inputs": list(batch["inputs"])}, False)["inputs"]
        return images if isinstance(images, Tensor) else torch.stack(list(images))
