"""Any self-supervised algorithm as L_e of equation 5, with objectives on its own features."""

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


class ObjectivesMixin:
    """What an algorithm's class gains: objectives on the features that the algorithm computes.

    The model is the algorithm: its parts, buffers and attributes keep their names, so that hooks
    find them, and its own loss is computed by its own code. A tap on the backbone keeps the stage
    features of each view meanwhile. Views that objectives read and the algorithm leaves out (the
    second one of MoCo, small crops) go through the backbone after its loss, those of one
    resolution together.
    """

    objectives: nn.ModuleDict
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
        """As the algorithm's; losses are joined by those of the objectives.

        Args:
            inputs: V tensors (N, 3, H, W) float.
            data_samples: as the algorithm expects them.
            mode: as the algorithm has it; ``loss`` for training.
            geometry: (N, V, 7) float, a row for each view as
                :meth:`luss.structures.ViewGeometry.unpack` reads it.

        Raises:
            LussError: if an objective needs the geometry and there is none, two losses have one
                name, or batches do not fill a queue evenly.
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
                    f"{name!r} is a loss of {self._algorithm} itself and of objectives."
                    f"{objective}; give the objective another name"
                )
        return {**own_losses, **objective_losses(self.objectives, views)}

    def _check_queue(self, global_batch: int) -> None:
        # MoCo and DenseCL assert it without a word.
        length = getattr(self, "queue_len", 0)
        if length % global_batch:
            raise LussError(
                f"{self._algorithm} has queue_len={length}, which is no multiple of the batch of "
                f"{global_batch} over all processes; set it to one, and drop_last in the dataloader"
            )

    def _view_features(
        self, calls: list, inputs: list[Tensor], geometry: Tensor | None
    ) -> ViewFeatures:
        if geometry is None:
            for name, objective in self.objectives.items():
                if objective.needs_geometry:
                    raise LussError(
                        f"objectives.{name} needs to know where each view lies in its photo; end "
                        "the data set's pipeline with MultiCrop and PackViews"
                    )
        read = [objective.num_views for objective in self.objectives.values()]
        needed = range(len(inputs) if None in read else min(max(read), len(inputs)))
        maps = {
            view: [output[rows] for output in outputs]
            for images, outputs in reversed(calls)
            for view, rows in rows_of_views(images, inputs).items()
        }
        left_out = [view for view in needed if view not in maps]
        for _, group in groupby(left_out, key=lambda view: inputs[view].shape[-2:]):
            group = list(group)
            self.backbone(torch.cat([inputs[view] for view in group]))
            parts = zip(*(output.chunk(len(group)) for output in calls[-1][1]), strict=True)
            maps |= zip(group, parts, strict=True)
        groups = [
            {
                stage: torch.cat(outputs)
                for stage, *outputs in zip(self.stages, *(maps[v] for v in group), strict=True)
            }
            for _, group in groupby(needed, key=lambda view: inputs[view].shape[-2:])
        ]
        packed = [] if geometry is None else geometry.unbind(dim=1)
        geometry = [ViewGeometry.unpack(view) for view in packed]
        return ViewFeatures(groups, len(inputs[0]), geometry, images=inputs)

    def parse_losses(self, losses: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Add the weighted objectives to the algorithm's own total.

        An own loss of the plain name ``loss`` is logged as ``loss_algorithm`` beside the
        objectives, since ``loss`` is the total.
        """
        ours = {k: value for k, value in losses.items() if objective_of(k, self.objectives)}
        own = {key: value for key, value in losses.items() if key not in ours}
        total, logged = super().parse_losses(own)
        if not ours:
            return total, logged
        added, our_logs = weighted_total(ours, self.loss_weights)
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
                    f"loss_weights names {name!r}, but the objectives are "
                    f"{list(self.objectives)}, whose losses are loss_<objective>; the algorithm's "
                    "own loss has weight 1"
                )

    def _probe(self) -> dict[int, StageInfo]:
        """What the backbone gives at each stage.

        Raises:
            LussError: if it needs more than images (such as masks), or gives no maps of whole ones.
        """
        try:
            found = probe(self.backbone, run=self.tap.maps)
            return name_stages(self.stages, found, self.backbone)
        except LussError as error:
            raise LussError(
                f"{self._algorithm}: {error}. Objectives read a feature map (N, C, H, W) of whole "
                "images for each stage; leave them out, or choose another algorithm or backbone"
            ) from error


