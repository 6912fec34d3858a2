"""Writer of predicted masks for MMEngine's test loops."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric

from luss.datasets.mask_codec import write_mask
from luss.errors import LussError
from luss.registry import METRICS

__all__ = ["DumpMasks", "ids_of"]


@METRICS.register_module()
class DumpMasks(BaseMetric):
    """Metric without values that writes ``<folder>/<image_id>.png`` in the official encoding.

    Writing is atomic, so several ranks may write the same image.

    Args:
        folder: folder to write to.
        **kwargs: of ``mmengine.evaluator.BaseMetric``.
    """

    # MMEngine warns without a prefix.
    default_prefix = ""

    def __init__(self, folder: str | os.PathLike, **kwargs) -> None:
        super().__init__(**kwargs)
        self.folder = Path(folder)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Write the masks of a batch.

        Args:
            data_batch: not used.
            data_samples: each with ``image_id`` and ``pred_sem_seg``, whose ``data`` is (1, H, W)
                or (H, W) integer ids at the image's original size.

        Raises:
            LussError: if ``image_id`` or ``pred_sem_seg`` is missing.
            OSError: if the disk fails.
        """
        for sample in data_samples:
            if "image_id" not in sample:
                raise LussError(
                    f"the image {sample.get('img_path')} has no image_id. Add 'image_id' to the "
                    "items of the data set and to the meta_keys of its pipeline"
                )
            write_mask(self.folder / f"{sample['image_id']}.png", ids_of(sample, "pred_sem_seg"))

    def compute_metrics(self, results: list) -> dict:
        """Return no metrics."""
        return {}

    def evaluate(self, size: int) -> dict:
        """Return no metrics without MMEngine's warning."""
        return {}


def ids_of(sample: dict, key: str) -> np.ndarray:
    """Return the integer ids (H, W) of one image.

    Args:
        sample: from MMEngine's evaluator.
        key: ``pred_sem_seg`` or ``gt_sem_seg``.

    Raises:
        LussError: if the sample lacks the key.
    """
    if key not in sample:
        raise LussError(f"it has no {key}. Add its mask, or a transform such as LoadMask")
    data = sample[key]["data"] if isinstance(sample[key], dict) else sample[key].data
    if isinstance(data, torch.Tensor):
        data = data.to(torch.int32).cpu().numpy()
    return data[0] if data.ndim == 3 and len(data) == 1 else data
