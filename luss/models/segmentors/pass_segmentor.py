"""Fine-tuning and inference of PASS on mmseg's segmentor (section 4.4, step 3 and inference)."""

from typing import ClassVar

from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder
from mmseg.structures import SegDataSample
from torch import Tensor

from luss.datasets.image_io import MAX_PIXELS
from luss.errors import LussError
from luss.models.backbones import maps_of, probe
from luss.models.segmentors.cam import cam_ids
from luss.models.segmentors.heads import clear_index_errors, fill_head
from luss.models.segmentors.upsampled_argmax import nearest_resize_ids, upsampled_argmax
from luss.registry import MODELS
from luss.structures.batches import step_by_size

__all__ = ["HEIGHT_OF_LARGE", "LARGE_IMAGE", "PassSegmentor", "predict_ids"]

LARGE_IMAGE = 1_000_000
HEIGHT_OF_LARGE = 1000


def predict_ids(logits: Tensor, size: tuple[int, int], align_corners: bool = False) -> Tensor:
    """The class of each pixel of an image at its original size.

    Logits are up-sampled bilinearly, then the largest is taken. Images of more than a million
    pixels take a way round: up-sampled to (1000, int(1000 W / H)), the largest taken, and its id
    resized to the nearest (as the released code does). The authors' later semi-supervised code
    makes the longer side 1000 instead of the height; this rule serves both. Images so wide that
    the way round would be larger than any photo, over 100 million pixels, go straight.

    Args:
        logits: (N, C + 1, h, w).
        size: (H, W), the original size of all N images.
        align_corners: as in ``F.interpolate``.

    Returns:
        (N, H, W) int64 in 0..C, the lowest on a tie.
    """
    height, width = size
    narrower = max(1, int(HEIGHT_OF_LARGE * width / height))
    if height * width <= LARGE_IMAGE or HEIGHT_OF_LARGE * narrower > MAX_PIXELS:
        return upsampled_argmax(logits, (height, width), align_corners)
    ids = upsampled_argmax(logits, (HEIGHT_OF_LARGE, narrower), align_corners)
    return nearest_resize_ids(ids, (height, width))


@MODELS.register_module()
class PassSegmentor(EncoderDecoder):
    """``mmseg.EncoderDecoder`` that trains on thinned labels and predicts ids.

    Logits are up-sampled to the thinned labels in one go.

    Any backbone, neck and head of mmseg fits. What a head leaves open is filled in:
    ``in_channels`` from the backbone, ``ignore_index`` from the masks' encoding. Types inside a
    head are looked up in the library that the head's own type names.

    Args:
        label_stride: every label_stride-th pixel of the labels is trained on, in both directions.
        cam_threshold: predict by class activation maps (table 10a): each pixel gets the major
            category of the largest logit, and is 'other' where that activation is below this part
            of the image's largest one; by default 'other' is a class as any.
        **kwargs: see ``mmseg.EncoderDecoder``.

    Raises:
        LussError: if sliding-window inference is asked for, or the threshold is not in 0..1.
    """

    reads_feature_maps: ClassVar[bool] = True
    """So that a stage tries the backbone on the sizes of its views."""

    def __init__(self, label_stride: int = 2, cam_threshold: float | None = None, **kwargs):
        super().__init__(**kwargs)
        if (self.test_cfg or {}).get("mode", "whole") != "whole":
            raise LussError(
                f"PassSegmentor: test_cfg has mode {self.test_cfg['mode']!r}; only 'whole' images "
                "are predicted, since windows would need the logits at full size"
            )
        if cam_threshold is not None and not 0 <= cam_threshold <= 1:
            raise LussError(f"PassSegmentor: cam_threshold is {cam_threshold}, expected 0..1")
        self.label_stride = label_stride
        self.cam_threshold = cam_threshold
        self.keep_logits = False

    def _init_decode_head(self, decode_head: dict) -> None:
        if not isinstance(decode_head, dict):
            raise LussError(
                f"PassSegmentor: decode_head is a {type(decode_head).__name__}, expected one head; "
                "further ones that are trained along belong into auxiliary_head"
            )
        # Backbone and neck are there by now.
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
        """Feature maps of images (N, 3, H, W), from shallow to deep; the neck's if there is one."""
        maps = maps_of(self.backbone, inputs)
        return self.neck(maps) if self.with_neck else maps

    def loss(self, inputs: Tensor, data_samples: list[SegDataSample]) -> dict[str, Tensor]:
        """The losses of all heads.

        Args:
            inputs: images (N, 3, H, W), normalised.
            data_samples: N samples with ``gt_sem_seg`` (1, H, W) int64.

        Returns:
            Losses by name, such as ``decode.loss_ce``.
        """
        return super().loss(inputs, [self._thinned(sample) for sample in data_samples])

    def test_step(self, data: dict) -> list[SegDataSample]:
        """As mmseg's; images of a batch may differ in size, those of one size go together.

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
        """The ids of every pixel at the images' original sizes.

        Args:
            inputs: images (N, 3, h, w), normalised, not padded.
            data_samples: N samples; ``ori_shape`` (H, W) in their meta information is the size
                to predict at. Without them, the size of the inputs is.

        Returns:
            The samples with ``pred_sem_seg`` (1, H, W) int64 in 0..C. Where ``keep_logits`` was
            set, ``seg_logits`` (C + 1, h, w) are those of the feature map, not of every pixel.

        Raises:
            LussError: if an image was padded.
        """
        if data_samples is None:
            shape = tuple(inputs.shape[2:])
            data_samples = [SegDataSample(metainfo={"ori_shape": shape}) for _ in inputs]
        logits = self.decode_head(self.extract_feat(inputs))
        for sample, of_image in zip(data_samples, logits.split(1), strict=True):
            _refuse_padding(sample)
            size = tuple(sample.metainfo["ori_shape"][:2])
            sample.pred_sem_seg = PixelData(data=self._ids(of_image, size))
            if self.keep_logits:
                sample.seg_logits = PixelData(data=of_image[0])
        return data_samples

    def _ids(self, logits: Tensor, size: tuple[int, int]) -> Tensor:
        if self.cam_threshold is None:
            return predict_ids(logits, size, self.align_corners)
        ids = predict_ids(logits[:, 1:], size, self.align_corners) + 1
        return cam_ids(ids, logits, self.cam_threshold)

    def _thinned(self, sample: SegDataSample) -> SegDataSample:
        step = self.label_stride
        labels = sample.gt_sem_seg.data[..., ::step, ::step]
        return SegDataSample(metainfo=sample.metainfo, gt_sem_seg=PixelData(data=labels))


def _refuse_padding(sample: SegDataSample) -> None:
    padding = sample.metainfo.get("img_padding_size", sample.metainfo.get("padding_size", ()))
    if any(padding):
        raise LussError(
            f"PassSegmentor: {sample.metainfo.get('img_path', 'an image')} was padded by "
            f"{tuple(padding)} for prediction; test with batch size 1 and without test_cfg in the "
            "data preprocessor"
        )
