"""What test loops share that go over several data sets, or several times over one."""

from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.model import BaseModel, is_model_wrapper
from mmengine.runner import BaseLoop
from torch.utils.data import DataLoader

from luss.engine.progress import Progress
from luss.engine.workers import iterate

__all__ = ["StreamingLoop"]


class StreamingLoop(BaseLoop):
    """A test loop of passes over named data loaders, each of which is an epoch to hooks.

    While a pass runs, ``dataloader`` is its data loader, so that hooks see how long it is.

    Args:
        runner: of MMEngine.
        dataloader: name -> config of a data loader, which is built when it is first asked for.
    """

    def __init__(self, runner, dataloader: dict[str, dict]) -> None:
        # MMEngine would build one loader of all.
        self._runner = runner
        self.dataloader = dataloader
        self.configs = dataloader
        self.found: dict[str, float] = {}
        self._loaders: dict[str, DataLoader] = {}

    @property
    def model(self) -> BaseModel:
        """The runner's model without its wrapper."""
        model = self.runner.model
        return model.module if is_model_wrapper(model) else model

    def loader(self, name: str) -> DataLoader:
        """The data loader of a name."""
        if name not in self._loaders:
            self._loaders[name] = self.runner.build_dataloader(
                self.configs[name], seed=self.runner.seed
            )
        return self._loaders[name]

    def batches(
        self, loader: DataLoader, what: str, indices: Sequence[int] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the batches of a pass, and tell hooks of it.

        Args:
            loader: with a ``ShareSampler``.
            what: its items are, for the log.
            indices: of this process's items, instead of its share.
        """
        share = loader.sampler.indices
        loader.sampler.indices = share if indices is None else indices
        self.dataloader = loader
        self.runner.call_hook("before_test_epoch")
        progress = Progress(len(loader.sampler), what)
        try:
            for index, batch in enumerate(iterate(loader)):
                self.runner.call_hook("before_test_iter", batch_idx=index, data_batch=batch)
                yield batch
                self.runner.call_hook(
                    "after_test_iter",
                    batch_idx=index,
                    data_batch=batch,
                    outputs=batch.get("data_samples", []),
                )
                # The last batch may be smaller.
                progress.advance(min(loader.batch_size, progress.total - progress.done))
        finally:
            loader.sampler.indices = share
        self.runner.call_hook("after_test_epoch", metrics=dict(self.found))
