"""A stage that is one runner of MMEngine."""

from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

from mmengine.dist import barrier, is_main_process
from mmengine.runner import Runner

from luss.configuration import PlainConfig, write_config
from luss.pipeline.context import Context
from luss.pipeline.stage import Stage
from luss.registry import DATASETS, RUNNERS

__all__ = ["RunnerStage"]


class RunnerStage(Stage):
    """A stage that is resolved once, and then is an ordinary runner.

    Its complete configuration is ``WORK_DIR/<stage>/config.py``, which runs as it is:
    ``RUNNERS.build(Config.fromfile(path))``.
    """

    @abstractmethod
    def runner_config(self, context: Context) -> dict:
        """Return the complete configuration of the runner, of plain values.

        What the stage leaves open comes from the top level of the config and from facts about the
        data and earlier stages; the runner's components ask for nothing more.
        """

    def build_runner(self, context: Context, **start: Any) -> Runner:
        """Write the configuration down and build its runner.

        Args:
            context: of the run.
            **start: where this process starts, such as ``resume``, which is not written.
        """
        config = self.runner_config(context)
        for dataset in _data_sets_in(config):
            context.note_photos(dataset)
        if is_main_process():
            write_config(context.work_dir.stage(self.name) / "config.py", config)
        barrier()
        return RUNNERS.build(PlainConfig({**config, **start}))


def _data_sets_in(config: Any) -> Iterator[dict]:
    """Yield the configurations of the data sets in that of a runner."""
    if isinstance(config, list | tuple):
        for entry in config:
            yield from _data_sets_in(entry)
    if not isinstance(config, dict):
        return
    for key, value in config.items():
        kind = value.get("type") if key == "dataset" and isinstance(value, dict) else None
        if isinstance(kind, str) and DATASETS.get(kind) is not None:
            yield value
        else:
            yield from _data_sets_in(value)
