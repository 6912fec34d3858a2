"""A stage that trains a model."""

import copy
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from mmengine.dist import barrier, is_main_process
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import Tensor, nn

from luss.config_checks import require_keys
from luss.config_files import merged
from luss.datasets import reproducible_sampler
from luss.engine.checkpoint import in_module, latest_checkpoint, save
from luss.engine.foreign_weights import build_backbone, read_parts
from luss.engine.preflight import check_training
from luss.errors import LussError
from luss.models.backbones import StageInfo, probe
from luss.models.backbones.weights import WeightsEntry, weights_entry
from luss.pipeline.context import Context
from luss.pipeline.runner_stage import RunnerStage
from luss.pipeline.work_dir import main_process_decides
from luss.registry import MODELS, STAGES
from luss.stages.loaders import complete_loader
from luss.stages.patch_sizes import require_whole_patches
from luss.stages.sound_masks import require_sound_masks, warn_of_photos
from luss.stages.stand_ins import with_stand_ins
from luss.stages.starting_parts import StartingParts

__all__ = ["Train"]

_OWN_HOOKS = ("StatelessRandomnessHook", "LossGuardHook", "GracefulStopHook", "ProgressHook")

_IN_CONFIG = (
    "sync_bn",
    "find_unused_parameters",
    "model_wrapper_cfg",
    "activation_checkpointing",
    "efficient_conv_bn_eval",
    "compile",
)
"""What MMEngine's runner reads from its configuration beside its arguments."""

_NEEDED = ("model", "optim_wrapper", "train_cfg")
_OWN = ("train_dataloader", "init", "param_scheduler", "seed", "weights", "pretrained")
_OPTIONAL = (
    *_OWN,
    "auto_scale_lr",
    "custom_hooks",
    "data_preprocessor",
    "default_hooks",
    "env_cfg",
    "log_level",
    "log_processor",
    "randomness",
    "val_cfg",
    "val_dataloader",
    "val_evaluator",
    "visualizer",
    *_IN_CONFIG,
)


