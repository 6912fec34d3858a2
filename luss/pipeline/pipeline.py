"""A method as a list of stages, run in order in one work dir."""

import contextlib
from collections.abc import Iterator

from mmengine import Config
from mmengine.dist import barrier, get_world_size
from mmengine.logging import print_log
from mmengine.registry import init_default_scope

from luss.engine.run_log import open_run_log
from luss.engine.runner import init_processes
from luss.errors import LussError
from luss.pipeline.components import explained, require_known
from luss.pipeline.context import Context
from luss.pipeline.protocols import evaluate
from luss.pipeline.protocols.results import Results
from luss.pipeline.provenance import describe_machine
from luss.pipeline.stage import Stage
from luss.pipeline.work_dir import WorkDir, main_process_decides
from luss.registry import STAGES

__all__ = ["Pipeline"]


class Pipeline:
    """The stages of a config.

    Args:
        config: with ``stages``, a dict of name -> stage config, in order.
        work_dir: folder of the run.
        launcher: as MMEngine's.

    Raises:
        LussError: if a stage's type or one of its settings is unknown.
    """

    def __init__(self, config: Config, work_dir: str, launcher: str = "none") -> None:
        init_processes(launcher)
        init_default_scope("luss")
        self.config = config
        self.work_dir = WorkDir(work_dir)
        self.launcher = launcher
        self.stages = {name: self._build(name, stage) for name, stage in config.stages.items()}

    @staticmethod
    def _build(name: str, config: dict) -> Stage:
        require_known(config, STAGES, f"stages.{name}")
        with explained(f"stages.{name}"):
            return STAGES.build({**config, "name": name})

    def run(self, only: str | None = None, resume: bool = False) -> None:
        """Run the stages whose output is not whole yet.

        Args:
            only: name of one stage to run.
            resume: go on from what killed stages left.

        Raises:
            LussError: if the work dir is another's, the stage is unknown, its inputs are
                missing, or a killed stage is there and ``resume`` is not given; and whatever the
                stages find wrong before the first of them starts.
        """
        chosen = [self._stage(only)] if only else list(self.stages.values())
        with self.opened(resume) as context:
            pending = []
            for stage in chosen:
                if main_process_decides(self.work_dir.is_done(stage.name)):
                    print_log(f"stage {stage.name}: done before", "current")
                else:
                    pending.append(stage)
            for place, stage in enumerate(pending):
                self._refuse_partial(stage, resume)
                self.check(stage, context, made=[before.name for before in pending[:place]])
            for stage in pending:
                self._run_stage(stage, context)

    def evaluate(
        self, protocol: str = "fully_unsupervised", checkpoint: str | None = None
    ) -> Results:
        """Evaluate a run once more, or another checkpoint; see :func:`protocols.evaluate`.

        Args:
            protocol: one of ``PROTOCOLS``.
            checkpoint: instead of the run's own model.

        Returns:
            Split -> metric -> percent.

        Raises:
            LussError: as :meth:`run`, and if the protocol needs something that is missing.
        """
        with self.opened() as context:
            return evaluate(context, protocol, checkpoint)

    def _stage(self, name: str) -> Stage:
        if name not in self.stages:
            raise LussError(f"there is no stage {name!r}; the stages are: {', '.join(self.stages)}")
        return self.stages[name]

    @contextlib.contextmanager
    def opened(self, resume: bool = False) -> Iterator[Context]:
        """Have the work dir for this process alone, as this config's.

        Raises:
            LussError: if another process has it, or it belongs to another config.
        """
        with self.work_dir.locked():
            has_output = main_process_decides(self._has_output())
            self.work_dir.claim(self.config, has_output)
            level = self.config.get("log_level", "INFO")
            open_run_log(self.work_dir.root / "run.log", level)
            print_log(f"{describe_machine()}; {get_world_size()} process(es)", "current")
            yield Context(self.config, self.work_dir, self.launcher, resume)

    def check(self, stage: Stage, context: Context, made: list[str]) -> None:
        """Refuse a stage that could not run to its end.

        Args:
            stage: to be run.
            context: of the run.
            made: names of stages that will have run before.

        Raises:
            LussError: if stages that it reads from are missing, or it finds something wrong.
        """
        missing = [
            name
            for name in stage.requires
            if name not in made and not main_process_decides(self.work_dir.is_done(name))
        ]
        if missing:
            raise LussError(
                f"stage {stage.name!r} reads what {', '.join(map(repr, missing))} writes, which is "
                f"not whole in {self.work_dir.root}; run all stages, or --stage {missing[0]} first"
            )
        with explained(f"stages.{stage.name}"):
            stage.check(context)

    def _refuse_partial(self, stage: Stage, resume: bool) -> None:
        folder = self.work_dir.stage(stage.name)
        if main_process_decides(stage.has_partial_output(folder)) and not resume:
            raise LussError(
                f"stage {stage.name!r} was begun in {folder} and not finished; go on with "
                "--resume, or choose another --work-dir"
            )

    def _run_stage(self, stage: Stage, context: Context) -> None:
        print_log(f"stage {stage.name}", "current")
        facts = stage.run(context)
        barrier()
        self.work_dir.mark_done(stage.name, facts)
        barrier()

    def _has_output(self) -> bool:
        return any(
            self.work_dir.is_done(name) or stage.has_partial_output(self.work_dir.stage(name))
            for name, stage in self.stages.items()
        )
