"""What objectives share: features of views in, named losses out, and needs that are declared."""

from collections.abc import Mapping

from mmengine.model import BaseModule, ModuleDict
from torch import Tensor, nn

from luss.errors import LussError
from luss.models.backbones.probing import StageInfo, describe_stages
from luss.models.backbones.widths import fill_widths
from luss.models.unknown_arguments import clear_argument_errors
from luss.registry import MODELS
from luss.structures import ViewFeatures

__all__ = ["Objective", "build_objectives", "objective_losses", "objective_of"]


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

    def set_backbone(self, backbone: nn.Module) -> None:
        """Called once, with the backbone that computes the features, when all is built.

        Those that have a copy of it make it here; by default it is not looked at.
        """


def build_objectives(
    configs: Mapping[str, dict], stages: Mapping[int, StageInfo], backbone: nn.Module
) -> ModuleDict:
    """Build objectives, in order.

    Args:
        configs: name -> config; widths are filled in, or compared.
        stages: of the backbone.
        backbone: that computes the features.

    Raises:
        LussError: if one is no :class:`Objective`, has an unknown setting, reads other stages or
            widths than the backbone gives, or needs codes that none before it gives.
    """
    have_codes = False
    for name, config in configs.items():
        kind = config.get("type")
        kind = MODELS.get(kind) if isinstance(kind, str) else kind
        if kind is None:
            continue  # building it says what there is
        if not (isinstance(kind, type) and issubclass(kind, Objective)):
            raise LussError(
                f"objectives.{name} is a {kind.__name__}, expected an objective such as P2P; "
                "derive its class from luss.models.Objective"
            )
        if kind.needs_codes and not have_codes:
            raise LussError(
                f"objectives.{name} ({kind.__name__}) needs codes and prototypes, and no objective "
                "before it gives any; list a Clustering objective before it"
            )
        have_codes |= kind.gives_codes
    objectives = ModuleDict()
    for name, config in configs.items():
        with clear_argument_errors(config, f"objectives.{name}"):
            objectives[name] = MODELS.build(fill_widths(config, stages, f"objectives.{name}"))
    for name, objective in objectives.items():
        for stage, expected in objective.channels(max(stages)).items():
            if stage not in stages or stages[stage].channels != expected:
                raise LussError(
                    f"objectives.{name} expects {expected} channels of stage {stage}, the "
                    f"backbone gives stages {describe_stages(stages)}; correct its settings"
                )
        objective.set_backbone(backbone)
    return objectives


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
