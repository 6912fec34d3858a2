from luss.compat import import_mmseg

import_mmseg()

from luss.models.segmentors.cam import foreground_of_logits  # noqa: E402
from luss.models.segmentors.image_level_head import ImageLevelHead  # noqa: E402
from luss.models.segmentors.pass_head import PassHead  # noqa: E402
from luss.models.segmentors.pass_segmentor import PassSegmentor, predict_ids  # noqa: E402
from luss.models.segmentors.standardised_head import StandardisedHead  # noqa: E402
from luss.models.segmentors.upsampled_argmax import (  # noqa: E402
    nearest_resize_ids,
    upsampled_argmax,
)

__all__ = [
    "ImageLevelHead",
    "PassHead",
    "PassSegmentor",
    "StandardisedHead",
    "foreground_of_logits",
    "nearest_resize_ids",
    "predict_ids",
    "upsampled_argmax",
]
