"""A segmentor of nearest centroids, made from the outputs of label generation."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch
from mmengine.dist import barrier, is_main_process

from luss.engine.checkpoint import save
from luss.engine.loops.streaming_loop import StreamingLoop
from luss.errors import LussError
from luss.label_generation.given_centroids import read_centroids
from luss.label_generation.threshold_file import read_threshold
from luss.registry import LOOPS

__all__ = ["CentroidLoop"]


@LOOPS.register_module()
class CentroidLoop(StreamingLoop):
    """Loop that writes the checkpoint of a segmentor with a ``CentroidHead``; it reads no photos.

    Args:
        runner: with the segmentor, whose backbone is filled by ``weights``.
        dataloader: none is needed.
        evaluator: of MMEngine's test loops; not used.
        centroids: file of the centroids, such as ``"${label_generation.clustering}"``.
        threshold: file of the threshold of a ``FrameDistance``, such as
            ``"${label_generation.threshold}"``.
    """

    roles: ClassVar[Mapping[str, str]] = {"checkpoint": "iter_0.pth"}

    def __init__(
        self,
        runner,
        dataloader: dict[str, dict],
        evaluator: object = None,
        *,
        centroids: str,
        threshold: str,
    ) -> None:
        super().__init__(runner, dataloader)
        self.files = Path(centroids), Path(threshold)

    def run(self) -> dict:
        """Fill the head, and write the checkpoint.

        Returns:
            ``categories``, the number of categories.

        Raises:
            LussError: if there is no common threshold, or the centroids do not fit the head.
        """
        self.runner.call_hook("before_test")
        centroids = torch.from_numpy(read_centroids(self.files[0]))
        threshold = read_threshold(self.files[1])
        if threshold is None or threshold.value is None:
            raise LussError(
                f"{self.files[1]} contains no threshold for all images, which CentroidHead needs; "
                "set another rule as threshold of the label generation, such as AutoThreshold"
            )
        self.model.decode_head.fill(centroids, threshold.value)
        if is_main_process():
            path = Path(self.runner.work_dir) / self.roles["checkpoint"]
            save(path, {"state_dict": self.model.state_dict(), "meta": {}})
        barrier()
        self.runner.call_hook("after_test")
        return {"categories": len(centroids)}
