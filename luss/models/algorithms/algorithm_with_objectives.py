"""Any self-supervised algorithm as L_e of equation 5, with objectives on its features."""

from collections.abc import Mapping
from functools import cache
from itertools import groupby

import torch
from mmengine.dist import get_world_size
from mmengine.model import BaseModel, ModuleDict
from torch import Tensor, nn

from luss.errors import LussError, nearest
from luss.models.algorithms.feature_tap import (
    FeatureTap,
    last_output_only,
    rows_of_views,
)
from luss.models.backbones import StageInfo, name_stages, probe
from luss.models.objectives.objective import (
    build_objectives,
    objective_losses,
    objective_of,
)
from luss.models.pretrainers.pass_pretrainer import weighted_total
from luss.models.unknown_arguments import arguments_of, class_of, clear_argument_errors
from luss.registry import MODELS
from luss.structures import ViewFeatures, ViewGeometry

__all__ = ["ObjectivesMixin", "build_algorithm"]


class ObjectivesMixin(BaseModel):
    """Mixin that adds objectives to an algorithm, on the features that the algorithm computes.

    The algorithm's parts, buffers and attributes keep their names, so that hooks find them, and
    its own code computes its own loss. Meanwhile a tap on the backbone records the stage features
    of each view. Views that objectives read but the algorithm does not (the second view of MoCo,
    small crops) go through the backbone after its loss, one batch per resolution.
    """

    backbone: nn.Module
    objectives: ModuleDict
    stages: tuple[int, ...]
    loss_weights: dict[str, float]
    num_views: int | None
    tap: FeatureTap

    def forward(
        self,
        inputs: list[Tensor],
        data_samples: list | None = None,
        mode: str = "tensor",
        geometry: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Run the algorithm; add the losses of the objectives to its own.

        Args:
            inputs: V tensors (N, 3, H, W) float.
            data_samples: see the algorithm.
            mode: see the algorithm; ``loss`` for training.
            geometry: (N, V, 7) float, one row per view, see
                :meth:`luss.structures.ViewGeometry.unpack`.

        Raises:
            LussError: if an objective needs the geometry and there is none, two losses have one
                name, or the queue length is not a multiple of the batch size.
        """
        own_inputs = inputs[: self.num_views]
        if mode == "loss":
            self._check_queue(len(inputs[0]) * get_world_size())
        if mode != "loss" or not self.objectives:
            return super().forward(own_inputs, data_samples, mode=mode)
        with self.tap.recording() as calls:
            own_losses = super().forward(own_inputs, data_samples, mode=mode)
            views = self._view_features(calls, inputs, geometry)
        for name in own_losses:
            if objective := objective_of(name, self.objectives):
                raise LussError(
                    f"{name!r} is a loss of both {self._algorithm} and objectives.{objective}; "
                    "give the objective another name"
                )
        return {**own_losses, **objective_losses(self.objectives, views)}

    def _check_queue(self, global_batch: int) -> None:
        # MoCo and DenseCL assert this without a message.
        length = getattr(self, "queue_len", 0)
        if length % global_batch:
            raise LussError(
                f"{self._algorithm} has queue_len={length}, expected a multiple of {global_batch}, "
                "the batch size over all processes; change queue_len or the batch size, and set "
                "drop_last=True in the dataloader"
            )

    def _view_features(
        self, calls: list, inputs: list[Tensor], geometry: Tensor | None
    ) -> ViewFeatures:
        objectives = dict(self.objectives.items())
        if geometry is None:
            for name, objective in objectives.items():
                if objective.needs_geometry:
                    raise LussError(
                        f"objectives.{name} needs the position of each view in its photo; end the "
                        "data set's pipeline with MultiCrop and PackViews"
                    )
        read = [objective.num_views or len(inputs) for objective in objectives.values()]
        needed = range(min(max(read), len(inputs)))
        maps = {
            view: [output[rows] for output in outputs]
            for images, outputs in reversed(calls)
            for view, rows in rows_of_views(images, inputs).items()
        }
        missing = [view for view in needed if view not in maps]
        for _, views in groupby(missing, key=lambda view: inputs[view].shape[-2:]):
            group = list(views)
            self.backbone(torch.cat([inputs[view] for view in group]))
            parts = zip(*(output.chunk(len(group)) for output in calls[-1][1]), strict=True)
            maps |= {view: list(outputs) for view, outputs in zip(group, parts, strict=True)}
        groups = [
            {
                stage: torch.cat(outputs)
                for stage, *outputs in zip(self.stages, *(maps[v] for v in group), strict=True)
            }
            for _, group in groupby(needed, key=lambda view: inputs[view].shape[-2:])
        ]
        positions = [] if geometry is None else ViewGeometry.unpack_views(geometry)
        return ViewFeatures(groups, len(inputs[0]), positions, images=inputs)

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Add the weighted losses of the objectives to the algorithm's total.

        The algorithm's loss ``loss`` is logged as ``loss_algorithm``, since ``loss`` is the total.
        """
        ours = {k: value for k, value in losses.items() if objective_of(k, self.objectives)}
        own = {key: value for key, value in losses.items() if key not in ours}
        total, logged = super().parse_losses(own)
        if not ours:
            return total, logged
        added, our_logs = weighted_total(ours, self.loss_weights, self.objectives)
        plain = {"loss": "loss_algorithm"}
        own_logs = {plain.get(key, key): logged[key] for key in own}
        return total + added, {**our_logs, **own_logs, "loss": total + added}

    @property
    def _algorithm(self) -> str:
        return type(self).__bases__[1].__name__

    def add_objectives(
        self,
        objectives: dict[str, dict],
        stages: tuple[int, ...],
        loss_weights: dict[str, float],
        num_views: int | None,
    ) -> None:
        """Build objectives and check that they fit the backbone; see :func:`build_algorithm`."""
        self.stages = stages
        self.num_views = num_views
        self.loss_weights = loss_weights
        self.objectives = ModuleDict()
        if objectives:
            self.tap = FeatureTap(self.backbone)
            self.objectives = build_objectives(objectives, self._probe(), self.backbone)
        for name in loss_weights:
            if objective_of(name, self.objectives) is None:
                raise LussError(
                    f"loss_weights contains {name!r}, but the objectives are "
                    f"{list(self.objectives)}, whose losses are loss_<objective>; the algorithm's "
                    "own loss has weight 1"
                )

    def _probe(self) -> dict[int, StageInfo]:
        """Return channels and stride of the backbone's stages.

        Raises:
            LussError: if it needs more than images (such as masks), or returns no feature maps of
                complete images.
        """
        try:
            found = probe(self.backbone, run=self.tap.maps)
            return name_stages(self.stages, found, self.backbone)
        except LussError as error:
            raise LussError(
                f"{self._algorithm}: {error}. Objectives read a feature map (N, C, H, W) of the "
                "complete image for each stage; remove the objectives, or choose another algorithm "
                "or backbone"
            ) from error


@cache
def _with_objectives(algorithm: type[BaseModel]) -> type[BaseModel]:
    return type(f"{algorithm.__name__}WithObjectives", (ObjectivesMixin, algorithm), {})


def _build_backbone(config: dict) -> nn.Module:
    with clear_argument_errors(config, "backbone"):
        return MODELS.build({"_scope_": MODELS.scope, **config})


def _filled_neck(config: dict, backbone: nn.Module, scope: str | None) -> dict:
    """Set ``in_channels`` of an algorithm's neck, or its first neck, to the backbone's."""
    necks = config.get("neck")
    several = list(necks) if isinstance(necks, list | tuple) else [necks]
    neck = several[0] if several else None
    if not isinstance(neck, Mapping) or "in_channels" in neck:
        return config
    kind = class_of(neck, scope)
    if kind is None or "in_channels" not in arguments_of(kind):
        return config
    try:
        width = probe(backbone)[-1].channels
    except LussError:
        # Backbones of masked images return no maps; building the neck then raises a clear error.
        return config
    neck = {**neck, "in_channels": width}
    return {**config, "neck": neck if isinstance(necks, Mapping) else [neck, *several[1:]]}


@MODELS.register_module(name="AlgorithmWithObjectives")
def build_algorithm(
    algorithm: dict,
    backbone: dict,
    objectives: dict[str, dict] | None = None,
    stages: tuple[int, ...] = (4,),
    loss_weights: dict[str, float] | None = None,
    num_views: int | None = None,
    data_preprocessor: dict | None = None,
    **unknown: object,
) -> BaseModel:
    """Build an algorithm, such as one of mmselfsup, that trains with additional objectives.

    The result is an instance of a subclass of the algorithm's class. Algorithms that pass one view
    at a time through the backbone (SimSiam, BYOL, MoCo ...) have batch statistics per view; so do
    the objectives.

    Args:
        algorithm: config of the algorithm without backbone and data preprocessor, such as
            ``dict(type='mmselfsup.DenseCL', neck=..., head=...)``. Types in it are looked up in
            the library of its own type, so that configs of that library can be copied. A missing
            ``in_channels`` of its neck is set to the backbone's channels.
        backbone: config of a backbone. The algorithm, and momentum copies of the backbone, only
            see the last of several outputs, as most necks require.
        objectives: name -> config, in order, see :class:`luss.models.Objective`; none by default.
        stages: stage number (1 to 4) of each output of the backbone, from shallow to deep.
        loss_weights: weight by loss name of the objectives, by default 1. The algorithm's own loss
            has weight 1.
        num_views: number of views passed to the algorithm, such as 2 if only the objectives use
            the small crops; None for all.
        data_preprocessor: by default :class:`luss.models.ViewPreprocessor`.
        **unknown: rejected.

    Raises:
        LussError: if a setting is unknown, here or in the algorithm, or if objectives do not fit
            the backbone, which is checked with one image: it must return feature maps of complete
            images (MAE's returns those of a masked image), one for each stage, with the channels
            that the objectives expect.
    """
    known = [name for name in arguments_of(build_algorithm) if name != "unknown"]
    for name in unknown:
        raise LussError(
            f"AlgorithmWithObjectives has no setting {name!r}{nearest(name, known)} Known are: "
            f"{', '.join(known)}; put settings of the algorithm itself into 'algorithm'"
        )
    stages = tuple(stages)
    if not stages or list(stages) != sorted(set(stages)):
        raise LussError(f"stages is {stages}, expected stages in increasing order, such as (3, 4)")
    for key in ("backbone", "data_preprocessor"):
        if key in algorithm:
            raise LussError(f"algorithm.{key} is not accepted; move {key!r} out of 'algorithm'")
    preprocessor = MODELS.build(data_preprocessor or {"type": "ViewPreprocessor"})
    settings = dict(algorithm)
    kind = settings.pop("type", None)
    found = MODELS.get(kind) if isinstance(kind, str) else kind
    if found is None:
        raise LussError(
            f"algorithm: unknown model {kind!r}; write models of mmselfsup with their scope, such "
            "as mmselfsup.DenseCL"
        )
    scope = kind.partition(".")[0] if isinstance(kind, str) and "." in kind else None
    # Algorithms build the backbone first; the same order draws the same weights from a seed.
    built = _build_backbone(backbone)
    settings = _filled_neck(settings, built, scope)
    if len(stages) > 1:
        built.register_forward_hook(last_output_only)
    with clear_argument_errors({"type": found, **settings}, "algorithm", scope):
        model = MODELS.build(
            {
                "type": _with_objectives(found),
                "_scope_": scope,
                # MMEngine's libraries only build parts from configs, whose type may be a function.
                "backbone": {"type": lambda: built},
                "data_preprocessor": {"type": lambda: preprocessor},
                **settings,
            }
        )
    model.add_objectives(objectives or {}, stages, dict(loss_weights or {}), num_views)
    return model
