"""Choice of the config for a folder of photos."""

import copy
import importlib.util
from typing import Any

from mmengine import Config
from mmengine.logging import print_log

from luss.configuration import read_config
from luss.engine.checkpoint import required_checkpoint
from luss.errors import LussError
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

_BOUNDARY_CENTRE = {
    "type": "ProductOfMaps",
    "sources": [{"type": "BoundaryPrior"}, {"type": "CentrePrior"}],
    "_delete_": True,
}
"""Foreground of ``--foreground boundary-centre``."""

_ARGUMENTS = {
    "data_root": "the folder PHOTOS",
    "num_categories": "--categories",
    "seed": "--seed",
    "work_dir": "--work-dir",
}
"""Setting -> the argument of ``luss train`` that sets it."""


def reject_arguments(options: dict[str, Any]) -> None:
    """Reject options that the arguments of ``luss train`` would overwrite.

    Args:
        options: parsed ``--cfg-options``.

    Raises:
        LussError: with the argument to use instead.
    """
    for key, value in options.items():
        if key in _ARGUMENTS:
            raise LussError(
                f"the option {key}={value!r} has no effect: luss train sets {key} from "
                f"{_ARGUMENTS[key]}; use that instead"
            )


def choose_foreground(given: str | None) -> str:
    """Return the given foreground, or the best one that the installed packages can compute.

    Raises:
        LussError: if the given one needs scikit-image, which is not installed.
    """
    has_skimage = importlib.util.find_spec("skimage") is not None
    install = 'pip install "luss[foreground]"'
    if given in _NEED_SKIMAGE and not has_skimage:
        raise LussError(
            f"--foreground {given} needs scikit-image, which is not installed; run {install}, or "
            "use --foreground boundary-centre"
        )
    if given is not None:
        return given
    if not has_skimage:
        print_log(
            "scikit-image is not installed, so --foreground is boundary-centre, which is less "
            f"accurate than prior; to use prior, run {install}",
            "current",
        )
    return "prior" if has_skimage else "boundary-centre"


def settings_for(foreground: str, options: dict[str, Any]) -> Config:
    """Return the config for photos with a foreground.

    Args:
        foreground: one of ``FOREGROUNDS``.
        options: parsed ``--cfg-options``.

    Raises:
        LussError: as :func:`read_config`.
    """
    if foreground == "boundary-centre":
        # First, so that the user's options can change it.
        chosen = copy.deepcopy(_BOUNDARY_CENTRE)
        options = {"stages.label_generation.test_cfg.foreground": chosen, **options}
    return read_config(FOREGROUNDS[foreground], options)


def earlier_options(work_dir: str) -> dict[str, Any]:
    """Return the options of a run and of the runs that it started from.

    Empty for a run of ``luss run``.

    Raises:
        LussError: if its plan is damaged.
    """
    return _from_plan(work_dir, "options")


def _from_plan(work_dir: str, key: str) -> dict[str, Any]:
    """Return an entry of a run's plan; empty for a run of ``luss run``, which has no plan."""
    path = WorkDir(work_dir).root / PLAN
    if not path.exists():
        return {}
    content = read_plan(path).get(key)
    if not isinstance(content, dict):
        raise LussError(
            f"--from {work_dir}: {path} has no object {key!r}, which contains the original epochs "
            "and batch sizes; train without --from"
        )
    return content


def start_from(work_dir: str, foreground: str | None, options: dict[str, Any]) -> Config:
    """Return the config of another run, changed to load its pretrained weights.

    Epochs and batch sizes are the original ones, before they were fitted to photos and minutes.

    Args:
        work_dir: of that run.
        foreground: one of ``FOREGROUNDS`` to replace that run's, or None.
        options: parsed ``--cfg-options``.

    Raises:
        LussError: if there is no such run, its pretraining is not complete, or an option changes
            its pretraining.
    """
    of_pretraining = [key for key in options if f"{key}.".startswith("stages.pretrain.")]
    if of_pretraining:
        raise LussError(
            f"the option {of_pretraining[0]}={options[of_pretraining[0]]!r} has no effect: --from "
            f"{work_dir} reuses the pretraining of that run; remove the option, or remove --from "
            "to pretrain again"
        )
    other = WorkDir(work_dir)
    config = other.config({**_from_plan(work_dir, "before_fitting"), **options})
    if not other.is_done("pretrain"):
        raise LussError(
            f"--from {work_dir}: the pretraining of that run is not complete; resume that run first"
        )
    checkpoint = required_checkpoint(other.stage("pretrain")).resolve()
    config.stages.pretrain["pretrained"] = str(checkpoint)
    if foreground is not None:
        # Embeddings and pseudo labels depend on the foreground.
        config.stages.label_generation = settings_for(foreground, options).stages.label_generation
    return config
