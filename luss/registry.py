"""Registries of scope ``luss``.

They are children of MMEngine's root registries, so that a config names a component of ``luss``
plainly (``type='P2P'``) and one of another library with its scope (``type='mmseg.ResNet'``).
``LABEL_GENERATORS``, ``MATCHERS`` and ``STAGES`` have no counterpart in MMEngine.
"""

from mmengine.registry import DATA_SAMPLERS as MMENGINE_DATA_SAMPLERS
from mmengine.registry import DATASETS as MMENGINE_DATASETS
from mmengine.registry import HOOKS as MMENGINE_HOOKS
from mmengine.registry import LOOPS as MMENGINE_LOOPS
from mmengine.registry import METRICS as MMENGINE_METRICS
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import OPTIM_WRAPPERS as MMENGINE_OPTIM_WRAPPERS
from mmengine.registry import OPTIMIZERS as MMENGINE_OPTIMIZERS
from mmengine.registry import RUNNERS as MMENGINE_RUNNERS
from mmengine.registry import TRANSFORMS as MMENGINE_TRANSFORMS
from mmengine.registry import Registry

__all__ = [
    "DATASETS",
    "DATA_SAMPLERS",
    "HOOKS",
    "LABEL_GENERATORS",
    "LOOPS",
    "MATCHERS",
    "METRICS",
    "MODELS",
    "OPTIMIZERS",
    "OPTIM_WRAPPERS",
    "RUNNERS",
    "STAGES",
    "TRANSFORMS",
]

RUNNERS = Registry(
    "runner", parent=MMENGINE_RUNNERS, scope="luss", locations=["luss.engine.runner"]
)
LOOPS = Registry("loop", parent=MMENGINE_LOOPS, scope="luss", locations=["luss.engine.loops"])
HOOKS = Registry("hook", parent=MMENGINE_HOOKS, scope="luss", locations=["luss.engine.hooks"])
DATASETS = Registry("dataset", parent=MMENGINE_DATASETS, scope="luss", locations=["luss.datasets"])
DATA_SAMPLERS = Registry(
    "data sampler", parent=MMENGINE_DATA_SAMPLERS, scope="luss", locations=["luss.datasets"]
)
TRANSFORMS = Registry(
    "transform", parent=MMENGINE_TRANSFORMS, scope="luss", locations=["luss.datasets.transforms"]
)
MODELS = Registry("model", parent=MMENGINE_MODELS, scope="luss", locations=["luss.models"])
OPTIMIZERS = Registry(
    "optimizer", parent=MMENGINE_OPTIMIZERS, scope="luss", locations=["luss.engine.optimizers"]
)
OPTIM_WRAPPERS = Registry(
    "optim wrapper",
    parent=MMENGINE_OPTIM_WRAPPERS,
    scope="luss",
    locations=["luss.engine.optimizers"],
)
METRICS = Registry("metric", parent=MMENGINE_METRICS, scope="luss", locations=["luss.evaluation"])

LABEL_GENERATORS = Registry("label generator", scope="luss", locations=["luss.label_generation"])
MATCHERS = Registry("matcher", scope="luss", locations=["luss.evaluation"])
STAGES = Registry("stage", scope="luss", locations=["luss.pipeline"])
