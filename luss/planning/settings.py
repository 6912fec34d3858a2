"""Choice of the config for a folder of photos."""

import copy
import importlib.util
from typing import Any, NamedTuple

from mmengine import Config
from mmengine.logging import print_log

from luss.configuration import read_config
from luss.engine.checkpoint import required_checkpoint
from luss.errors import LussError
from luss.pipeline.work_dir import WorkDir
from luss.planning.foregrounds import FOREGROUNDS, NEAREST_CENTROID, PRETRAINED, TUNED
from luss.planning.plan_file import PLAN, read_plan

__all__ = [
    "Backbone",
    "choose_backbone",
    "choose_foreground",
    "earlier_backbone",
    "earlier_options",
    "reject_arguments",
    "settings_for",
    "start_from",
]

_NEED_SKIMAGE = ("prior", "region-contrast")
_NEED_SKIMAGE_ON_FEATURES = ("region-contrast",)

_BOUNDARY_CENTRE = {
    "type": "ProductOfMaps",
    "sources": [{"type": "BoundaryPrior"}, {"type": "CentrePrior"}],
    "_delete_": True,
}
"""Foreground of ``--foreground boundary-centre``."""

_FOREGROUND = "stages.label_generation.test_cfg.foreground"

_ARGUMENTS = {
    "data_root": "the folder PHOTOS",
    "num_categories": "--categories",
    "seed": "--seed",
    "work_dir": "--work-dir",
}
"""Setting -> the argument of ``luss train`` that sets it."""


class Backbone(NamedTuple):
    """A pretrained backbone.

    Attributes:
        name: of a preset, see :func:`luss.models.backbones.presets.expand_preset`.
        weights: path of its file, or ``hub``.
        tuned: whether it is trained in fine-tuning.
    """

    name: str
    weights: str | None
    tuned: bool = False

    def options(self) -> dict[str, Any]:
        """Return the options that set this backbone in a config."""
        given = {"backbone.preset": self.name, "backbone.weights": self.weights}
        return {key: value for key, value in given.items() if value is not None}


def choose_backbone(name: str | None, weights: str | None, tune: bool = False) -> Backbone | None:
    """Return the backbone of ``--backbone``, ``--weights`` and ``--tune``; None without them.

    Raises:
        LussError: if ``--backbone`` is missing.
    """
    if name is None and weights is not None:
        raise LussError(
            f"--weights {weights} needs --backbone NAME; run luss backbones {weights} for the "
            "names that the file fits"
        )
    if name is None and tune:
        raise LussError(
            "--tune needs --backbone NAME and --weights FILE: it trains a pretrained backbone in "
            "fine-tuning; without one, the backbone is always trained"
        )
    return None if name is None else Backbone(name, weights, tune)


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


def choose_foreground(given: str | None, pretrained: bool = False) -> str:
    """Return the given foreground, or the best one that the installed packages can compute.

    Args:
        given: one of ``FOREGROUNDS``, or None.
        pretrained: whether it is for a pretrained backbone, whose prior has features in place of
            region contrast.

    Raises:
        LussError: if the given one needs scikit-image, which is not installed.
    """
    has_skimage = importlib.util.find_spec("skimage") is not None
    install = 'pip install "luss[foreground]"'
    needing = _NEED_SKIMAGE_ON_FEATURES if pretrained else _NEED_SKIMAGE
    if given in needing and not has_skimage:
        raise LussError(
            f"--foreground {given} needs scikit-image, which is not installed; run {install}, or "
            "use --foreground boundary-centre"
        )
    if given is not None:
        return given
    if "prior" not in needing or has_skimage:
        return "prior"
    print_log(
        "scikit-image is not installed, so --foreground is boundary-centre, which is less "
        f"accurate than prior; to use prior, run {install}",
        "current",
    )
    return "boundary-centre"


def settings_for(
    foreground: str | None,
    options: dict[str, Any],
    backbone: Backbone | None = None,
    finetune: bool = True,
) -> Config:
    """Return the config for photos with a foreground.

    Args:
        foreground: one of ``FOREGROUNDS``, see :func:`choose_foreground`.
        options: parsed ``--cfg-options``.
        backbone: a pretrained one; None trains a small ResNet.
        finetune: whether to train a segmentor; False segments by the nearest centroid.

    Raises:
        LussError: as :func:`read_config`, or if the backbone or its file is unknown, it has no such
            foreground, or there is none to segment without training.
    """
    # The user's options come last, so that they can change everything.
    if not finetune:
        return read_config(
            NEAREST_CENTROID, {**_without_finetuning(foreground, backbone), **options}
        )
    foreground = choose_foreground(foreground, backbone is not None)
    path, implied = FOREGROUNDS[foreground], {}
    if backbone is not None:
        path, implied = TUNED if backbone.tuned else PRETRAINED, backbone.options()
        if foreground == "attention":
            raise LussError(
                "--foreground is attention, which --backbone does not train; use prior, "
                "boundary-centre or region-contrast"
            )
        if foreground == "region-contrast":
            implied[_FOREGROUND] = {"type": "RegionContrast", "_delete_": True}
        if foreground != "prior":
            # That of the config is for maps of GrabCut.
            implied["threshold"] = {"type": "AutoThreshold", "_delete_": True}
    if foreground == "boundary-centre":
        implied[_FOREGROUND] = copy.deepcopy(_BOUNDARY_CENTRE)
    return read_config(path, {**implied, **options})


