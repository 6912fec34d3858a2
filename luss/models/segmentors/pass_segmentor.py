"""Fine-tuning and inference of PASS on mmseg's segmentor (section 4.4, step 3 and inference)."""

from collections.abc import Sequence
from typing import ClassVar, Self

import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder
from mmseg.structures import SegDataSample
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from luss.datasets.image_io import MAX_PIXELS
from luss.errors import LussError
from luss.models.backbones import extract_maps, probe
from luss.models.refiners import refine_ids
from luss.models.segmentors.cam import cam_ids
from luss.models.segmentors.heads import clear_index_errors, fill_head
from luss.models.segmentors.upsampled_argmax import nearest_resize_ids, upsampled_argmax
from luss.registry import MODELS
from luss.structures import step_by_size, stored_maps

__all__ = ["HEIGHT_OF_LARGE", "LARGE_IMAGE", "PassSegmentor", "predict_ids"]

LARGE_IMAGE = 1_000_000
HEIGHT_OF_LARGE = 1000


def predicted_size(size: tuple[int, int]) -> tuple[int, int]:
    """Return the size at which an image's ids are predicted.

    As in the released code, an image of more than a million pixels is predicted at (1000,
    int(1000 W / H)); its ids are then resized by nearest neighbour. (The authors' later
    semi-supervised code scales the longer side to 1000 instead of the height.) Images so wide that
    this would exceed 100 million pixels are predicted at their own size.

    Args:
        size: (H, W) of the image.
    """
    height, width = size
    narrower = max(1, int(HEIGHT_OF_LARGE * width / height))
    if height * width <= LARGE_IMAGE or HEIGHT_OF_LARGE * narrower > MAX_PIXELS:
        return height, width
    return HEIGHT_OF_LARGE, narrower


def predict_ids(logits: Tensor, size: tuple[int, int], align_corners: bool = False) -> Tensor:
    """Predict the class of each pixel of an image at its original size.

    Logits are up-sampled bilinearly to :func:`predicted_size` before the argmax.

    Args:
        logits: (N, C + 1, h, w).
        size: (H, W), the original size of all N images.
        align_corners: as in ``F.interpolate``.

    Returns:
        (N, H, W) int64 in 0..C, the lowest on a tie.
    """
    ids = upsampled_argmax(logits, predicted_size(size), align_corners)
    return nearest_resize_ids(ids, size)


