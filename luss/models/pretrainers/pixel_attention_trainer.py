"""Step 2.1 of PASS: training pixel attention on frozen features (section 4.3)."""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel, ModuleDict
from torch import Tensor

from luss.models.backbones import extract_maps, name_stages, probe
from luss.models.backbones.widths import fill_widths
from luss.models.heads.pixel_attention import SCALE
from luss.models.pretrainers.pass_pretrainer import weighted_total
from luss.registry import MODELS
from luss.structures import ViewFeatures

__all__ = ["PixelAttentionTrainer"]


@MODELS.register_module()
class PixelAttentionTrainer(BaseModel):
    """Trainer of attention and prototypes by the clustering loss; pretrained parts are frozen.

    As in the released code, the frozen backbone and projector M_I stay in train mode: they
    normalise with batch statistics and update their running statistics. Modules are named as in the
    pretrainer, so that its checkpoints can be loaded.

    Args:
        backbone: config of the pretrainer's backbone; the last feature map is used.
        attention: config of :class:`luss.models.PixelAttention`; a missing ``channels`` is set to
            the backbone's channels.
        clustering: config of :class:`luss.models.Clustering`, with the pretrainer's channels.
        frozen: names of frozen modules. By default the pretrained parts; a stage excludes those
            with random weights, such as M_I if only the backbone was pretrained.
        data_preprocessor: see :class:`luss.models.ViewPreprocessor`.
        init_cfg: see :class:`mmengine.model.BaseModule`.
    """

    reads_feature_maps: ClassVar[bool] = True
    """Makes the stage check the backbone with the sizes of its views."""

    pretrained_parts: ClassVar[tuple[str, ...]] = ("backbone", "objectives.clustering.projector")
    """Modules that are frozen if they have pretrained weights."""

    def __init__(
        self,
        backbone: dict,
        attention: dict,
        clustering: dict,
        frozen: Sequence[str] | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        found = name_stages(None, probe(self.backbone), self.backbone)
        self.attention = MODELS.build(fill_widths(attention, found, "attention", "channels"))
        clustering = fill_widths(clustering, found, "clustering")
        self.objectives = ModuleDict({"clustering": MODELS.build(clustering)})
        self._backbone_learns = True
        for name in self.pretrained_parts if frozen is None else frozen:
            self.get_submodule(name).requires_grad_(False)
            self._backbone_learns &= name != "backbone"

    def extract(self, images: Tensor) -> Tensor:
        """Return the last feature map (N, L, h, w) of images (N, 3, H, W)."""
        with torch.set_grad_enabled(self._backbone_learns and torch.is_grad_enabled()):
            return extract_maps(self.backbone, images)[-1]

    def embed_images(self, images: Tensor, foreground: Tensor | None = None) -> Tensor:
        """Compute image embeddings (N, L) for k-means: the mean of c(z) * z (step 2.2).

        Args:
            images: (N, 3, H, W).
            foreground: (N, 1, H, W) in [0, 1], additional weights of the pixels.
        """
        features = self.extract(images)
        if foreground is not None:
            height, width = features.shape[2:]
            foreground = F.interpolate(foreground, (SCALE * height, SCALE * width), mode="area")
        return self.attention.pool_raw(features, foreground)

    def forward(
        self,
        inputs: list[Tensor] | Tensor,
        geometry: Tensor | None = None,
        mode: str = "tensor",
    ) -> dict[str, Tensor] | Tensor:
        """Compute losses of a batch of views of one resolution, or the feature map of images.

        Args:
            inputs: V tensors (N, 3, H, W) for losses, one (N, 3, H, W) for features.
            geometry: (N, V, 7), as collated; not read.
            mode: ``loss`` or ``tensor``.
        """
        if mode == "tensor":
            assert isinstance(inputs, Tensor)
            return self.extract(inputs)
        if mode != "loss":
            raise ValueError(f"mode is {mode!r}, expected 'loss' or 'tensor'")
        features = self.extract(torch.cat(list(inputs)))
        return {"loss_clustering": self.clustering_loss(features, len(inputs[0]))}

    def clustering_loss(self, features: Tensor, batch_size: int) -> Tensor:
        """Compute the clustering loss of the features (V N, L, h, w) of V views of N images."""
        clustering = self.objectives["clustering"]
        views = ViewFeatures(groups=[], batch_size=batch_size, geometry=[])
        pooled = self.attention.pool_normalised(features)
        return clustering.loss(clustering.embed_checked(pooled, batch_size), views)

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the total; losses are logged unweighted."""
        return weighted_total(losses, {})
