"""Top-level keys and options that have no effect, in config files and on the command line."""

import ast
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine import Config

from luss.errors import LussError, nearest, shorten

__all__ = ["RUNNER_KEYS", "reject_key", "reject_misspelt", "reject_option", "unused_keys"]

_OF_A_TRAINING = (
    "activation_checkpointing",
    "compile",
    "custom_hooks",
    "data_preprocessor",
    "efficient_conv_bn_eval",
    "find_unused_parameters",
    "init",
    "model",
    "model_wrapper_cfg",
    "optim_wrapper",
    "param_scheduler",
    "sync_bn",
    "train_cfg",
    "train_dataloader",
    "val_cfg",
    "val_dataloader",
    "val_evaluator",
)
_OF_A_TEST = ("test_cfg", "test_dataloader", "test_evaluator")

RUNNER_KEYS: dict[str, str] = {
    **dict.fromkeys(_OF_A_TRAINING, "set stages.{stage}.{key}, for each stage that trains"),
    **dict.fromkeys(_OF_A_TEST, "set stages.{stage}.{key}, for each stage that tests"),
    "default_scope": "it is always 'luss'; types of other libraries carry their scope, such as "
    "mmseg.FCNHead",
    "experiment_name": "each stage has its folder's name",
    "launcher": "give --launcher on the command line",
    "load_from": "set stages.{stage}.weights for the weights of a file, stages.{stage}.init "
    "for those of an earlier stage; --resume CHECKPOINT continues a training",
    "randomness": "set the top-level 'seed', and stages.{stage}.randomness for other keys, such as "
    "deterministic",
    "resume": "give --resume on the command line",
    "run_log": "the log is always run.log in the work dir",
    "runner_type": "it is always 'luss.Runner'",
}
"""Keys of MMEngine's runner that have no effect at the top level -> what to do instead."""


def unused_keys(files: Iterable[Path]) -> set[str]:
    """Return the top-level names that config files assign but never read.

    A name that is read, in its own file or as ``_base_.NAME`` in another one, is a variable.

    Args:
        files: a config and all that it inherits from.
    """
    assigned: set[str] = set()
    read: set[str] = set()
    for file in files:
        text = file.read_text(encoding="utf-8")
        read.update(re.findall(r"\b_base_\.(\w+)", text))
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Name):
                (read if isinstance(node.ctx, ast.Load) else assigned).add(node.id)
    return assigned - read


def reject_key(key: str, value: Any, config: Config, path: str) -> None:
    """Reject a top-level key of a file that has no effect.

    Raises:
        LussError: with the place where it belongs.
    """
    raise LussError(
        f"{path} sets {key!r} to {_short(value)}, which has no effect at the top level: "
        f"{_remedy(key, config)}. If it is a variable, rename it"
    )


def reject_misspelt(variables: Collection[str], known: Collection[str], path: str) -> None:
    """Reject variables of a file whose name is close to a setting's.

    Raises:
        LussError: with both names.
    """
    for name in sorted(variables):
        if hint := nearest(name, known, cutoff=0.85).rstrip("."):
            raise LussError(
                f"{path} sets {name!r}, which has no effect{hint} If it is a variable, rename it"
            )


def reject_option(
    key: str,
    value: Any,
    config: Config,
    path: str,
    known: Collection[str],
    variables: Collection[str],
) -> None:
    """Reject an option whose top-level key is not a setting.

    Args:
        key: dotted, as in ``--cfg-options``.
        value: of the option.
        config: as read from the file.
        path: of the file.
        known: top-level keys that are settings.
        variables: other top-level keys of the file.

    Raises:
        LussError: with the place where the setting belongs.
    """
    first = key.partition(".")[0]
    if first in known:
        return
    places = list(_places(config, key))
    if first in RUNNER_KEYS or first == "weights":
        why = _remedy(first, config)
    elif first in variables:
        why = f"{first!r} is a variable of {path}, whose value stands in its stages already"
    else:
        why = f"there is no setting {first!r}{nearest(first, known)}"
    if places:
        where = f"Settings of that name: {shorten(places, 6)}"
    else:
        example = next(iter(config.stages))
        where = f"Give the complete key of a setting, such as stages.{example}.NAME=VALUE"
    stop = "" if why.endswith((".", "?")) else "."
    raise LussError(f"the option {key}={value!r} has no effect: {why}{stop} {where}")


def _remedy(key: str, config: Config) -> str:
    stages = {name: stage for name, stage in config.stages.items() if isinstance(stage, dict)}
    trained = [name for name, stage in stages.items() if "optim_wrapper" in stage]
    remedy = RUNNER_KEYS.get(key, "no stage of this config takes {key}")
    if key == "weights":
        remedy += " (a stage does that has pretrained='${{facts.weights}}')"
    return remedy.format(key=key, stage=trained[0] if trained else "NAME")


def _short(value: Any) -> str:
    text = repr(value.to_dict() if hasattr(value, "to_dict") else value)
    return text if len(text) <= 80 else text[:77] + "..."


def _places(config: Config, key: str) -> Iterator[str]:
    """Yield the stages' dotted keys that share the longest suffix with ``key``."""
    everything = list(_dotted(config.stages.to_dict(), "stages"))
    parts = key.split(".")
    for start in range(len(parts)):
        ending = "." + ".".join(parts[start:])
        if found := [place for place in everything if place.endswith(ending)]:
            yield from found
            return


def _dotted(value: Any, place: str) -> Iterator[str]:
    entries = value.items() if isinstance(value, Mapping) else ()
    for key, entry in entries:
        yield f"{place}.{key}"
        yield from _dotted(entry, f"{place}.{key}")
