"""Switches of the command line for all training stages: ``--amp`` and ``--auto-scale-lr``."""

import argparse

from mmengine import Config

from luss.errors import LussError

__all__ = ["add_switches", "apply_switches", "scale_learning_rates", "use_mixed_precision"]

_PLAIN = ("OptimWrapper", "mmengine.OptimWrapper")
_MIXED = ("AmpOptimWrapper", "luss.AmpOptimWrapper", "mmengine.AmpOptimWrapper")


def add_switches(parser: argparse.ArgumentParser) -> None:
    """Add ``--amp`` and ``--auto-scale-lr``."""
    parser.add_argument("--amp", action="store_true", help="train all stages in mixed precision")
    parser.add_argument(
        "--auto-scale-lr",
        action="store_true",
        help="scale learning rates with the total batch size, see auto_scale_lr in configs",
    )


def apply_switches(config: Config, args: argparse.Namespace) -> None:
    """Apply the switches to a config.

    Raises:
        LussError: as :func:`use_mixed_precision` and :func:`scale_learning_rates`.
    """
    if args.amp:
        use_mixed_precision(config)
    if args.auto_scale_lr:
        scale_learning_rates(config)


def use_mixed_precision(config: Config) -> None:
    """Set ``AmpOptimWrapper`` in every training stage (``--amp``).

    Raises:
        LussError: if there is no training stage, or one has another type of wrapper.
    """
    for name, stage in _training_stages(config, "--amp"):
        wrapper = stage["optim_wrapper"]
        kind = wrapper.get("type", "OptimWrapper")
        if kind not in (*_PLAIN, *_MIXED):
            raise LussError(
                f"--amp: stages.{name}.optim_wrapper has type {kind!r}, expected OptimWrapper; set "
                "the precision of this wrapper in the config"
            )
        wrapper["type"] = "AmpOptimWrapper"


def scale_learning_rates(config: Config) -> None:
    """Scale the learning rates of every training stage with its batch size (``--auto-scale-lr``).

    The linear rule (Goyal et al., 2017) of MMEngine's runner: rates are multiplied by the number
    of images per step over all processes, and divided by ``auto_scale_lr.base_batch_size`` of the
    config or of the stage.

    Raises:
        LussError: if there is no training stage, or ``base_batch_size`` is missing.
    """
    for name, stage in _training_stages(config, "--auto-scale-lr"):
        own, shared = stage.get("auto_scale_lr"), config.get("auto_scale_lr")
        if "base_batch_size" not in {**(shared or {}), **(own or {})}:
            raise LussError(
                f"--auto-scale-lr: stage {name!r} has no auto_scale_lr.base_batch_size, the batch "
                "size that its learning rate is for; add auto_scale_lr=dict(base_batch_size=N)"
            )
        if own is not None:
            own["enable"] = True
    if config.get("auto_scale_lr"):
        config.auto_scale_lr["enable"] = True


def _training_stages(config: Config, switch: str) -> list[tuple[str, dict]]:
    found = [(name, stage) for name, stage in config.stages.items() if "optim_wrapper" in stage]
    if not found:
        raise LussError(f"{switch} has no effect: no stage of this config trains; remove it")
    return found
