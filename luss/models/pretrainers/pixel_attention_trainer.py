"""Step 2.1 of PASS: fine-tuning pixel attention on frozen features (section 4.3)."""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel, ModuleDict
from torch import Tensor

from luss.errors import LussError
from luss.models.backbones import maps_of, name_stages, probe
from luss.models.backbones.widths import fill_widths
from luss.models.heads.pixel_attention import SCALE
from luss.models.pretrainers.pass_pretrainer import weighted_total
from luss.registry import MODELS
from luss.structures import ViewFeatures, ViewGeometry

__all__ = ["PixelAttentionTrainer"]


@MODELS.register_module()
class PixelAttentionTrainer(BaseModel):
    """Trains attention and prototypes by the clustering loss; what was pretrained is frozen.

    As in the released code, the frozen backbone and projector M_I stay in train mode: they
    normalise with batch statistics, and their running statistics move. Its modules have the
    pretrainer's names, so that parts of that checkpoint fit.

    Args:
        backbone: config of the pretrainer's backbone; the last feature map is used.
        attention: config of :class:`luss.models.PixelAttention`; its ``channels`` are those of the
            backbone, and may be left out.
        clustering: config of :class:`luss.models.Clustering`, of the pretrainer's widths.
        teacher: config of a :class:`luss.models.ForegroundTeacher`, towards whose maps the mean
            attention is trained beside the clustering loss; None, as in the paper, for none.
        frozen: names of the modules that are not trained. A stage leaves those out that it starts
            from random weights, such as M_I after a backbone that was pretrained elsewhere.
        data_preprocessor: see :class:`luss.models.ViewPreprocessor`.
        init_cfg: see :class:`mmengine.model.BaseModule`.
    """

    reads_feature_maps: ClassVar[bool] = True
    """So that a stage tries the backbone on the sizes of its views."""

    def __init__(
        self,
        backbone: dict,
        attention: dict,
        clustering: dict,
        teacher: dict | None = None,
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
        self.teacher = None if teacher is None else MODELS.build(teacher)
        self._backbone_learns = True
        for name in self.pretrained_parts if frozen is None else frozen:
            self.get_submodule(name).requires_grad_(False)
            self._backbone_learns &= name != "backbone"

    @property
    def reads_maps(self) -> bool:
        """Whether batches have to come with maps of foreground."""
        return self.teacher is not None

    pretrained_parts: ClassVar[tuple[str, ...]] = ("backbone", "objectives.clustering.projector")
    """Modules that are frozen where they start from pretrained weights."""

    def extract(self, images: Tensor) -> Tensor:
        """Deepest feature map (N, L, h, w) of images (N, 3, H, W)."""
        with torch.set_grad_enabled(self._backbone_learns and torch.is_grad_enabled()):
            return maps_of(self.backbone, images)[-1]

    def embed_images(self, images: Tensor, foreground: Tensor | None = None) -> Tensor:
        """Image embeddings (N, L) for k-means: the mean of c(z) * z (step 2.2).

        Args:
            images: (N, 3, H, W).
            foreground: (N, 1, H, W) in [0, 1], by which pixels are weighted on top.
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
        foreground: Tensor | None = None,
        mode: str = "tensor",
    ) -> dict[str, Tensor] | Tensor:
        """Losses of a batch of views of one resolution, or the feature map of images.

        Args:
            inputs: V tensors (N, 3, H, W) for losses, one (N, 3, H, W) for features.
            geometry: (N, V, 7), as collated; read with a teacher alone.
            foreground: (N, 1, h, w) uint8, the teacher's maps of the whole photos, 255 where an
                object is likeliest.
            mode: ``loss`` or ``tensor``.

        Raises:
            LussError: if there are maps without a teacher, or a teacher without maps.
        """
        if mode == "tensor":
            return self.extract(inputs)
        if mode != "loss":
            raise ValueError(f"mode {mode!r}: this trainer knows 'loss' and 'tensor'")
        clustering = self.objectives["clustering"]
        if (foreground is None) == self.reads_maps:
            raise LussError(
                "attention with a teacher is trained on photos with maps of foreground, and without"
                " one on photos only; add LoadForegroundMap to the pipeline, or set "
                "model.teacher=None"
            )
        batch_size = len(inputs[0])
        features = self.extract(torch.cat(inputs))
        views = ViewFeatures(groups=[], batch_size=batch_size, geometry=[])
        if self.teacher is None:
            pooled, taught = self.attention.pool_normalised(features), {}
        else:
            pooled, attention = self.attention.pool_normalised_with_mean(features)
            shown = [ViewGeometry.unpack(view) for view in geometry.unbind(dim=1)]
            taught = {"loss_foreground": self.teacher(attention, foreground, shown)}
        embeddings = clustering.embed_checked(pooled, batch_size)
        return {"loss_clustering": clustering.loss(embeddings, views), **taught}

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The total, with a teacher in its weights; each loss is logged unweighted."""
        if self.teacher is None:
            return weighted_total(losses, {})
        share = self.teacher.weight
        return weighted_total(losses, {"loss_clustering": 1 - share, "loss_foreground": share})
