"""A method as a list of stages, run in order in one work dir."""

import contextlib
import gc
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from mmengine import Config
from mmengine.dist import barrier, get_world_size, is_main_process
from mmengine.logging import print_log
from mmengine.registry import init_default_scope

from luss.build_errors import clear_build_errors
from luss.config_checks import check_settings
from luss.datasets.photo_lists import ListedPhotos
from luss.engine.progress import Position, position
from luss.engine.resume_from import adopt_checkpoint
from luss.engine.run_log import open_run_log
from luss.engine.runner import init_processes
from luss.errors import LussError
from luss.evaluation.provenance import describe_machine
from luss.evaluation.results import Results
from luss.pipeline.context import Context
from luss.pipeline.evaluation import evaluate
from luss.pipeline.inputs import StageInputs
from luss.pipeline.resolving import resolved_stage, stages_of
from luss.pipeline.stage import Stage
from luss.pipeline.work_dir import WorkDir, config_hash, main_process_decides
from luss.ranks import fail_together
from luss.references import MODEL

__all__ = ["Pipeline"]

_SHOWN = 5
_WARNING = 30


class Pipeline:
    """The stages of a config.

    Args:
        config: with ``stages``, a dict of name -> stage config, in order.
        work_dir: folder of the run.
        launcher: as MMEngine's.
        expected: stage -> seconds that it will take, for those of which that is known.
        listed: photos that were listed before.

    Attributes:
        timings: of the stages that this process ran, when and how long.

    Raises:
        LussError: if a stage's type or one of its settings is unknown, or a setting of all stages
            makes no sense.
    """

    def __init__(
        self,
        config: Config,
        work_dir: str,
        launcher: str = "none",
        expected: Mapping[str, float] | None = None,
        listed: ListedPhotos | None = None,
    ) -> None:
        check_settings(config)
        init_processes(launcher)
        init_default_scope("luss")
        self.config = config
        self.work_dir = WorkDir(work_dir)
        self.launcher = launcher
        self.expected = expected or {}
        self.listed = listed or ListedPhotos()
        self.timings: dict[str, Position] = {}
        self.stages = stages_of(Context(config, self.work_dir))

    def run(self, only: str | None = None, resume: bool | str = False) -> None:
        """Run the stages that are not finished.

        Args:
            only: name of one stage to run.
            resume: continue from what killed stages left; or from this checkpoint, in the stage
                ``only``, or else in that whose folder holds it.

        Raises:
            LussError: if the work dir is another's, the stage is unknown, its inputs are
                missing or have changed, or a killed stage is there and ``resume`` is not
                given; and whatever the stages find wrong before the first of them starts.
        """
        chosen = [self._stage(only)] if only else list(self.stages.values())
        checkpoint = resume if isinstance(resume, str) else None
        resume = bool(resume)
        with self.opened(resume, running=[stage.name for stage in chosen]) as context:
            if checkpoint is not None:
                self._go_back_to(checkpoint, only)
            pending = []
            for stage in chosen:
                if main_process_decides(self.work_dir.is_done(stage.name)):
                    print_log(f"stage {stage.name}: done before", "current")
                else:
                    pending.append(stage)
            self._check_photos(pending, context)
            self._name_stages_after_the_report()
            context.tries_batches = True
            for place, stage in enumerate(pending):
                self._check_partial(stage, resume)
                self.check(stage, context, made=[before.name for before in pending[:place]])
            self._record()
            names = [stage.name for stage in chosen]
            for stage in pending:
                with position(self._position(stage.name, names)) as where:
                    print_log(str(where), "current")
                    self._run_stage(stage, context)
                self.timings[stage.name] = where

    def evaluate(
        self,
        protocol: str = "fully_unsupervised",
        checkpoint: str | None = None,
        hooks: Sequence[dict] = (),
    ) -> Results:
        """Evaluate a run again, or another checkpoint; see :func:`protocols.evaluate`.

        Args:
            protocol: its name, see :func:`luss.pipeline.known_protocols`.
            checkpoint: instead of the run's own model.
            hooks: configs of hooks of the test, beside those of the stage.

        Returns:
            Split -> metric -> percent.

        Raises:
            LussError: as :meth:`run`, and if the protocol needs something that is missing.
        """
        with self.opened() as context:
            return evaluate(context, protocol, checkpoint, hooks)

    def _stage(self, name: str) -> Stage:
        if name not in self.stages:
            raise LussError(f"there is no stage {name!r}; the stages are: {', '.join(self.stages)}")
        return self.stages[name]

    @contextlib.contextmanager
    def opened(self, resume: bool = False, running: Collection[str] = ()) -> Iterator[Context]:
        """Lock the work dir for this process and this config.

        Args:
            resume: continue from what killed stages left.
            running: names of the stages that are to run, once all checks have passed; the settings
                are recorded then.

        Raises:
            LussError: if another process has it, or stages in it were made with other settings or
                from what is no longer there.
        """
        self.work_dir.require_no_photos(self.config.get("data_root"))
        with self.work_dir.locked():
            level = self.config.get("log_level", "INFO")
            open_run_log(self.work_dir.root / "run.log", level)
            conflict = None
            identities = self._identities()
            if is_main_process():
                self._drop_damaged_notes()
                conflict = self._find_conflict(identities, running)
            if conflict := main_process_decides(conflict):
                raise LussError(conflict)
            if not running:
                self._record()
            print_log(f"{describe_machine()}; {get_world_size()} process(es)", "current")
            context = Context(
                self.config,
                self.work_dir,
                self.launcher,
                resume,
                config_hash=config_hash(identities),
                listed=self.listed,
            )
            context.stages = self.stages
            yield context

    def check(self, stage: Stage, context: Context, made: list[str]) -> None:
        """Check that a stage can run to its end.

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
                f"stage {stage.name!r} reads the output of {', '.join(map(repr, missing))}, which "
                f"is not finished in {self.work_dir.root}; run all stages, or --stage "
                f"{missing[0]} first"
            )
        with clear_build_errors(f"stages.{stage.name}"):
            resolved_stage(stage, context).check(context)

    def _identities(self) -> dict[str, dict]:
        """Stage -> the settings that its output depends on, as plain JSON values.

        Where the photos lie is left out: what they are is compared instead.
        """
        settings = json.loads(json.dumps(self.config.to_dict(), default=str))
        found = {}
        for name, stage in self.stages.items():
            # Models of stages whose output it does not read, such as the backbone of a file.
            models = {
                each.stage: {"model": settings["stages"][each.stage]["model"]}
                for each in stage.references
                if each.first == MODEL and each.stage not in stage.requires
            }
            found[name] = {
                **{key: settings[key] for key in stage.depends_on if key in settings},
                "stages": {**models, name: settings["stages"][name]},
            }
        return found

    def _name_stages_after_the_report(self) -> None:
        """Warn of stages that run too late for one that reads all before it."""
        for name, stage in self.stages.items():
            if stage.reads_all_before:
                order = list(self.stages)
                if later := order[order.index(name) + 1 :]:
                    print_log(
                        f"stage {name} reads all stages before it, but {', '.join(later)} run "
                        f"after it and will be missing there; set their before={name!r}",
                        "current",
                        level=_WARNING,
                    )

    def _record(self) -> None:
        if is_main_process():
            self.work_dir.record(self.config, self._identities())

    def _drop_damaged_notes(self) -> None:
        """Drop the notes of stages that are damaged, or whose output was deleted and is quick."""
        for name, stage in self.stages.items():
            if not self.work_dir.is_done(name):
                continue
            try:
                outputs = self.work_dir.facts(name).get("outputs", {}).values()
            except LussError as error:
                message = f"{error}; stage {name} resumes from its finished steps"
                print_log(message, "current", level=_WARNING)
                self.work_dir.invalidate(name)
                continue
            folder = self.work_dir.stage(name)
            deleted = [str(folder / path) for path in outputs if not (folder / path).exists()]
            if deleted and stage.made_again_on_change:
                print_log(f"{', '.join(deleted)} was deleted: {name} is recomputed", "current")
                self.work_dir.invalidate(name)

    def _begun(self) -> list[str]:
        return [name for name in self.stages if self._is_begun(name)]

    def _is_begun(self, name: str) -> bool:
        folder, stage = self.work_dir.stage(name), self.stages.get(name)
        partial = stage is not None and stage.has_partial_output(folder)
        return self.work_dir.is_done(name) or partial

    def _find_conflict(self, identities: dict[str, dict], running: Collection[str]) -> str | None:
        """Return an error message if config and work dir conflict; invalidate stale stages."""
        if running:
            try:
                self._invalidate_on_user_edits()
            except LussError as error:
                return str(error)
        root, begun = self.work_dir.root, self._begun()
        differences = self.work_dir.differences(identities, begun)
        to_be_made = [name for name in running if name not in begun]
        outdated: dict[str, str | None] = {}
        for name in begun:
            inputs = StageInputs.read(self.work_dir, name)
            gone = inputs.outdated_by(to_be_made) if inputs else None
            if gone or name in differences:
                outdated[name] = gone
        kept = [name for name in outdated if not self.stages[name].made_again_on_change]
        changed = [name for name in kept if name in differences]
        if changed:
            phrases = list(dict.fromkeys(p for name in changed for p in differences[name]))
            more = f"; and {len(phrases) - _SHOWN} more" if len(phrases) > _SHOWN else ""
            reuse = ""
            if "pretrain" not in changed and self.work_dir.is_done("pretrain"):
                reuse = f" (luss train --from {root} reuses the finished pretraining there)"
            return (
                f"{root} belongs to a run of another config. It differs in "
                f"{'; '.join(phrases[:_SHOWN])}{more}. Resume with the old settings, choose "
                f"another --work-dir for the new ones{reuse}, or remove {self._folders(changed)} "
                "to recompute them here"
            )
        if kept:
            name = kept[0]
            return (
                f"stage {name!r} in {root} was made from an output of {outdated[name]!r} that is "
                f"no longer there; remove {self._folders(kept)} to make that again"
            )
        for name in outdated:
            self.work_dir.invalidate(name)
        return None

    def _invalidate_on_user_edits(self) -> None:
        """Invalidate stages whose user-edited inputs changed."""
        for name, stage in self.stages.items():
            if not self.work_dir.is_done(name):
                continue
            inputs = StageInputs.read(self.work_dir, name)
            before = inputs.files if inputs else {}
            now = stage.digests_of_files(self.work_dir)
            changed = [file for file in {**before, **now} if before.get(file) != now.get(file)]
            if changed:
                print_log(f"{', '.join(changed)} changed: {name} is recomputed", "current")
                self.work_dir.invalidate(name)

    def _folders(self, names: Iterable[str]) -> str:
        """Return the folders of stages, and of all stages that depend on them."""
        affected = set(names)
        for name, stage in self.stages.items():
            if affected.intersection(stage.requires):
                affected.add(name)
        begun = self._begun()
        return ", ".join(str(self.work_dir.stage(name)) for name in begun if name in affected)

    def _check_photos(self, pending: list[Stage], context: Context) -> None:
        """Compare the photos with those that stages saw whose output is to be used."""
        used = {stage.name for stage in pending}
        for name, stage in reversed(self.stages.items()):
            if name in used:
                used.update(stage.requires)
        begun = main_process_decides([name for name in self._begun() if name in used])
        if not begun:
            return
        records = {name: StageInputs.read(self.work_dir, name) for name in begun}
        for name, inputs in main_process_decides(records).items():
            if inputs and (found := inputs.difference(context.photo_list, context.data_root)):
                raise LussError(
                    f"the photos{found} Let them be as they were, remove "
                    f"{self._folders([name])} to make that again, or choose another --work-dir"
                )

    def _go_back_to(self, checkpoint: str, stage: str | None) -> None:
        """Let a stage resume from this checkpoint."""
        path = Path(checkpoint).expanduser()
        folders = {name: self.work_dir.stage(name).resolve() for name in self.stages}
        name = stage or next((n for n, f in folders.items() if f == path.parent.resolve()), None)
        if name is None:
            raise LussError(
                f"{path} lies in the folder of no stage of {self.work_dir.root}; add --stage NAME "
                f"for the stage that resumes from it, one of: {', '.join(self.stages)}"
            )
        if not self.stages[name].goes_on_from_checkpoints:
            raise LussError(f"stage {name!r} does not train, so it cannot resume from a checkpoint")
        with fail_together():
            if is_main_process():
                if self.work_dir.is_done(name):
                    raise LussError(
                        f"stage {name!r} is finished. To train it again from {path}, remove "
                        f"{self.work_dir.stage(name) / 'done.json'}, and what was made from its "
                        f"output: {self._folders_after(name) or 'nothing'}"
                    )
                adopted = adopt_checkpoint(path, self.work_dir.stage(name))
                print_log(f"stage {name} resumes from {adopted}", "current")

    def _folders_after(self, name: str) -> str:
        folders = self._folders([name]).split(", ")
        return ", ".join(f for f in folders if f != str(self.work_dir.stage(name)))

    def _check_partial(self, stage: Stage, resume: bool) -> None:
        folder = self.work_dir.stage(stage.name)
        if main_process_decides(stage.has_partial_output(folder)) and not resume:
            raise LussError(
                f"stage {stage.name!r} was begun in {folder} and not finished; resume it with "
                "--resume, or choose another --work-dir"
            )

    def _position(self, name: str, names: list[str]) -> Position:
        """Return the place of a stage among those that were chosen."""
        place = names.index(name)
        later = [self.expected.get(after, 0.0) for after in names[place + 1 :]]
        return Position(name, place + 1, len(names), self.expected.get(name), sum(later))

    def _run_stage(self, stage: Stage, context: Context) -> None:
        goes_on = self._is_begun(stage.name)
        files = stage.digests_of_files(self.work_dir)
        with context.noting_inputs(stage.name, stage.requires, goes_on, files):
            facts = resolved_stage(stage, context).run(context)
        # A runner and its hooks refer to each other: only a collection ends its data loaders.
        gc.collect()
        barrier()
        outputs = stage.outputs(self.work_dir.stage(stage.name))
        self.work_dir.mark_done(stage.name, {**facts, "outputs": outputs})
        barrier()
