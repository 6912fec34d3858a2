"""Mirroring of image and mask."""

from mmcv.transforms import RandomFlip

from luss.registry import TRANSFORMS

__all__ = ["RandomFlipWithMask"]


@TRANSFORMS.register_module()
class RandomFlipWithMask(RandomFlip):
    """MMCV's flip, by default horizontal with probability 0.5.

    Args:
        prob: probability of a flip.
        direction: 'horizontal', 'vertical' or 'diagonal'.
    """

    def __init__(self, prob: float = 0.5, direction: str = "horizontal"):
        super().__init__(prob=prob, direction=direction)
