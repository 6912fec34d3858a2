"""Class-agnostic activation maps: foreground learnt by contrast, without labels."""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from mmengine.dist import all_reduce
from mmengine.model import BaseModel
from torch import Tensor

from c2am.contrast import negative_pairs_loss, positive_pairs_loss
from c2am.disentangler import disentangle
from luss.errors import LussError
from luss.models.backbones import extract_maps, probe
from luss.registry import MODELS
from luss.structures import ViewGeometry, sample_in_views, size_of

__all__ = ["C2AM", "frame_shares", "joined_maps", "lead_at_frame"]

_FINE = 64
"""Side of the grid on which a photo's frame is drawn."""
_POINTS = 8
"""Sampled points per side of a feature map's pixel."""


def joined_maps(maps: Sequence[Tensor]) -> Tensor:
    """Concatenate feature maps at the resolution of the first and finest.

    Args:
        maps: (N, L_i, h_i, w_i), from shallow to deep.

    Returns:
        (N, sum of L_i, h_1, w_1); deeper maps are resized bilinearly.
    """
    size = maps[0].shape[2:]
    return torch.cat(
        [
            found
            if found.shape[2:] == size
            else F.interpolate(found, size, mode="bilinear", align_corners=False)
            for found in maps
        ],
        dim=1,
    )


def frame_shares(views: ViewGeometry, size: tuple[int, int], part: float) -> Tensor:
    """Compute the share of each pixel of a view's feature map inside the photo's frame.

    Args:
        views: N views.
        size: height and width of the feature map.
        part: thickness of the frame as a fraction of each side of the photo.

    Returns:
        (N, 1, *size) float32 in [0, 1].
    """
    count = len(views.rectangles)
    inner = round(_FINE * part)
    frame = torch.ones(count, 1, _FINE, _FINE, device=views.rectangles.device)
    frame[:, :, inner : _FINE - inner, inner : _FINE - inner] = 0
    fine = sample_in_views(frame, views, (_POINTS * size[0], _POINTS * size[1]))
    return F.avg_pool2d(fine, _POINTS)


def lead_at_frame(activation: Tensor, shares: Tensor, known: Tensor) -> Tensor:
    """Compute the mean activation at the photos' frames minus that inside.

    Args:
        activation: (M, 1, h, w) in [0, 1].
        shares: (M, 1, h, w) in [0, 1], share of each pixel inside the frame.
        known: scalar, returned if the views show no frame or only the frame.

    Returns:
        Scalar in [-1, 1], over the views of all processes.
    """
    sums = torch.stack([(activation * part).sum() for part in (shares, 1 - shares)])
    areas = torch.stack([part.sum() for part in (shares, 1 - shares)])
    totals = torch.stack([sums, areas])
    all_reduce(totals)
    sums, areas = totals
    at_frame, inside = sums / areas.clamp(min=1e-6)
    return torch.where((areas > 1e-3).all(), at_frame - inside, known)


