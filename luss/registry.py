"""Registries of scope ``luss``.

They are children of MMEngine's root registries, so that a config names a component of ``luss``
plainly (``type='P2P'``) and one of another library with its scope (``type='mmseg.ResNet'``).
``COUNT_METRICS``, ``MATCHERS``, ``REPORT_SECTIONS``, ``STAGES`` and those of the parts of label
generation have no counterpart in MMEngine.
"""

from mmengine.registry import Registry, root

__all__ = [
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
    "REPORT_SECTIONS",
    "RUNNERS",
    "STAGES",
    "THRESHOLD_RULES",
    "TRANSFORMS",
    "VISBACKENDS",
    "VISUALIZERS",
    "WEIGHT_INITIALIZERS",
]


def _child(parent: Registry, *locations: str) -> Registry:
    return Registry(parent.name, parent=parent, scope="luss", locations=list(locations))


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
FUNCTIONS = _child(root.FUNCTIONS, "luss.engine.workers")

# Nothing of ours yet; without a child MMEngine warns each time it looks here.
MODEL_WRAPPERS = _child(root.MODEL_WRAPPERS)
PARAM_SCHEDULERS = _child(root.PARAM_SCHEDULERS)
WEIGHT_INITIALIZERS = _child(root.WEIGHT_INITIALIZERS)
VISUALIZERS = _child(root.VISUALIZERS)
VISBACKENDS = _child(root.VISBACKENDS)
LOG_PROCESSORS = _child(root.LOG_PROCESSORS)

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