@MODELS.register_module()
class PassSegmentor(EncoderDecoder):
    """``mmseg.EncoderDecoder`` that trains on subsampled labels and predicts ids.

    It accepts any backbone, neck and head of mmseg. Missing settings of a head are derived:
    ``in_channels`` from the backbone, ``ignore_index`` from the masks' encoding. Types inside a
    head are looked up in the library of the head's own type.

    Args:
        label_stride: the loss reads every label_stride-th pixel of the labels in both directions.
        cam_threshold: predict by class activation maps (table 10a): each pixel gets the major
            category of the largest logit, and is 'other' if that activation is below this fraction
            of the image's largest one; by default 'other' is predicted as a class.
        refiner: config of a refiner, such as ``dict(type="PAMR")``, that moves the edges of
            predictions to those of the photo; needs ``KeepPhoto`` in the test pipeline.
        frozen_backbone: keep the backbone as it is: without gradients, and in evaluation mode, so
            that the statistics of its batch norms do not change. Training may then read stored
            features.
        norm_eval: train the backbone, but keep the statistics of its batch norms.
        scales: sizes at which images are predicted, relative to their own. The logits are averaged;
            a larger size finds small objects and edges, which a smaller one misses.
        multiple_of: sides of resized images are rounded to multiples of it.
        **kwargs: see ``mmseg.EncoderDecoder``.

    Raises:
        LussError: if sliding-window inference is configured, the threshold is not in 0..1, a scale
            is not positive, or the refiner cannot be built.
    """

    reads_feature_maps: ClassVar[bool] = True
    """Makes the stage check the backbone with the sizes of its views."""

    def __init__(
        self,
        label_stride: int = 2,
        cam_threshold: float | None = None,
        refiner: dict | None = None,
        frozen_backbone: bool = False,
        norm_eval: bool = False,
        scales: Sequence[float] = (1,),
        multiple_of: int = 1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.frozen_backbone = frozen_backbone
        self.norm_eval = norm_eval
        if frozen_backbone:
            self.backbone.requires_grad_(False)
        if (self.test_cfg or {}).get("mode", "whole") != "whole":
            raise LussError(
                f"PassSegmentor: test_cfg.mode is {self.test_cfg['mode']!r}, expected 'whole'; "
                "remove it, since sliding windows would need all logits at full size"
            )
        if cam_threshold is not None and not 0 <= cam_threshold <= 1:
            raise LussError(f"PassSegmentor: cam_threshold is {cam_threshold}, expected 0..1")
        if not scales or not min(scales) > 0:
            raise LussError(
                f"PassSegmentor: scales is {list(scales)}, expected numbers greater than 0"
            )
        self.scales = tuple(scales)
        self.multiple_of = multiple_of
        self.label_stride = label_stride
        self.cam_threshold = cam_threshold
        self.refiner = None if refiner is None else MODELS.build(refiner)
        self.keep_logits = False

    def _init_decode_head(self, decode_head: dict) -> None:
        if not isinstance(decode_head, dict):
            raise LussError(
                f"PassSegmentor: decode_head is a {type(decode_head).__name__}, expected one head; "
                "put further heads into auxiliary_head"
            )
        self._maps = probe(self.backbone, neck=self.neck if self.with_neck else None)
        with clear_index_errors("decode_head"):
            super()._init_decode_head(fill_head(decode_head, self._maps, "decode_head"))

    def _init_auxiliary_head(self, auxiliary_head: dict | list[dict] | None) -> None:
        if isinstance(auxiliary_head, dict):
            auxiliary_head = fill_head(auxiliary_head, self._maps, "auxiliary_head")
        elif auxiliary_head is not None:
            auxiliary_head = [
                fill_head(head, self._maps, f"auxiliary_head.{place}")
                for place, head in enumerate(auxiliary_head)
            ]
        with clear_index_errors("auxiliary_head"):
            super()._init_auxiliary_head(auxiliary_head)

    def extract_feat(self, inputs: Tensor) -> list[Tensor]:
        """Return feature maps of images (N, 3, H, W), shallow to deep; of the neck if any."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen_backbone):
            maps = extract_maps(self.backbone, inputs)
        return self.neck(maps) if self.with_neck else maps

    def train(self, mode: bool = True) -> Self:
        """Set training mode, except for a frozen backbone or its batch norms."""
        super().train(mode)
        if self.frozen_backbone:
            self.backbone.train(False)
        elif self.norm_eval:
            for part in self.backbone.modules():
                if isinstance(part, _BatchNorm):
                    part.training = False
        return self

    def loss(self, inputs: Tensor | None, data_samples: list[SegDataSample]) -> dict[str, Tensor]:
        """Compute the losses of all heads.

        Args:
            inputs: images (N, 3, H, W), normalised; None if the samples have stored features.
            data_samples: N samples with ``gt_sem_seg`` (1, H, W) int64, and perhaps feature maps,
                see :class:`luss.datasets.transforms.LoadFeatures`, which replace those of the
                backbone.

        Returns:
            Losses by name, such as ``decode.loss_ce``.

        Raises:
            LussError: if there are stored features and the backbone is trained.
        """
        thinned = [self._thinned(sample) for sample in data_samples]
        maps = self._training_maps(inputs, data_samples)
        losses = self._decode_head_forward_train(maps, thinned)
        if self.with_auxiliary_head:
            losses |= self._auxiliary_head_forward_train(maps, thinned)
        return losses

    def _training_maps(
        self, inputs: Tensor | None, data_samples: list[SegDataSample]
    ) -> list[Tensor]:
        stored = stored_maps(data_samples)
        if stored is None:
            assert inputs is not None
            return self.extract_feat(inputs)
        if not self.frozen_backbone:
            raise LussError(
                "PassSegmentor: the training photos have stored features, but frozen_backbone is "
                "False, and a backbone that is trained changes its features; set "
                "frozen_backbone=True, or remove LoadFeatures"
            )
        if self.with_neck:
            return self.neck(stored)
        found, expected = ([one.shape[1] for one in stored], [s.channels for s in self._maps])
        if found != expected:
            raise LussError(
                f"PassSegmentor: the stored features have {found} channels, those of the backbone "
                f"{expected}; let both stages use one backbone, and delete the folder of the "
                "stored features to recompute them"
            )
        return stored

    def test_step(self, data: dict) -> Sequence[SegDataSample]:
        """Predict a batch of images of any sizes, one forward pass per size.

        Args:
            data: a collated batch, ``inputs`` a list of images (3, h, w).

        Returns:
            The samples in the batch's order, see :meth:`predict`.
        """
        return step_by_size(super().test_step, data)

    val_step = test_step

    def predict(
        self, inputs: Tensor, data_samples: list[SegDataSample] | None = None
    ) -> list[SegDataSample]:
        """Predict the id of every pixel at the images' original sizes.

        Args:
            inputs: images (N, 3, h, w), normalised, not padded.
            data_samples: N samples; ``ori_shape`` (H, W) in their meta information is the size of
                the prediction. Without samples, it is the size of the inputs. With a refiner,
                ``photo`` (3, H, W) uint8 RGB.

        Returns:
            The samples, without ``photo``, with ``pred_sem_seg`` (1, H, W) int64 in 0..C. If
            ``keep_logits`` is set, also ``seg_logits`` (C + 1, h, w) at the resolution of the
            feature map of the largest scale.

        Raises:
            LussError: if an image was padded, or its photo is missing.
        """
        if data_samples is None:
            shape = tuple(inputs.shape[2:])
            data_samples = [SegDataSample(metainfo={"ori_shape": shape}) for _ in inputs]
        logits = self.logits(inputs)
        for sample, of_image in zip(data_samples, logits.split(1), strict=True):
            _check_not_padded(sample)
            size = tuple(sample.metainfo["ori_shape"][:2])
            ids = self._ids(of_image, predicted_size(size))
            photo = sample.pop("photo", None)
            if self.refiner is not None:
                ids = refine_ids(self.refiner, _require_photo(photo, size, sample), ids[0])[None]
            sample.pred_sem_seg = PixelData(data=nearest_resize_ids(ids, size))
            if self.keep_logits:
                sample.seg_logits = PixelData(data=of_image[0])
        return data_samples

    def logits(self, inputs: Tensor) -> Tensor:
        """Return the mean logits (N, C + 1, h, w) over all scales, at the finest resolution.

        Args:
            inputs: images (N, 3, H, W), normalised.
        """
        found = [
            self.decode_head(self.extract_feat(_scaled(inputs, scale, self.multiple_of)))
            for scale in sorted(self.scales)
        ]
        size = found[-1].shape[2:]
        alike = [F.interpolate(one, size=size, mode="bilinear") for one in found[:-1]]
        return torch.stack([*alike, found[-1]]).mean(dim=0)

    def _ids(self, logits: Tensor, size: tuple[int, int]) -> Tensor:
        if self.cam_threshold is None:
            return upsampled_argmax(logits, size, self.align_corners)
        ids = upsampled_argmax(logits[:, 1:], size, self.align_corners) + 1
        return cam_ids(ids, logits, self.cam_threshold)

    def _thinned(self, sample: SegDataSample) -> SegDataSample:
        step = self.label_stride
        labels = sample.gt_sem_seg.data[..., ::step, ::step]
        return SegDataSample(metainfo=sample.metainfo, gt_sem_seg=PixelData(data=labels))


def _scaled(images: Tensor, scale: float, multiple_of: int) -> Tensor:
    if scale == 1:
        return images
    if multiple_of == 1:
        # Sizes that Python computes would be constants in exported models.
        return F.interpolate(images, scale_factor=scale, mode="bilinear")
    size = [max(1, round(scale * side / multiple_of)) * multiple_of for side in images.shape[2:]]
    return F.interpolate(images, size=size, mode="bilinear")


def _check_not_padded(sample: SegDataSample) -> None:
    padding = sample.metainfo.get("img_padding_size", sample.metainfo.get("padding_size", ()))
    if any(padding):
        raise LussError(
            f"PassSegmentor: {sample.metainfo.get('img_path', 'an image')} was padded by "
            f"{tuple(padding)}, expected no padding in prediction; set the batch size to 1 and "
            "remove test_cfg from the data preprocessor"
        )


def _require_photo(photo: Tensor | None, size: tuple[int, int], sample: SegDataSample) -> Tensor:
    found = None if photo is None else tuple(photo.shape[1:])
    if photo is None or found != size:
        raise LussError(
            f"PassSegmentor: {sample.metainfo.get('img_path', 'an image')} has "
            f"{'no photo' if found is None else f'a photo of {found}'}, but the refiner needs "
            f"one of {size}; put dict(type='KeepPhoto') after LoadRGBImage in the test pipeline"
        )
    return photo
