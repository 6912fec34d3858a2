"""Base class of test loops with several data loaders."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol, cast

from mmengine.runner import BaseLoop

from luss.datasets import ShareSampler
from luss.engine.bare_model import bare_model
from luss.engine.progress import Progress
from luss.engine.workers import iterate
from luss.errors import LussError

__all__ = ["PhotoSet", "ShareLoader", "StreamingLoop"]


class PhotoSet(Protocol):
    """The methods of MMEngine's ``BaseDataset`` that data sets and their wrappers have."""

    @property
    def metainfo(self) -> dict[str, Any]:
        """Meta information, such as names of classes."""

    def get_data_info(self, index: int) -> dict[str, Any]:
        """Return the information of a photo, without loading it."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Any: ...


class ShareLoader(Protocol):
    """A data loader of photos with a ``ShareSampler``."""

    dataset: PhotoSet
    sampler: ShareSampler
    batch_size: int

    def __iter__(self) -> Iterator[dict[str, Any]]: ...


class StreamingLoop(BaseLoop):
    """A test loop with several passes over named data loaders, each an epoch for hooks.

    During a pass, ``dataloader`` is its data loader, so that hooks can read its length.

    Args:
        runner: of MMEngine.
        dataloader: name -> config of a data loader, which is built at its first use; by default
            each process loads a share (``ShareSampler``), as lists (``pseudo_collate``).
        evaluator: of MMEngine's test loops; not used.
    """

    roles: ClassVar[Mapping[str, str]] = {}
    """Role -> path below ``runner.work_dir``, of each output that ``run`` writes."""

    optional_roles: ClassVar[tuple[str, ...]] = ()
    """Roles of outputs that some settings do not need; without another one, the stage fails."""

    noted: ClassVar[tuple[str, ...]] = ()
    """Keys of what ``run`` returns that settings of other stages may refer to."""

    begun_by: ClassVar[tuple[str, ...]] = ()
    """Paths below ``runner.work_dir`` that exist once a run has begun, also a killed one."""

    dataloader: Any

    def __init__(self, runner, dataloader: dict[str, dict], evaluator: object = None) -> None:
        # MMEngine's constructor would build one loader from all configs.
        self._runner = runner
        self.dataloader = dataloader
        shared = {"sampler": {"type": "ShareSampler"}, "collate_fn": {"type": "pseudo_collate"}}
        self.configs = {name: {**shared, **loader} for name, loader in dataloader.items()}
        self.found: dict[str, float] = {}
        self._loaders: dict[str, ShareLoader] = {}

    @property
    def weights(self) -> str:
        """Path of the file from which the model, or its backbone, has its weights.

        Raises:
            LussError: if it has random ones.
        """
        filling = [getattr(hook, "weights", None) for hook in self.runner.hooks]
        path = self.runner._load_from or next(filter(None, filling), None)
        if path is None:
            raise LussError(
                f"{type(self).__name__} needs a trained model; set checkpoint, or weights"
            )
        return str(path["file"] if isinstance(path, Mapping) else path)

    @property
    def model(self) -> Any:
        """The runner's model without its wrapper."""
        return bare_model(self.runner.model)

    def loader(self, name: str) -> ShareLoader:
        """Return the data loader of a name."""
        if name not in self._loaders:
            self._loaders[name] = self.build_loader(self.configs[name])
        return self._loaders[name]

    def build_loader(self, config: dict) -> ShareLoader:
        """Build a data loader from its config, which must have a ``ShareSampler``."""
        loader = self.runner.build_dataloader(config, seed=self.runner.seed)
        return cast(ShareLoader, loader)

    def batches(
        self, loader: ShareLoader, what: str, indices: Sequence[int] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield the batches of a pass, and call the hooks.

        Args:
            loader: of the pass.
            what: name of the pass in the log.
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
