from luss.engine.optimizers.lars import LARS
from luss.engine.optimizers.lars_groups import LARSOptimWrapperConstructor
from luss.engine.optimizers.layer_decay import LayerDecayOptimWrapperConstructor

__all__ = ["LARS", "LARSOptimWrapperConstructor", "LayerDecayOptimWrapperConstructor"]