def _without_finetuning(foreground: str | None, backbone: Backbone | None) -> dict[str, Any]:
    """Return the options of a backbone with ``--no-finetune``.

    Raises:
        LussError: if there is none, or a foreground, which would have no effect.
    """
    if backbone is None:
        raise LussError(
            "--no-finetune needs a pretrained backbone; add --backbone NAME --weights FILE (luss "
            "backbones lists the names), or remove --no-finetune"
        )
    if foreground is not None:
        raise LussError(
            f"--foreground {foreground} has no effect with --no-finetune, which separates objects "
            "by the distance of their features to the photo's frame; remove one of them"
        )
    return backbone.options()


def earlier_options(work_dir: str) -> dict[str, Any]:
    """Return the options of a run and of the runs that it started from.

    Empty for a run of ``luss run``.

    Raises:
        LussError: if its plan is damaged.
    """
    return _from_plan(work_dir, "options")


def earlier_backbone(work_dir: str) -> Backbone | None:
    """Return the pretrained backbone of a run; None if it trains its own.

    Raises:
        LussError: if its plan is damaged.
    """
    path = WorkDir(work_dir).root / PLAN
    found = read_plan(path).get("backbone") if path.exists() else None
    if found is None:
        return None
    if not isinstance(found, dict) or found.keys() != set(Backbone._fields):
        raise LussError(
            f"--from {work_dir}: {path} is damaged: 'backbone' is not an object of "
            f"{', '.join(Backbone._fields)}; train without --from"
        )
    return Backbone(**found)


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


def start_from(
    work_dir: str, foreground: str | None, options: dict[str, Any], finetune: bool = True
) -> Config:
    """Return the config of another run, changed to load its pretrained weights.

    Epochs and batch sizes are the original ones, before they were fitted to photos and minutes.

    Args:
        work_dir: of that run.
        foreground: one of ``FOREGROUNDS`` to replace that run's, or None.
        options: parsed ``--cfg-options``.
        finetune: whether to train a segmentor; that run may have trained none, or the reverse.

    Raises:
        LussError: if there is no such run, its pretraining is not complete, or an option changes
            its pretraining; and as :func:`settings_for`.
    """
    of_pretraining = [key for key in options if f"{key}.".startswith("stages.pretrain.")]
    if of_pretraining:
        raise LussError(
            f"the option {of_pretraining[0]}={options[of_pretraining[0]]!r} has no effect: --from "
            f"{work_dir} reuses the pretraining of that run; remove the option, or remove --from "
            "to pretrain again"
        )
    other = WorkDir(work_dir)
    if finetune == _was_finetuned(work_dir):
        config = other.config({**_from_plan(work_dir, "before_fitting"), **options})
    else:
        config = _of_other_kind(work_dir, foreground, options, finetune)
    if not other.is_done("pretrain"):
        raise LussError(
            f"--from {work_dir}: the pretraining of that run is not complete; resume that run first"
        )
    checkpoint = required_checkpoint(other.stage("pretrain")).resolve()
    config.stages.pretrain["pretrained"] = str(checkpoint)
    if foreground is not None:
        # Embeddings and pseudo labels depend on the foreground.
        config.stages.label_generation = settings_for(
            foreground, options, earlier_backbone(work_dir), finetune
        ).stages.label_generation
    return config


def _was_finetuned(work_dir: str) -> bool:
    """Return whether a run trains a segmentor."""
    path = WorkDir(work_dir).root / PLAN
    return not path.exists() or bool(read_plan(path)["asked"].get("finetune", True))


def _of_other_kind(
    work_dir: str, foreground: str | None, options: dict[str, Any], finetune: bool
) -> Config:
    """Return the config for the backbone of another run, with its options for stages that exist."""
    backbone = earlier_backbone(work_dir)
    known = settings_for(foreground, {}, backbone, finetune).stages
    kept = {
        key: value
        for key, value in earlier_options(work_dir).items()
        if not key.startswith("stages.") or key.split(".")[1] in known
    }
    return settings_for(foreground, {**kept, **options}, backbone, finetune)
