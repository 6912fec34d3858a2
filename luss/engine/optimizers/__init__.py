from luss.engine.optimizers.lars import LARS

__all__ = ["LARS"]
