"""What the command line switches on in all stages that train."""

import argparse

from mmengine import Config

from luss.errors import LussError

__all__ = ["add_switches", "apply_switches", "scale_learning_rates", "use_mixed_precision"]

_PLAIN = ("OptimWrapper", "mmengine.OptimWrapper")
_MIXED = ("AmpOptimWrapper", "luss.AmpOptimWrapper", "mmengine.AmpOptimWrapper")


def add_switches(parser: argparse.ArgumentParser) -> None:
    """Add ``--amp`` and ``--auto-scale-lr``."""
    parser.add_argument(
        "--amp", action="store_true", help="train in mixed precision, in all stages that train"
    )
    parser.add_argument(
        "--auto-scale-lr",
        action="store_true",
        help="scale learning rates to the batch over all processes, see auto_scale_lr in configs",
    )


def apply_switches(config: Config, args: argparse.Namespace) -> None:
    """Change a config as the switches say.

    Raises:
        LussError: as :func:`use_mixed_precision` and :func:`scale_learning_rates`.
    """
    if args.amp:
        use_mixed_precision(config)
    if args.auto_scale_lr:
        scale_learning_rates(config)


def use_mixed_precision(config: Config) -> None:
    """Give every stage that trains an ``AmpOptimWrapper`` (``--amp``).

    Raises:
        LussError: if no stage trains, or one has a wrapper of another kind.
    """
    for name, stage in _training_stages(config, "--amp"):
        wrapper = stage["optim_wrapper"]
        kind = wrapper.get("type", "OptimWrapper")
        if kind not in (*_PLAIN, *_MIXED):
            raise LussError(
                f"--amp: stages.{name}.optim_wrapper has type {kind!r}, expected OptimWrapper; set "
                "its precision in the config"
            )
        wrapper["type"] = "AmpOptimWrapper"


def scale_learning_rates(config: Config) -> None:
    """Let the rates of every stage that trains follow its batch (``--auto-scale-lr``).

    The linear rule (Goyal et al., 2017), by MMEngine's runner: times images a step over all
    processes, divided by ``auto_scale_lr.base_batch_size`` of the config or of the stage.

    Raises:
        LussError: if no stage trains, or one does not say for which batch its rate is.
    """
    for name, stage in _training_stages(config, "--auto-scale-lr"):
        own, shared = stage.get("auto_scale_lr"), config.get("auto_scale_lr")
        if "base_batch_size" not in {**(shared or {}), **(own or {})}:
            raise LussError(
                "--auto-scale-lr: the config does not say for how many images a step the rate of "
                f"stage {name!r} is; add auto_scale_lr=dict(base_batch_size=N)"
            )
        if own is not None:
            own["enable"] = True
    if config.get("auto_scale_lr"):
        config.auto_scale_lr["enable"] = True


def _training_stages(config: Config, switch: str) -> list[tuple[str, dict]]:
    found = [(name, stage) for name, stage in config.stages.items() if "optim_wrapper" in stage]
    if not found:
        raise LussError(f"{switch} would change nothing: no stage of this config trains")
    return found
