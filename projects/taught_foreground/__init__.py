"""Pixel attention that is also trained towards foreground maps."""

from taught_foreground.trainer import TaughtAttentionTrainer, foreground_loss
from taught_foreground.transforms import PackViewsAndMap

__all__ = ["PackViewsAndMap", "TaughtAttentionTrainer", "foreground_loss"]
