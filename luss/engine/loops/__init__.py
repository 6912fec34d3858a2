from luss.engine.loops.epoch_train_loop import EpochTrainLoop
from luss.engine.loops.splits_test_loop import SplitsTestLoop

__all__ = ["EpochTrainLoop", "SplitsTestLoop"]