@MODELS.register_module()
class C2AM(BaseModel):
    """Trainer of a foreground map (Xie et al., C2AM, CVPR 2022).

    The activation map of a disentangler splits the features of each photo, concatenated over all
    stages of the backbone, into two representations. Representations of one side are pulled
    together over photos, the two sides are pushed apart. Pairs are formed within one process.

    The losses are symmetric in the two sides. The foreground is the side that touches the frames of
    the photos less, over all photos of the last iterations: ``frame_lead`` is the moving average of
    the activation at the frames minus that inside, and :meth:`foreground_map` inverts the map if it
    is positive. (The authors' code compares the borders of the crops of one batch, once.) Since the
    decision is common to all photos, single objects may touch their frame. A lead near zero means
    that the sides are not object and background.

    Args:
        backbone: config of a backbone that returns the maps to read: stages 3 and 4 in the paper,
            ``out_indices=(3, 4)``.
        disentangler: config of a :class:`Disentangler`, the default; a missing
            ``in_channels`` is set to the channels of all maps.
        alpha: see :func:`positive_pairs_loss`.
        frame: thickness of a photo's frame as a fraction of each of its sides.
        frozen: names of frozen modules. By default the pretrained parts; a stage excludes those
            with random weights. A frozen backbone normalises by its running statistics; the
            authors train theirs (``frozen=[]``).
        data_preprocessor: see :class:`luss.models.ViewPreprocessor`.
        init_cfg: see :class:`mmengine.model.BaseModule`.

    Raises:
        LussError: if a setting is out of range, or the channels are not those of the backbone.
    """

    reads_feature_maps: ClassVar[bool] = True
    """Makes the stage check the backbone with the sizes of its views."""

    pretrained_parts: ClassVar[tuple[str, ...]] = ("backbone",)
    """Modules that are frozen if they have pretrained weights."""

    momentum: ClassVar[float] = 0.1
    """Weight of an iteration in ``frame_lead``."""

    def __init__(
        self,
        backbone: dict,
        disentangler: dict | None = None,
        alpha: float = 0.25,
        frame: float = 0.1,
        frozen: Sequence[str] | None = None,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(data_preprocessor, init_cfg)
        if alpha < 0 or not 1 / _FINE <= frame < 0.5:
            raise LussError(
                f"C2AM: alpha is {alpha}, expected 0 or more; frame is {frame}, expected a "
                f"fraction from {1 / _FINE:.3f} to below 0.5"
            )
        self.backbone = MODELS.build(backbone)
        channels = sum(stage.channels for stage in probe(self.backbone))
        config = {"type": "Disentangler", "in_channels": channels, **(disentangler or {})}
        if config["in_channels"] != channels:
            raise LussError(
                f"disentangler has in_channels={config['in_channels']}, but the maps of the "
                f"backbone have {channels} in total; correct in_channels, or remove it"
            )
        self.disentangler = MODELS.build(config)
        self.alpha = alpha
        self.frame = frame
        self.register_buffer("frame_lead", torch.zeros(()))
        self.frozen = tuple(self.pretrained_parts if frozen is None else frozen)
        for name in self.frozen:
            self.get_submodule(name).requires_grad_(False)

    def train(self, mode: bool = True) -> "C2AM":
        """Set the training mode; keep frozen parts in evaluation mode, as in inference."""
        super().train(mode)
        for name in self.frozen:
            self.get_submodule(name).eval()
        return self

    def extract(self, images: Tensor) -> Tensor:
        """Return the concatenated feature maps (N, L, h, w) of images (N, 3, H, W)."""
        learns = "backbone" not in self.frozen and torch.is_grad_enabled()
        with torch.set_grad_enabled(learns):
            return joined_maps(extract_maps(self.backbone, images))

    def foreground_map(self, images: Tensor) -> Tensor:
        """Return the foreground map (N, 1, h, w) in [0, 1] of images (N, 3, H, W)."""
        activation = self.disentangler(self.extract(images))
        return torch.where(self.frame_lead > 0, 1 - activation, activation)

    def forward(
        self, inputs: list[Tensor] | Tensor, geometry: Tensor | None = None, mode: str = "tensor"
    ) -> dict[str, Tensor] | Tensor:
        """Compute losses of a batch of views of one resolution, or foreground maps of images.

        Args:
            inputs: V tensors (N, 3, H, W) for losses, one (N, 3, H, W) for maps.
            geometry: (N, V, 7), as collated, for losses.
            mode: ``loss`` or ``tensor``.

        Raises:
            LussError: if views have no geometry, or there is only one view.
        """
        if mode == "tensor":
            assert isinstance(inputs, Tensor)
            return self.foreground_map(inputs)
        if mode != "loss":
            raise ValueError(f"mode is {mode!r}, expected 'loss' or 'tensor'")
        views = ViewGeometry.unpack_views(geometry)
        features = self.extract(torch.cat(list(inputs)))
        activation = self.disentangler(features)
        if self.training:
            self._follow_frame(activation.detach(), views)
        active, rest = disentangle(features, activation)
        return {
            "loss_active": positive_pairs_loss(active, self.alpha),
            "loss_rest": positive_pairs_loss(rest, self.alpha),
            "loss_apart": negative_pairs_loss(active, rest),
            "frame_lead": self.frame_lead.clone(),
        }

    @torch.no_grad()
    def _follow_frame(self, activation: Tensor, views: Sequence[ViewGeometry]) -> None:
        size = size_of(activation)
        shares = torch.cat([frame_shares(view, size, self.frame) for view in views])
        lead = lead_at_frame(activation, shares, self.frame_lead)
        self.frame_lead.lerp_(lead, self.momentum)
