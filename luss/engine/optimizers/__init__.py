from luss.engine.optimizers.amp_optim_wrapper import AmpOptimWrapper, cpu_has_bf16_units
from luss.engine.optimizers.lars import LARS
from luss.engine.optimizers.lars_groups import LARSOptimWrapperConstructor
from luss.engine.optimizers.layer_decay import LayerDecayOptimWrapperConstructor

__all__ = [
    "LARS",
    "AmpOptimWrapper",
    "LARSOptimWrapperConstructor",
    "LayerDecayOptimWrapperConstructor",
    "cpu_has_bf16_units",
]