@STAGES.register_module()
class Train(RunnerStage):
    """A stage that trains a model: ``Runner.train``.

    The output is the newest ``iter_*.pth`` in its folder: the end of the training, never a 'best'
    checkpoint.

    Args:
        name: see :class:`Stage`.
        train_dataloader: as in MMEngine; its data set takes missing settings from the top-level
            ``data``. Not needed with ``pretrained``.
        init: part (module name) -> checkpoint from which it starts, such as
            ``{"backbone": "${pretrain.checkpoint}"}``.
        param_scheduler: as in MMEngine: one, a list, or optimizer name -> one of these. Schedulers
            by epochs without ``end`` end with the training.
        seed: replaces the seed of the run.
        weights: file from which the backbone starts: a path, or a dict of file, layout, key,
            prefix, rename, ignore and allow_missing, see
            :class:`luss.models.backbones.weights.WeightsEntry`.
        pretrained: like ``weights``, but nothing is trained: the backbone of the file, and its
            projector and prototypes if it has them, become the checkpoint of the stage. None, or a
            dict whose ``file`` is None, trains.
        **runner: further settings of :class:`luss.engine.runner.Runner`; missing ones are taken
            from the top level of the config.
    """

    settings: ClassVar[tuple[str, ...]] = (
        "seed",
        "data",
        "env_cfg",
        "default_hooks",
        "auto_scale_lr",
    )

    goes_on_from_checkpoints: ClassVar[bool] = True
    roles: Mapping[str, str] = {"checkpoint": "iter_<N>.pth"}

    def __init__(
        self,
        name: str,
        train_dataloader: dict | None = None,
        init: dict[str, str] | None = None,
        param_scheduler: list[dict] | dict | None = None,
        seed: int | None = None,
        weights: str | dict | None = None,
        pretrained: str | dict | None = None,
        **runner,
    ) -> None:
        super().__init__(name)
        require_keys(runner, (), f"stages.{name}", optional=(*_NEEDED, *_OPTIONAL))
        self.init = dict(init or {})
        self.train_dataloader = train_dataloader or {}
        self.param_scheduler = param_scheduler
        self.seed = seed
        self.weights = weights
        self.pretrained = weights_entry(pretrained)
        self.runner = runner
        self._known_starts: StartingParts | None = None

    def has_partial_output(self, folder: Path) -> bool:
        """Return whether there is a checkpoint to resume from."""
        return latest_checkpoint(folder) is not None

    def outputs(self, folder: Path) -> dict[str, str]:
        """Return the newest checkpoint."""
        newest = latest_checkpoint(folder)
        return {} if newest is None else {"checkpoint": newest.name}

    # Resolving

    def runner_config(self, context: Context) -> dict:
        """Return the configuration of training, once the stages before it are finished."""
        return {
            **self._resolved(context, self.dataset_config(context)),
            "init": self._starts(context).checkpoints(),
            "weights": self.weights,
        }

    def _resolved(self, context: Context, dataset: dict) -> dict:
        """All of the configuration but where the model starts from."""
        given = copy.deepcopy(self.runner)
        defaults = context.runner_defaults(self.name)
        joined = {
            key: merged(given.pop(key), defaults.get(key, {}))
            for key in ("default_hooks", "auto_scale_lr")
            if key in given
        }
        if "val_dataloader" in given:
            given["val_dataloader"] = complete_loader(
                given["val_dataloader"], context, f"stages.{self.name}.val_dataloader"
            )
        where = f"stages.{self.name}.train_dataloader"
        workers = self.train_dataloader.get("num_workers", context.num_workers)
        loader = {
            "persistent_workers": workers > 0,
            **complete_loader({**self.train_dataloader, "dataset": dataset}, context, where),
        }
        if "sampler" in loader:
            loader["sampler"] = reproducible_sampler(loader["sampler"])
        return {
            **defaults,
            **given,
            **joined,
            "model": self.model_config(context),
            "train_dataloader": loader,
            "param_scheduler": _with_ends(
                self.param_scheduler, given["train_cfg"].get("max_epochs")
            ),
            "custom_hooks": [
                *({"type": hook} for hook in _OWN_HOOKS),
                *given.get("custom_hooks", ()),
            ],
            "randomness": {
                **given.get("randomness", {}),
                "seed": context.seed if self.seed is None else self.seed,
            },
        }

    def model_config(self, context: Context) -> dict:
        """Return the model's configuration; only parts with pretrained weights are frozen."""
        config = copy.deepcopy(self.runner["model"])
        kind = MODELS.get(config["type"]) if isinstance(config.get("type"), str) else None
        frozen = getattr(kind, "pretrained_parts", None)
        if frozen is not None and "frozen" not in config:
            loaded = set(self._starts(context).present)
            loaded |= {"backbone"} if self.weights else set()
            config["frozen"] = [
                name for name in frozen if any(in_module(name, part) for part in loaded)
            ]
        return config

    def dataset_config(self, context: Context) -> dict:
        """Return the training set's configuration, as far as the stage states it."""
        config = copy.deepcopy(self.train_dataloader["dataset"])
        return config if self.seed is None else {"seed": self.seed, **config}

    def checked_dataset_config(self, context: Context) -> dict:
        """Return the same for checks, with made-up labels, maps and features if none exist yet."""

        def features() -> list[StageInfo]:
            return probe(MODELS.build(self.model_config(context)["backbone"]))

        return with_stand_ins(self.dataset_config(context), context.work_dir.root, features)

    # Where the model starts from

    def _starts(self, context: Context) -> StartingParts:
        if self._known_starts is None or self._known_starts.context is not context:
            self._known_starts = StartingParts(self, self.init, context)
        return self._known_starts

    @property
    def is_pretrained(self) -> bool:
        """Whether the checkpoint is made from a file, and nothing is trained."""
        return self.pretrained is not None

    def output_state(self, context: Context) -> dict[str, Tensor]:
        """Tensors of the names and shapes that the stage's checkpoint will have."""
        config, weights = self.model_config(context), self.pretrained
        if weights is None:
            return MODELS.build(config).state_dict()
        if "backbone" not in config:
            raise LussError(f"stages.{self.name}.model has no 'backbone' to take weights for")
        backbone = self.filled_backbone(config, weights, context)
        return backbone | read_parts(weights, f"stages.{self.name}.pretrained")

    def filled_backbone(
        self, config: dict, weights: str | dict, context: Context
    ) -> dict[str, Tensor]:
        """Return the tensors of a model's backbone, filled from a file, by the model's names.

        Raises:
            LussError: if the file does not fit.
        """
        seed = context.seed if self.seed is None else self.seed
        where = f"stages.{self.name}.{'pretrained' if self.is_pretrained else 'weights'}"
        backbone = build_backbone(config["backbone"], weights, seed, where)
        probe(backbone)
        return {f"backbone.{name}": value for name, value in backbone.state_dict().items()}

    # Checks before the first stage starts

    def check(self, context: Context) -> None:
        """Dry-run the training, with all images and made-up labels where none exist yet.

        Raises:
            LussError: as :func:`luss.engine.preflight.check_training`, and if parts do not fit
                the stages that they start from, masks are wrong, or the heads have another number
                of classes than the labels.
        """
        if self.is_pretrained:
            self.output_state(context)
            return
        where = f"stages.{self.name}"
        if not self.train_dataloader:
            raise LussError(
                f"{where} has neither pretrained weights nor a train_dataloader; give the weights, "
                "such as weights=FILE at the top level of the config, or set train_dataloader"
            )
        require_keys(self.runner, _NEEDED, where, optional=_OPTIONAL)

        def compare_starts(model: nn.Module) -> None:
            self._starts(context).require_equal_tensors(model, where)
            self._require_outputs(model, context)
            if getattr(model, "reads_feature_maps", False):
                pipeline = self.train_dataloader["dataset"].get("pipeline", ())
                backbone = model.get_submodule("backbone")
                require_whole_patches(backbone, pipeline, f"{where}.train_dataloader")
            if self.weights:
                self.filled_backbone(self.model_config(context), self.weights, context)

        dataset = self.checked_dataset_config(context)
        pending = [name for name in self.requires if not context.work_dir.is_done(name)]
        config = self._resolved(context, dataset)
        check_training(config, where, compare_starts, context.tries_batches, pending)
        if dataset.get("require_masks"):
            require_sound_masks(context, dataset["split"])
        warn_of_photos(context, dataset)

    def _require_outputs(self, model: nn.Module, context: Context) -> None:
        """Check that heads have an output for each id of the labels."""
        dataset = self.train_dataloader["dataset"]
        found = [
            step["num_classes"]
            for step in dataset.get("pipeline", ())
            if step.get("type") == "FindMask"
        ]
        if not found and dataset.get("require_masks"):
            found = [context.num_classes]
        for key in ("decode_head", "auxiliary_head") if found else ():
            heads = getattr(model, key, None)
            for head in heads if isinstance(heads, nn.ModuleList) else [heads]:
                outputs = getattr(head, "num_classes", None)
                if outputs not in (None, found[0] + 1):
                    raise LussError(
                        f"stages.{self.name}.model.{key}.num_classes is {outputs}, but the labels "
                        f"have {found[0] + 1} classes including 'other'; set it to "
                        "'${facts.num_outputs}' for discovered categories, or "
                        "'${facts.num_true_outputs}' for true classes"
                    )

    # Training

    def build_runner(self, context: Context, **start: Any) -> Runner:
        """Build the runner of this stage, which resumes from the newest checkpoint if allowed."""
        starts = self._starts(context)
        for stage, parts in starts.absent.items():
            for part in sorted(parts):
                print_log(
                    f"stage {self.name}: {part} starts from random weights and is trained, since "
                    f"{starts.why_absent(stage)}",
                    "current",
                    level=logging.WARNING,
                )
        folder = context.work_dir.stage(self.name)
        newest = main_process_decides(latest_checkpoint(folder) if context.resume else None)
        if newest is not None:
            start = {"load_from": str(newest), "resume": True, **start}
        return super().build_runner(context, **start)

    def run(self, context: Context) -> dict:
        """Train to the last epoch, or take the weights of a file."""
        if self.is_pretrained:
            return self._take(context)
        runner = self.build_runner(context)
        try:
            runner.train()
        finally:
            for hook in runner.hooks:
                if release := getattr(hook, "release", None):
                    release()
        checkpoint = latest_checkpoint(context.work_dir.stage(self.name))
        if checkpoint is None:
            raise LussError(
                f"stage {self.name!r} ended without a checkpoint; its default_hooks.checkpoint "
                "must be luss' CheckpointHook"
            )
        return {"checkpoint": checkpoint.name, "iterations": runner.iter, "epochs": runner.epoch}

    def _take(self, context: Context) -> dict:
        """Write a checkpoint with the weights of ``pretrained``."""
        if is_main_process():
            path = context.work_dir.stage(self.name) / "iter_0.pth"
            save(path, {"state_dict": self.output_state(context), "meta": {}})
        barrier()
        file = WeightsEntry.parse(self.pretrained, f"stages.{self.name}.pretrained").file
        print_log(f"stage {self.name}: not trained, the backbone is that of {file}", "current")
        return {"checkpoint": "iter_0.pth", "weights": file}


def _with_ends(schedulers: list[dict] | dict | None, max_epochs: int | None) -> Any:
    """Let schedulers by epochs end with training where they set no end."""
    if schedulers is None:
        return None
    if isinstance(schedulers, Mapping):
        if "type" not in schedulers:
            return {name: _with_ends(own, max_epochs) for name, own in schedulers.items()}
        schedulers = [schedulers]
    schedulers = copy.deepcopy(list(schedulers))
    for scheduler in schedulers:
        if scheduler.get("by_epoch", True) and max_epochs is not None:
            scheduler.setdefault("end", max_epochs)
    return schedulers
