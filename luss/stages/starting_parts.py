"""Parts of a model that start from what other stages trained."""

from collections.abc import Iterable, Mapping
from functools import cached_property

import torch
from torch import nn

from luss.engine.checkpoint import is_below, latest_checkpoint, load, required_checkpoint
from luss.errors import LussError
from luss.pipeline.context import Context
from luss.pipeline.stage import Stage
from luss.registry import STAGES

__all__ = ["StartingParts", "refuse_other_tensors"]

Shapes = dict[str, torch.Size]


class StartingParts:
    """``init_from`` of a stage.

    Args:
        init_from: stage name -> parts, names of modules that its model and this one have.
        context: of the run.
    """

    def __init__(self, init_from: Mapping[str, list[str]], context: Context) -> None:
        self.init_from = init_from
        self.context = context

    @cached_property
    def absent(self) -> dict[str, list[str]]:
        """The parts that are not there, by stages that took their weights from a file."""
        found = {}
        for name, parts in self.init_from.items():
            source = self._source(name)
            if source is not None and source.takes_weights(self.context):
                state = self._state(name)
                found[name] = [p for p in parts if not any(is_below(key, p) for key in state)]
        return found

    @property
    def present(self) -> dict[str, list[str]]:
        """The other parts."""
        return {
            name: [part for part in parts if part not in self.absent.get(name, ())]
            for name, parts in self.init_from.items()
        }

    def checkpoints(self) -> list[dict]:
        """``init_from`` of the runner: checkpoints of the stages, and the parts to copy."""
        return [
            {"checkpoint": str(self.context.checkpoint_of(n)), "parts": parts}
            for n, parts in self.present.items()
            if parts
        ]

    def refuse_other_tensors(self, model: nn.Module, where: str) -> None:
        """Compare the parts with those of the stages that they come from, by name and shape.

        Raises:
            LussError: as :func:`refuse_other_tensors`.
        """
        own = {name: value.shape for name, value in model.state_dict().items()}
        for stage, parts in self.present.items():
            state = self._state(stage)
            for part in parts if state else ():
                refuse_other_tensors(
                    {name: shape for name, shape in state.items() if is_below(name, part)},
                    {name: shape for name, shape in own.items() if is_below(name, part)},
                    f"{part!r} of {where}",
                    f"that of stages.{stage}",
                )

    def _source(self, name: str) -> Stage | None:
        config = self.context.config["stages"].get(name)
        return STAGES.build({**config, "name": name}) if config is not None else None

    def _state(self, name: str) -> Shapes:
        """Names and shapes in the checkpoint of another stage, there or to come."""
        folder, source = self.context.work_dir.stage(name), self._source(name)
        if latest_checkpoint(folder) is not None and self.context.work_dir.is_done(name):
            state = load(required_checkpoint(folder)).get("state_dict", {})
        else:
            state = source.output_state(self.context) if source is not None else {}
        return {key.removeprefix("module."): value.shape for key, value in state.items()}


def refuse_other_tensors(
    source: Mapping[str, torch.Size], target: Mapping[str, torch.Size], what: str, origin: str
) -> None:
    """Compare two states by name and shape.

    Args:
        source: shapes by name where the weights come from.
        target: shapes by name where they go.
        what: is to be filled, for the message.
        origin: of the weights, for the message.

    Raises:
        LussError: if a name is on one side alone, or a shape differs.
    """
    if not source or source.keys() != target.keys():
        raise LussError(
            f"{what} cannot start from {origin}: only there: "
            f"{_first(source.keys() - target.keys())}; only here: "
            f"{_first(target.keys() - source.keys())}; both configs must describe the same "
            "modules (ConvNeXt and Swin have norms for each of their out_indices: give all stages "
            "the same ones)"
        )
    for name in sorted(source):
        if source[name] != target[name]:
            raise LussError(
                f"{what} cannot start from {origin}: {name} has shape {tuple(source[name])} there "
                f"and {tuple(target[name])} here; both configs must have the same widths"
            )


def _first(names: Iterable[str]) -> str:
    names = sorted(names)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more or "none"
