"""A method as a list of stages, run in order in one work dir."""

from mmengine import Config
from mmengine.dist import barrier, is_main_process
from mmengine.logging import print_log
from mmengine.registry import init_default_scope

from luss.engine.runner import init_processes
from luss.errors import LussError
from luss.files import atomic_write
from luss.pipeline.context import Context
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
        LussError: if a stage's type is unknown.
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
        kind = config.get("type")
        if STAGES.get(kind or "") is None:
            STAGES.import_from_location()
            known = ", ".join(sorted(STAGES.module_dict))
            raise LussError(f"stage {name!r} has the unknown type {kind!r}; known are: {known}")
        return STAGES.build({**config, "name": name})

    def run(self, only: str | None = None, resume: bool = False) -> None:
        """Run the stages whose output is not whole yet.

        Args:
            only: name of one stage to run.
            resume: go on from what killed stages left.

        Raises:
            LussError: if the work dir is another's, the stage is unknown, its inputs are
                missing, or a killed stage is there and ``resume`` is not given.
        """
        if only is not None and only not in self.stages:
            raise LussError(f"there is no stage {only!r}; the stages are: {', '.join(self.stages)}")
        chosen = [self.stages[only]] if only else list(self.stages.values())
        with self.work_dir.locked():
            context = Context(self.config, self.work_dir, self.launcher, resume)
            self.work_dir.claim(self.config, main_process_decides(self._has_output()))
            if is_main_process():
                with atomic_write(self.work_dir.root / "config.py") as file:
                    file.write(self.config.pretty_text.encode())
            for stage in chosen:
                self._run_stage(stage, context)

    def _run_stage(self, stage: Stage, context: Context) -> None:
        if main_process_decides(self.work_dir.is_done(stage.name)):
            print_log(f"stage {stage.name}: done before", "current")
            return
        folder = self.work_dir.stage(stage.name)
        partial = main_process_decides(stage.has_partial_output(folder))
        if partial and not context.resume:
            raise LussError(
                f"stage {stage.name!r} was begun in {folder} and not finished; go on with "
                "--resume, or choose another --work-dir"
            )
        stage.check_inputs(context)
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
