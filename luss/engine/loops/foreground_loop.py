"""Foreground maps as a separate stage, for stages that read them."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import torch

from luss.engine.checkpoint import checkpoint_digest
from luss.engine.loops.foreground_maps import ForegroundMaps, digest_of_ids, digest_of_settings
from luss.engine.loops.streaming_loop import StreamingLoop
from luss.label_generation.step_record import StepRecord
from luss.registry import FOREGROUND_SOURCES, LOOPS

__all__ = ["ForegroundLoop"]


@LOOPS.register_module()
class ForegroundLoop(StreamingLoop):
    """Loop that writes the maps of a source to ``<folder>/maps/<split>/<image id>.png``.

    Existing intact maps are kept.

    Args:
        runner: with the model, if the source needs one.
        dataloader: split -> config of a data loader; of the training photos and all others that
            need maps.
        evaluator: of MMEngine's test loops; not used.
        foreground: config of one of ``FOREGROUND_SOURCES``. One of features alone, such as
            ``FrameDistance``, needs any model with a ``backbone``, such as ``BackboneFeatures``.
    """

    roles: ClassVar[Mapping[str, str]] = {"maps": "maps"}
    begun_by: ClassVar[tuple[str, ...]] = ("maps",)

    def __init__(
        self,
        runner,
        dataloader: dict[str, dict],
        evaluator: object = None,
        *,
        foreground: dict,
    ) -> None:
        super().__init__(runner, dataloader)
        self.record = StepRecord(Path(runner.work_dir))
        self.source = FOREGROUND_SOURCES.build(foreground)
        self.maps = ForegroundMaps(self, self.source, self.record, "maps")
        self.settings = foreground

    @torch.no_grad()
    def run(self) -> dict:
        """Write the missing maps.

        Returns:
            ``maps``, the number of all maps.
        """
        self.record.folder.mkdir(parents=True, exist_ok=True)
        self.runner.call_hook("before_test")
        self.runner.model.eval()
        sources = {
            "source's settings": digest_of_settings(self.settings),
            "list of photos": digest_of_ids(self.loader("train").dataset),
        }
        if self.source.needs_model:
            sources["checkpoint"] = checkpoint_digest(self.weights)
        self.maps.make(sources, list(self.configs))
        self.runner.call_hook("after_test")
        return {"maps": sum(len(self.loader(name).dataset) for name in self.configs)}
