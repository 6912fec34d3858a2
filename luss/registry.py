"""Registries of scope ``luss``.

They are children of MMEngine's root registries: in configs, components of ``luss`` have no scope
(``type='P2P'``), those of other libraries do (``type='mmseg.ResNet'``). ``CHECKS``,
``COUNT_METRICS``, ``MATCHERS``, ``PROTOCOLS``, ``REPORT_SECTIONS``, ``RULES``, ``STAGES`` and those
of label generation have no counterpart in MMEngine.
"""

import sys
from types import FrameType
from typing import Any

from mmengine.registry import Registry, root

__all__ = [
    "CHECKS",
    "COUNT_METRICS",
    "DATASETS",
    "DATA_SAMPLERS",
    "EMBEDDERS",
    "FOREGROUND_SOURCES",
    "FUNCTIONS",
    "HOOKS",
    "LABEL_GENERATORS",
    "LABEL_WRITERS",
    "LOG_PROCESSORS",
    "LOOPS",
    "MATCHERS",
    "METRICS",
    "MODELS",
    "MODEL_WRAPPERS",
    "OPTIMIZERS",
    "OPTIM_WRAPPERS",
    "OPTIM_WRAPPER_CONSTRUCTORS",
    "PARAM_SCHEDULERS",
    "PROTOCOLS",
    "REPORT_SECTIONS",
    "RULES",
    "RUNNERS",
    "STAGES",
    "TASK_UTILS",
    "THRESHOLD_RULES",
    "TRANSFORMS",
    "VISBACKENDS",
    "VISUALIZERS",
    "WEIGHT_INITIALIZERS",
]


class _Child(Registry):
    """Child of a registry of MMEngine that also resolves names used by the libraries' own code.

    While the scope is ``luss``, MMEngine looks up names without a scope here, also for mmseg's
    code, such as ``CrossEntropyLoss``, the default loss of mmseg's heads. Names that neither
    ``luss`` nor MMEngine has are therefore looked up in the library that calls the registry.
    """

    def get(self, key: str) -> Any:
        """Return the component of a name, or None; see :class:`mmengine.registry.Registry`."""
        found = super().get(key)
        if found is None and "." not in key:
            found = next(filter(None, (library.get(key) for library in self._callers())), None)
        return found

    def _callers(self) -> list[Registry]:
        """Return the registries of the libraries on the call stack, innermost first."""
        names: dict[str, None] = {}
        frame: FrameType | None = sys._getframe(2)
        while frame is not None:
            names.setdefault(frame.f_globals.get("__name__", "").partition(".")[0])
            frame = frame.f_back
        siblings = self.parent.children
        return [siblings[name] for name in names if name in siblings and name != self.scope]


def _child(parent: Registry, *locations: str) -> Registry:
    return _Child(parent.name, parent=parent, scope="luss", locations=list(locations))


RUNNERS = _child(root.RUNNERS, "luss.engine.runner")
LOOPS = _child(root.LOOPS, "luss.engine.loops")
HOOKS = _child(root.HOOKS, "luss.engine.hooks", "luss.visualization")
DATASETS = _child(root.DATASETS, "luss.datasets")
DATA_SAMPLERS = _child(root.DATA_SAMPLERS, "luss.datasets")
TRANSFORMS = _child(root.TRANSFORMS, "luss.datasets.transforms")
MODELS = _child(root.MODELS, "luss.models", "luss.evaluation", "luss.label_generation")
OPTIMIZERS = _child(root.OPTIMIZERS, "luss.engine.optimizers")
OPTIM_WRAPPERS = _child(root.OPTIM_WRAPPERS, "luss.engine.optimizers")
OPTIM_WRAPPER_CONSTRUCTORS = _child(root.OPTIM_WRAPPER_CONSTRUCTORS, "luss.engine.optimizers")
METRICS = _child(root.METRICS, "luss.evaluation")
FUNCTIONS = _child(root.FUNCTIONS, "luss.engine.workers", "luss.models.backbones.presets")

# Empty; MMEngine warns at each lookup in a scope without these registries.
MODEL_WRAPPERS = _child(root.MODEL_WRAPPERS)
PARAM_SCHEDULERS = _child(root.PARAM_SCHEDULERS)
WEIGHT_INITIALIZERS = _child(root.WEIGHT_INITIALIZERS)
VISUALIZERS = _child(root.VISUALIZERS)
VISBACKENDS = _child(root.VISBACKENDS)
LOG_PROCESSORS = _child(root.LOG_PROCESSORS)
TASK_UTILS = _child(root.TASK_UTILS)

_LABELS = ["luss.label_generation"]
EMBEDDERS = Registry("embedder", scope="luss", locations=_LABELS)
LABEL_GENERATORS = Registry("label generator", scope="luss", locations=_LABELS)
FOREGROUND_SOURCES = Registry("foreground source", scope="luss", locations=_LABELS)
THRESHOLD_RULES = Registry("threshold rule", scope="luss", locations=_LABELS)
LABEL_WRITERS = Registry("label writer", scope="luss", locations=_LABELS)
MATCHERS = Registry("matcher", scope="luss", locations=["luss.evaluation"])
COUNT_METRICS = Registry("metric", scope="luss", locations=["luss.evaluation"])
"""Functions of counts, see :func:`luss.evaluation.named_metrics`."""
REPORT_SECTIONS = Registry("report section", scope="luss", locations=["luss.visualization"])
"""Functions of :class:`luss.visualization.RunFiles`, see ``luss/visualization/sections.py``."""
STAGES = Registry("stage", scope="luss", locations=["luss.stages"])
PROTOCOLS = Registry("protocol", scope="luss", locations=["luss.stages"])
"""How models are evaluated, see :class:`luss.stages.protocols.Protocol`."""
CHECKS = Registry("check", scope="luss", locations=["luss.stages"])
"""Functions of a stage, its context and its model: checks before a test loop runs, by its name."""
RULES = Registry("rule", scope="luss", locations=["luss.pipeline.rules"])
"""Functions of a context and settings, see :mod:`luss.pipeline.rules`."""
