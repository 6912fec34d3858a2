"""Parts of a model that start from what other stages trained."""

import re
from collections.abc import Iterable, Mapping
from functools import cached_property

import torch
from torch import nn

from luss.engine.checkpoint import in_module, latest_checkpoint, load, required_checkpoint
from luss.errors import LussError
from luss.pipeline.context import Context
from luss.pipeline.resolving import resolved_stage, stages_of
from luss.pipeline.stage import Stage

__all__ = ["StartingParts"]

Shapes = dict[str, torch.Size]


class StartingParts:
    """``init`` of a stage, sorted by where the weights come from.

    Args:
        stage: that trains.
        init: part -> checkpoint that it starts from: a reference, or a path. A part is a module
            that the model of the checkpoint and the stage's own model have.
        context: of the run.
    """

    def __init__(self, stage: Stage, init: Mapping[str, str], context: Context) -> None:
        self.context = context
        self.parts_of: dict[str, list[str]] = {}
        self.files: dict[str, str] = {}
        self._resolved: dict[str, Stage] = {}
        referred = {each.where: each.stage for each in stage.references}
        for part, checkpoint in init.items():
            source = referred.get(f"stages.{stage.name}.init.{part}")
            if source is None:
                self.files[part] = checkpoint
            else:
                self.parts_of.setdefault(source, []).append(part)

    @cached_property
    def absent(self) -> dict[str, list[str]]:
        """The parts that are missing, by stage; they start from random weights.

        A stage that took its weights from a file may lack any part. One that trains may lack an
        objective, since L_e of equation 5 need not be a clustering loss.

        Raises:
            LussError: if a stage that trains has the parts of an objective under another name.
        """
        found = {}
        for name, parts in self.parts_of.items():
            source = self._source(name)
            if source is None:
                continue
            if source.is_pretrained:
                state = self._state(name)
                found[name] = [part for part in parts if not _below(state, part)]
            else:
                found[name] = self._of_missing_objectives(name, parts)
        return found

    def why_absent(self, stage: str) -> str:
        """Return why a stage lacks parts."""
        source = self._source(stage)
        if source is not None and source.is_pretrained:
            return f"the weights that stage {stage} took from a file have none of it"
        return f"stage {stage} trains no such objective"

    def _of_missing_objectives(self, stage: str, parts: list[str]) -> list[str]:
        model = self.context.config["stages"][stage].get("model") or {}
        stated = {f"objectives.{name}" for name in model.get("objectives") or ()}
        asked = {part: objective for part in parts if (objective := _objective(part))}
        if stated.issuperset(asked.values()):
            return []
        state = self._state(stage)
        missing = [part for part, name in asked.items() if state and not _below(state, name)]
        for name in {asked[part] for part in missing}:
            tails = [part.removeprefix(name) for part in missing if asked[part] == name]
            others = {objective for key in state if (objective := _objective(key))}
            for other in sorted(others):
                if len(tails) > 1 and all(_below(state, other + tail) for tail in tails):
                    raise LussError(
                        f"init names {name}, but stages.{stage} trains such an objective as "
                        f"{other}; call it {name.split('.')[1]!r} there"
                    )
        return missing

    @property
    def present(self) -> list[str]:
        """The other parts."""
        found = (
            part
            for name, parts in self.parts_of.items()
            for part in parts
            if part not in self.absent.get(name, ())
        )
        return [*found, *self.files]

    def checkpoints(self) -> dict[str, str]:
        """Return part -> path of the checkpoint that it starts from, of the parts that exist."""
        found: dict[str, str] = {}
        for name, parts in self.parts_of.items():
            present = [part for part in parts if part not in self.absent.get(name, ())]
            if present:
                found |= dict.fromkeys(present, str(self.context.checkpoint_of(name)))
        return found | self.files

    def require_equal_tensors(self, model: nn.Module, where: str) -> None:
        """Compare the parts with those of the stages that they come from, by name and shape.

        Raises:
            LussError: if a part, a name in it, or a shape differs.
        """
        own = {name: value.shape for name, value in model.state_dict().items()}
        for stage, parts in self.parts_of.items():
            state = self._state(stage)
            for part in parts if state else ():
                here = _below(own, part)
                if not here:
                    raise LussError(
                        f"{where}.init names {part!r}, but its model has no such part; it "
                        f"has {_parts(own)}"
                    )
                if part not in self.absent.get(stage, ()):
                    _require_equal_tensors(_below(state, part), here, part, where, stage, state)

    def _source(self, name: str) -> Stage | None:
        stages = stages_of(self.context)
        if name in stages and name not in self._resolved:
            self._resolved[name] = resolved_stage(stages[name], self.context)
        return self._resolved.get(name)

    def _state(self, name: str) -> Shapes:
        """Names and shapes in the checkpoint of another stage, there or to come."""
        folder, source = self.context.work_dir.stage(name), self._source(name)
        if latest_checkpoint(folder) is not None and self.context.work_dir.is_done(name):
            state = load(required_checkpoint(folder)).get("state_dict", {})
        else:
            state = source.output_state(self.context) if source is not None else {}
        return {key.removeprefix("module."): value.shape for key, value in state.items()}


def _require_equal_tensors(
    source: Shapes, target: Shapes, part: str, where: str, stage: str, state: Shapes
) -> None:
    what = f"{part!r} of {where} cannot start from that of stages.{stage}"
    if not source:
        raise LussError(
            f"{what}: the model there has no such part, only {_parts(state)}; take it out of "
            f"{where}.init"
        )
    if source.keys() != target.keys():
        only_there, only_here = source.keys() - target.keys(), target.keys() - source.keys()
        # Swin and ConvNeXt have a norm for each of their out_indices.
        norms = all(re.search(r"\bnorm\d", name) for name in only_there | only_here)
        raise LussError(
            f"{what}: only there: {_first(only_there)}; only here: {_first(only_here)}; "
            + (
                "give both models the same out_indices, as this backbone has a norm for each"
                if norms
                else "both models must have the same modules there: give them the same settings"
            )
        )
    for name in sorted(source):
        if source[name] != target[name]:
            raise LussError(
                f"{what}: {name} has shape {tuple(source[name])} there "
                f"and {tuple(target[name])} here; both configs must have the same widths"
            )


def _below(shapes: Shapes, part: str) -> Shapes:
    """Return the tensors of a part."""
    return {name: shapes[name] for name in shapes if in_module(name, part)}


def _objective(name: str) -> str | None:
    """Return the objective of a part or a tensor, such as ``objectives.clustering``."""
    words = name.split(".")
    return ".".join(words[:2]) if words[0] == "objectives" and len(words) > 1 else None


def _parts(state: Iterable[str]) -> str:
    return ", ".join(sorted({_objective(name) or name.split(".")[0] for name in state}))


def _first(names: Iterable[str]) -> str:
    names = sorted(names)
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return ", ".join(names[:3]) + more or "none"
