"""Base class of objectives (from features of views to named losses), and how they are built."""

from collections.abc import Iterable, Mapping

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
    the key ``""`` stands for a loss that is named as the objective.

    Attributes:
        num_views: number of first views that it reads; None for all.
        needs_codes: whether it reads ``views.assignment``, which an objective before it sets.
        gives_codes: whether it sets ``views.assignment``.
        needs_geometry: whether it reads ``views.geometry``.
    """

    num_views: int | None = None
    needs_codes = False
    gives_codes = False
    needs_geometry = False

    def channels(self, deepest: int) -> dict[int, int]:
        """Return the channels of the stages that it reads, as far as they are fixed.

        Args:
            deepest: the backbone's last stage.
        """
        return {}

    def set_backbone(self, backbone: nn.Module) -> None:
        """Receive the backbone that computes the features; called once after building.

        Objectives with a copy of the backbone create it here; by default nothing is done.
        """


def build_objectives(
    configs: Mapping[str, dict], stages: Mapping[int, StageInfo], backbone: nn.Module
) -> ModuleDict:
    """Build objectives, in order.

    Args:
        configs: name -> config; missing channels are set, others are checked.
        stages: of the backbone.
        backbone: computes the features.

    Raises:
        LussError: if one is not an :class:`Objective`, has an unknown setting, reads stages or
            channels that the backbone does not return, or needs codes that no objective before it
            provides.
    """
    have_codes = False
    for name, config in configs.items():
        kind = config.get("type")
        kind = MODELS.get(kind) if isinstance(kind, str) else kind
        if kind is None:
            continue  # MODELS.build raises a clear error below
        if not (isinstance(kind, type) and issubclass(kind, Objective)):
            raise LussError(
                f"objectives.{name} is a {kind.__name__}, expected an objective such as P2P; "
                "derive its class from luss.models.Objective"
            )
        if kind.needs_codes and not have_codes:
            raise LussError(
                f"objectives.{name} ({kind.__name__}) needs codes and prototypes, but no objective "
                "before it provides them; list a Clustering objective before it"
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
                    f"objectives.{name} expects {expected} channels of stage {stage}, but the "
                    f"backbone returns stages {describe_stages(stages)}; correct its settings"
                )
        objective.set_backbone(backbone)
    return objectives


def objective_losses(objectives: ModuleDict, views: ViewFeatures) -> dict[str, Tensor]:
    """Compute all losses, named ``loss_<objective>`` or ``loss_<objective>_<key>``."""
    return {
        f"loss_{name}_{key}" if key else f"loss_{name}": loss
        for name, objective in objectives.items()
        for key, loss in objective(views).items()
    }


def objective_of(loss_name: str, objectives: Iterable[str]) -> str | None:
    """Return the name of the objective of a loss, the longest that fits; None if none does."""
    fitting = [name for name in objectives if f"{loss_name}_".startswith(f"loss_{name}_")]
    return max(fitting, key=len, default=None)
