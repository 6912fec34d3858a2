"""C2AM: a foreground that is learnt by contrast, without labels (Xie et al., CVPR 2022)."""

from c2am.contrast import negative_pairs_loss, positive_pairs_loss
from c2am.disentangler import Disentangler, disentangle
from c2am.source import C2AMSource
from c2am.trainer import C2AM

__all__ = [
    "C2AM",
    "C2AMSource",
    "Disentangler",
    "disentangle",
    "negative_pairs_loss",
    "positive_pairs_loss",
]
