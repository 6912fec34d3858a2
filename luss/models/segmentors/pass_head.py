"""The segmentation head of PASS: one 1x1 convolution (section 4.4, eq. 8)."""

from collections.abc import Sequence

from mmseg.models.decode_heads import FCNHead
from mmseg.models.utils import resize
from torch import Tensor, nn

from luss.datasets.mask_codec import IGNORE_ID
from luss.registry import MODELS

__all__ = ["PassHead"]


@MODELS.register_module()
class PassHead(FCNHead):
    """Conv1x1(L, C + 1) with bias on the last feature map; cross entropy including 'other'.

    An ``mmseg.FCNHead`` without its convolutions. The logits are up-sampled bilinearly to the
    labels; pixels of ``ignore_index`` count neither in the sum nor in the mean.

    Args:
        in_channels: L, the channels of the backbone's last feature map; those of several maps if
            ``input_transform`` joins them.
        num_classes: C + 1, including 'other'.
        ignore_index: the ignored label.
        loss_decode: the loss; by default the mean cross entropy over all labelled pixels.
        **kwargs: see ``mmseg.FCNHead``.
    """

    def __init__(
        self,
        in_channels: int | Sequence[int],
        num_classes: int,
        ignore_index: int = IGNORE_ID,
        loss_decode: dict | None = None,
        **kwargs,
    ):
        super().__init__(
            in_channels=in_channels,
            channels=sum(in_channels) if isinstance(in_channels, Sequence) else in_channels,
            num_classes=num_classes,
            num_convs=0,
            kernel_size=1,
            concat_input=False,
            dropout_ratio=0,
            ignore_index=ignore_index,
            loss_decode=loss_decode or {"type": "mmseg.CrossEntropyLoss", "avg_non_ignore": True},
            **{"init_cfg": None, **kwargs},
        )

    def init_weights(self) -> None:
        """Initialise the weight Kaiming-normal, fan-out; the bias keeps PyTorch's default."""
        super().init_weights()
        nn.init.kaiming_normal_(self.conv_seg.weight, mode="fan_out", nonlinearity="relu")

    def loss_by_feat(self, seg_logits: Tensor, batch_data_samples: list) -> dict[str, Tensor]:
        """Compute the loss without mmseg's pixel accuracy, which would sort all logits.

        Args:
            seg_logits: (N, C + 1, h, w).
            batch_data_samples: N samples with ``gt_sem_seg`` (1, H, W) int64.

        Returns:
            The loss by its name.
        """
        labels = self._stack_batch_gt(batch_data_samples)
        logits = resize(
            seg_logits.float(),
            size=labels.shape[2:],
            mode="bilinear",
            align_corners=self.align_corners,
        )
        loss = self.loss_decode(
            logits,
            labels.squeeze(1),
            ignore_index=self.ignore_index,
            **self._number_of_labels(labels),
        )
        return {self.loss_decode.loss_name: loss}

    def _number_of_labels(self, labels: Tensor) -> dict[str, Tensor]:
        """Return the divisor of mmseg's cross entropy, for which that would wait for the device."""
        loss = self.loss_decode
        if not getattr(loss, "avg_non_ignore", False) or loss.class_weight is not None:
            return {}
        return {"avg_factor": (labels != self.ignore_index).sum()}
