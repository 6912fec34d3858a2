"""What objectives share: features of views in, named losses out, and needs that are declared."""

from collections.abc import Mapping

from mmengine.model import BaseModule, ModuleDict
from torch import Tensor

from luss.errors import LussError
from luss.registry import MODELS
from luss.structures import ViewFeatures

__all__ = ["Objective", "build_objectives", "check_channels", "objective_losses", "objective_of"]


class Objective(BaseModule):
    """A loss on the stage features of views.

    ``forward(views)`` takes :class:`luss.structures.ViewFeatures` and returns a dict of scalars;
    the key ``""`` stands for a loss that needs no name beside the objective's.

    Attributes:
        num_views: how many of the first views it reads; None for all.
        needs_codes: whether it reads ``views.assignment``, which an objective before it sets.
        gives_codes: whether it sets ``views.assignment``.
        needs_geometry: whether it reads ``views.geometry``.
    """

    num_views: int | None = None
    needs_codes = False
    gives_codes = False
    needs_geometry = False

    def channels(self, deepest: int) -> dict[int, int]:
        """Stage -> channels of the feature maps that it reads, where it knows.

        Args:
            deepest: the backbone's last stage.
        """
        return {}


def build_objectives(configs: Mapping[str, dict]) -> ModuleDict:
    """Build objectives, in order.

    Args:
        configs: name -> config.

    Raises:
        LussError: if one is no :class:`Objective`, or needs codes that none before it gives.
    """
    objectives = ModuleDict({name: MODELS.build(config) for name, config in configs.items()})
    have_codes = False
    for name, objective in objectives.items():
        if not isinstance(objective, Objective):
            raise LussError(
                f"objectives.{name} is a {type(objective).__name__}, expected an objective such "
                "as P2P; derive its class from luss.models.Objective"
            )
        if objective.needs_codes and not have_codes:
            raise LussError(
                f"objectives.{name} ({type(objective).__name__}) needs codes and prototypes, and "
                "no objective before it gives any; list a Clustering objective before it"
            )
        have_codes |= objective.gives_codes
    return objectives


def check_channels(objectives: ModuleDict, channels: dict[int, int], where: str) -> None:
    """Refuse objectives that do not fit the feature maps.

    Args:
        objectives: as :func:`build_objectives` gave them.
        channels: stage -> channels of the backbone's feature map.
        where: which backbone, for messages.

    Raises:
        LussError: if one reads a stage that is not given, or expects other channels.
    """
    for name, objective in objectives.items():
        for stage, expected in objective.channels(max(channels)).items():
            if stage not in channels:
                raise LussError(
                    f"objectives.{name} reads stage {stage}, but {where} gives stages "
                    f"{sorted(channels)}; add it to stages and to the backbone's out_indices"
                )
            if expected != channels[stage]:
                raise LussError(
                    f"objectives.{name} expects {expected} channels of stage {stage}, {where} "
                    f"gives {channels[stage]}; correct its in_channels"
                )


def objective_losses(objectives: ModuleDict, views: ViewFeatures) -> dict[str, Tensor]:
    """Losses of all objectives, named ``loss_<objective>`` or ``loss_<objective>_<key>``."""
    return {
        f"loss_{name}_{key}" if key else f"loss_{name}": loss
        for name, objective in objectives.items()
        for key, loss in objective(views).items()
    }


def objective_of(loss_name: str, objectives: ModuleDict) -> str | None:
    """Name of the objective that a loss belongs to; None if it belongs to none of them."""
    return next(
        (
            name
            for name in objectives
            if loss_name == f"loss_{name}" or loss_name.startswith(f"loss_{name}_")
        ),
        None,
    )
