"""Validation during training."""

from typing import Any

from mmengine.runner import ValLoop as MMEngineValLoop

from luss.engine.workers import iterate
from luss.registry import LOOPS

__all__ = ["ValLoop"]


class _Guarded:
    """A data loader whose worker processes ignore signals while they start."""

    def __init__(self, loader) -> None:
        self.loader = loader

    def __getattr__(self, name: str):
        return getattr(self.loader, name)

    def __iter__(self):
        return iterate(self.loader)

    def __len__(self) -> int:
        return len(self.loader)


@LOOPS.register_module()
class ValLoop(MMEngineValLoop):
    """MMEngine's loop with data-loading processes that ignore signals."""

    dataloader: Any

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.dataloader = _Guarded(self.dataloader)
