"""Which config a folder of photos is trained by, and what is changed in it."""

import copy
import importlib.util
from typing import Any

from mmengine import Config
from mmengine.logging import print_log

from luss.configuration import read_config
from luss.engine.checkpoint import required_checkpoint
from luss.errors import LussError
from luss.label_generation.foreground.compared import COMBINATIONS
from luss.pipeline.work_dir import WorkDir
from luss.planning.foregrounds import FOREGROUNDS
from luss.planning.plan_file import PLAN, read_plan

__all__ = [
    "choose_foreground",
    "earlier_options",
    "reject_arguments",
    "settings_for",
    "start_from",
]

_NEED_SKIMAGE = ("prior", "region-contrast")

_ARGUMENTS = {
    "data.data_root": "the folder PHOTOS",
    "data_root": "the folder PHOTOS",
    "num_categories": "--categories",
    "seed": "--seed",
    "work_dir": "--work-dir",
}
"""Settings that arguments of ``luss train`` set -> the argument."""


def reject_arguments(options: dict[str, Any]) -> None:
    """Reject options that the arguments of ``luss train`` would overwrite.

    Args:
        options: as ``--cfg-options`` gives them.

    Raises:
        LussError: naming the argument to be used.
    """
    for key, value in options.items():
        if key in _ARGUMENTS:
            raise LussError(
                f"the option {key}={value!r} would change nothing: luss train sets {key} from "
                f"{_ARGUMENTS[key]}; give that instead"
            )


def choose_foreground(given: str | None) -> str:
    """The foreground that was asked for, or else the best that can be computed here.

    Raises:
        LussError: if it needs scikit-image, which is not installed.
    """
    has_skimage = importlib.util.find_spec("skimage") is not None
    install = 'pip install "luss[foreground]" installs it'
    if given in _NEED_SKIMAGE and not has_skimage:
        raise LussError(
            f"--foreground {given} needs scikit-image, which is not installed; {install}, and "
            "--foreground boundary-centre needs nothing"
        )
    if given is not None:
        return given
    if not has_skimage:
        print_log(
            "scikit-image is not installed, so objects are told from 'other' by boundary and "
            f"centre alone (--foreground boundary-centre), which is less exact; {install}",
            "current",
        )
    return "prior" if has_skimage else "boundary-centre"


def settings_for(foreground: str, options: dict[str, Any]) -> Config:
    """The config for small photos with a foreground.

    Args:
        foreground: one of ``FOREGROUNDS``.
        options: as ``--cfg-options`` gives them.

    Raises:
        LussError: as :func:`read_config`.
    """
    if foreground == "boundary-centre":
        chosen = {**copy.deepcopy(COMBINATIONS["boundary-centre"]), "_delete_": True}
        # First, so that the user's options can change it.
        options = {"stages.label_generation.foreground": chosen, **options}
    return read_config(FOREGROUNDS[foreground], options)


def earlier_options(work_dir: str) -> dict[str, Any]:
    """Options of a run of ``luss train`` and of those that it started from; else empty.

    Raises:
        LussError: if its plan is damaged.
    """
    return _from_plan(work_dir, "options")


def _from_plan(work_dir: str, key: str) -> dict[str, Any]:
    """An object of a run's plan; empty if ``luss run`` made it, whose settings nothing fitted."""
    path = WorkDir(work_dir).root / PLAN
    if not path.exists():
        return {}
    content = read_plan(path).get(key)
    if not isinstance(content, dict):
        raise LussError(
            f"--from {work_dir}: {path} has no object {key!r}, so that its epochs and batch sizes "
            "from before they were fitted to its photos are unknown; train without --from"
        )
    return content


def start_from(work_dir: str, foreground: str | None, options: dict[str, Any]) -> Config:
    """The config of a run whose pretraining is finished, to go on from it otherwise.

    Its epochs and batch sizes are those from before they were fitted to its photos and minutes.

    Args:
        work_dir: of that run.
        foreground: one of ``FOREGROUNDS`` instead of that run's, or None.
        options: as ``--cfg-options`` gives them.

    Raises:
        LussError: if there is no such run, its pretraining is not whole, or an option would change
            that.
    """
    of_pretraining = [key for key in options if f"{key}.".startswith("stages.pretrain.")]
    if of_pretraining:
        raise LussError(
            f"the option {of_pretraining[0]}={options[of_pretraining[0]]!r} would change nothing: "
            f"--from {work_dir} takes the pretraining of that run as it is; leave out the option, "
            "or leave out --from to pretrain anew"
        )
    other = WorkDir(work_dir)
    config = other.config({**_from_plan(work_dir, "before_fitting"), **options})
    if not other.is_done("pretrain"):
        raise LussError(
            f"--from {work_dir}: its pretraining is not finished; let that run go on by --resume"
        )
    pretrain = config.stages.pretrain
    pretrain["type"] = "PretrainStage"
    pretrain["weights"] = str(required_checkpoint(other.stage("pretrain")).resolve())
    if foreground is not None:
        # What embeddings are pooled over, and which pixels are labelled how, goes with it.
        config.stages.label_generation = settings_for(foreground, options).stages.label_generation
    return config
