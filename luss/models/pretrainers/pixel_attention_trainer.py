"""Step 2.1 of PASS: training pixel attention on frozen features (section 4.3)."""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel, ModuleDict
from torch import Tensor

from luss.errors import LussError
from luss.models.backbones import extract_maps, name_stages, probe
from luss.models.backbones.widths import fill_widths
from luss.models.heads.pixel_attention import SCALE
from luss.models.pretrainers.pass_pretrainer import weighted_total
from luss.registry import MODELS
from luss.structures import ViewFeatures, ViewGeometry

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
        teacher: config of a :class:`luss.models.ForegroundTeacher`, an additional loss of the mean
            attention against foreground maps; None, as in the paper, for none.
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
        """Return whether batches must contain foreground maps."""
        return self.teacher is not None

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
        foreground: Tensor | None = None,
        mode: str = "tensor",
    ) -> dict[str, Tensor] | Tensor:
        """Compute losses of a batch of views of one resolution, or the feature map of images.

        Args:
            inputs: V tensors (N, 3, H, W) for losses, one (N, 3, H, W) for features.
            geometry: (N, V, 7), as collated; only read with a teacher.
            foreground: (N, 1, h, w) uint8, the teacher's maps of the complete photos, 255 for the
                likeliest foreground.
            mode: ``loss`` or ``tensor``.

        Raises:
            LussError: if there are maps without a teacher, or a teacher without maps.
        """
        if mode == "tensor":
            assert isinstance(inputs, Tensor)
            return self.extract(inputs)
        if mode != "loss":
            raise ValueError(f"mode is {mode!r}, expected 'loss' or 'tensor'")
        clustering = self.objectives["clustering"]
        if (foreground is None) == self.reads_maps:
            found = "no foreground maps" if self.reads_maps else "foreground maps"
            raise LussError(
                f"the batch has {found}, but model.teacher is {'' if self.reads_maps else 'not '}"
                "set; add LoadForegroundMap to the pipeline and set model.teacher, or neither"
            )
        batch_size = len(inputs[0])
        features = self.extract(torch.cat(list(inputs)))
        views = ViewFeatures(groups=[], batch_size=batch_size, geometry=[])
        if self.teacher is None:
            pooled, taught = self.attention.pool_normalised(features), {}
        else:
            pooled, attention = self.attention.pool_normalised_with_mean(features)
            positions = ViewGeometry.unpack_views(geometry)
            taught = {"loss_foreground": self.teacher(attention, foreground, positions)}
        embeddings = clustering.embed_checked(pooled, batch_size)
        return {"loss_clustering": clustering.loss(embeddings, views), **taught}

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Compute the total, with the teacher's weights; losses are logged unweighted."""
        if self.teacher is None:
            return weighted_total(losses, {})
        share = self.teacher.weight
        return weighted_total(losses, {"loss_clustering": 1 - share, "loss_foreground": share})
