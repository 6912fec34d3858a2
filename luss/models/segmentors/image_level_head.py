"""Image classifier used for segmentation: the image-level comparison of section 5.3.2."""

from torch import Tensor

from luss.models.segmentors.pass_head import PassHead
from luss.registry import MODELS

__all__ = ["ImageLevelHead"]


@MODELS.register_module()
class ImageLevelHead(PassHead):
    """Fully connected layer on pooled features, applied as 1x1 convolution at inference.

    Pooling and layer commute: the logits of an image are the mean of its pixels' logits. The label
    of an image is that of its first pixel, since ``ImageLabels`` writes one id to all pixels.
    'Other' is not learnt; ``PassSegmentor(cam_threshold=...)`` predicts it.

    Args:
        **kwargs: see :class:`PassHead`.
    """

    def __init__(self, in_channels: int, num_classes: int, **kwargs):
        super().__init__(in_channels, num_classes, **kwargs)

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: list) -> dict[str, Tensor]:
        """Compute the cross entropy of the images' categories.

        Args:
            seg_logits: (N, C + 1, h, w).
            batch_data_samples: N samples with ``gt_sem_seg`` (1, H, W) int64 of one id.

        Returns:
            The loss by its name.
        """
        labels = self._stack_batch_gt(batch_data_samples)[:, 0, 0, 0]
        logits = seg_logits.float().mean(dim=(2, 3))
        loss = self.loss_decode(logits, labels, ignore_index=self.ignore_index)
        return {self.loss_decode.loss_name: loss}