@cache
def _with_objectives(algorithm: type[BaseModel]) -> type[BaseModel]:
    return type(f"{algorithm.__name__}WithObjectives", (ObjectivesMixin, algorithm), {})


def _build_backbone(config: dict) -> nn.Module:
    with clear_argument_errors(config, "backbone"):
        return MODELS.build({"_scope_": MODELS.scope, **config})


def _filled_neck(config: dict, backbone: nn.Module, scope: str | None) -> dict:
    """An algorithm's config whose neck, or first of its necks, has the backbone's channels."""
    necks = config.get("neck")
    neck = necks[0] if isinstance(necks, list | tuple) and necks else necks
    if not isinstance(neck, Mapping) or "in_channels" in neck:
        return config
    kind = class_of(neck, scope)
    if kind is None or "in_channels" not in arguments_of(kind):
        return config
    try:
        width = probe(backbone)[-1].channels
    except LussError:
        # Of masked images there are no maps; the neck says what it lacks.
        return config
    neck = {**neck, "in_channels": width}
    return {**config, "neck": neck if isinstance(necks, Mapping) else [neck, *necks[1:]]}


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
    """Build an algorithm, of mmselfsup for instance, that trains with objectives on top.

    The result is an instance of the algorithm's own class (a subclass of it), which is run as it
    is. With one view a call (SimSiam, BYOL, MoCo ...) objectives see batch statistics of each view
    alone, as the algorithm does.

    Args:
        algorithm: config of the algorithm without backbone and data preprocessor, such as
            ``dict(type='mmselfsup.DenseCL', neck=..., head=...)``. Types in it are looked up in
            the library that its own type names, so that such a library's configs can be copied.
            ``in_channels`` of its neck are those of the backbone, and may be left out.
        backbone: config of a backbone. Of several outputs the algorithm, and momentum copies of
            the backbone, see the last one alone, as most necks must.
        objectives: name -> config, in order, see :class:`luss.models.Objective`; none by default.
        stages: which stage (1 to 4) each output of the backbone is, from shallow to deep.
        loss_weights: weight by loss name of objectives; 1 where absent. The algorithm's own loss
            is taken as it is.
        num_views: how many of the first views the algorithm is given, such as 2 where small
            crops are for the objectives alone; None for all.
        data_preprocessor: by default :class:`luss.models.ViewPreprocessor`.
        **unknown: refused.

    Raises:
        LussError: if a setting is unknown, here or in the algorithm, or if objectives do not fit
            the backbone, which is tried by one image: it must give feature maps of whole images
            (not MAE's, which sees a masked image), one for each stage, of the channels that the
            objectives expect.
    """
    known = [name for name in arguments_of(build_algorithm) if name != "unknown"]
    for name in unknown:
        raise LussError(
            f"AlgorithmWithObjectives has no setting {name!r}{nearest(name, known)} Known are: "
            f"{', '.join(known)}; those of the algorithm itself belong into 'algorithm'"
        )
    stages = tuple(stages)
    if not stages or list(stages) != sorted(set(stages)):
        raise LussError(f"stages is {stages}, expected stages in increasing order, such as (3, 4)")
    for key in ("backbone", "data_preprocessor"):
        if key in algorithm:
            raise LussError(f"move {key!r} out of 'algorithm' and beside it")
    preprocessor = MODELS.build(data_preprocessor or {"type": "ViewPreprocessor"})
    settings = dict(algorithm)
    kind = settings.pop("type", None)
    found = MODELS.get(kind) if isinstance(kind, str) else kind
    if found is None:
        raise LussError(
            f"algorithm: there is no model {kind!r}; those of mmselfsup are named with their "
            "scope, such as mmselfsup.DenseCL"
        )
    scope = kind.partition(".")[0] if isinstance(kind, str) and "." in kind else None
    # Built first, as algorithms do it, so that the same seed draws the same weights.
    built = _build_backbone(backbone)
    settings = _filled_neck(settings, built, scope)
    if len(stages) > 1:
        built.register_forward_hook(last_output_only)
    with clear_argument_errors({"type": found, **settings}, "algorithm", scope):
        model = MODELS.build(
            {
                "type": _with_objectives(found),
                "_scope_": scope,
                # MMEngine's libraries build parts from configs alone; a type may be any function.
                "backbone": {"type": lambda: built},
                "data_preprocessor": {"type": lambda: preprocessor},
                **settings,
            }
        )
    model.add_objectives(objectives or {}, stages, dict(loss_weights or {}), num_views)
    return model
