"""Validation during training."""

from mmengine.runner import ValLoop as MMEngineValLoop

from luss.engine.workers import iterate
from luss.registry import LOOPS

__all__ = ["ValLoop"]


class _Guarded:
    """A data loader whose worker processes no signal can end while they start."""

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
    """As MMEngine's loop; a signal to all processes does not end those that load data."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self.dataloader = _Guarded(self.dataloader)
