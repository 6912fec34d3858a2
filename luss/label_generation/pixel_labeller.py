"""Pseudo labels as predictions, to evaluate them before fine-tuning (table 10d)."""

from functools import cached_property
from pathlib import Path

import torch
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement, PixelData
from torch import Tensor, nn

from luss.errors import LussError
from luss.label_generation.foreground import LazyPhoto
from luss.label_generation.foreground.source import as_array
from luss.label_generation.given_centroids import read_centroids
from luss.label_generation.map_folder import as_stored
from luss.label_generation.threshold_file import Threshold, read_threshold
from luss.label_generation.threshold_rules import threshold_rule
from luss.registry import FOREGROUND_SOURCES, LABEL_WRITERS, MODELS

__all__ = ["PixelLabeller"]


@MODELS.register_module()
class PixelLabeller(BaseModel):
    """Model that predicts the labels that label generation would write.

    Its checkpoint is that of the trained model, with the same tensor names. Foreground maps are
    rounded to 8 bits if label generation stores them in files.

    Args:
        model: config of the trained model.
        centroids: path of ``centroids.npz``.
        threshold: path of ``threshold.json``; both files are read at the first image.
        foreground: config of one of ``FOREGROUND_SOURCES``.
        rule: a number, or config of one of ``THRESHOLD_RULES``, for thresholds per image.
        writer: config of one of ``LABEL_WRITERS``.
        data_preprocessor: instead of the model's.

    Raises:
        LussError: if the source scales its maps over the set.
    """

    def __init__(
        self,
        *,
        model: dict,
        centroids: str,
        threshold: str,
        foreground: dict,
        rule: float | dict,
        writer: dict,
        data_preprocessor: dict | None = None,
    ) -> None:
        super().__init__()
        own = {} if data_preprocessor is None else {"data_preprocessor": data_preprocessor}
        self.model = MODELS.build({**model, **own}).requires_grad_(False)
        self.files = Path(centroids), Path(threshold)
        self.foreground = FOREGROUND_SOURCES.build(foreground)
        self.rule = threshold_rule(rule)
        self.writer = LABEL_WRITERS.build(writer)

    @property
    def backbone(self) -> nn.Module | None:
        """Return the model's backbone; None if it has none."""
        return getattr(self.model, "backbone", None)

    @property
    def reads_feature_maps(self) -> bool:
        """Return whether the model has a backbone."""
        return self.backbone is not None

    def state_dict(self, *args, **kwargs) -> dict[str, Tensor]:
        """Return the model's tensors, named as in its checkpoint."""
        return self.model.state_dict(*args, **kwargs)

    def load_state_dict(self, *args, **kwargs) -> object:
        """Load the model's tensors, named as in its checkpoint."""
        return self.model.load_state_dict(*args, **kwargs)

    def forward(self, *args, **kwargs) -> object:
        """Run the model."""
        return self.model(*args, **kwargs)

    @cached_property
    def centroids(self) -> Tensor:
        """Return the centroids (C, L) float32."""
        return torch.from_numpy(read_centroids(self.files[0]))

    @cached_property
    def chosen(self) -> Threshold:
        """Return the chosen threshold.

        Raises:
            LussError: if the file is missing.
        """
        threshold = read_threshold(self.files[1])
        if threshold is None:
            raise LussError(f"{self.files[1]} is missing; run label generation first")
        return threshold

    @torch.no_grad()
    def test_step(self, data: dict) -> list[BaseDataElement]:
        """Label the photos of a batch, one by one.

        Args:
            data: a collated batch: ``inputs``, images (3, h, w), and ``data_samples``.

        Returns:
            The samples with ``pred_sem_seg`` (1, H, W) int64 in 0..C, at the original size.
        """
        for image, sample in zip(data["inputs"], data["data_samples"], strict=True):
            inputs = self.model.data_preprocessor({"inputs": [image[None]]})["inputs"][0]
            sample.pred_sem_seg = PixelData(data=self._label(inputs, sample)[None])
        return data["data_samples"]

    val_step = test_step

    def _label(self, inputs: Tensor, sample: BaseDataElement) -> Tensor:
        photo = LazyPhoto(
            sample.image_id,
            sample.img_path,
            sample.get("split", "train"),
            upright=sample.get("upright", False),
            inputs=inputs,
            model=self.model,
            sample=sample,
        )
        foreground = self.foreground(photo)
        if not self.foreground.is_free:
            foreground = as_stored(as_array(foreground))
        foreground = torch.as_tensor(foreground, device=inputs.device)
        ids, foreground = self.writer.evidence(
            photo.features, foreground[None, None], self.centroids, sample.ori_shape[:2]
        )
        threshold = self.rule.of_image(as_array(foreground[0]), self.chosen)
        return self.writer.label(ids[0], foreground[0], threshold)
