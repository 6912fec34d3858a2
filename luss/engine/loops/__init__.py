from luss.engine.loops.epoch_train_loop import EpochTrainLoop
from luss.engine.loops.iter_train_loop import IterTrainLoop
from luss.engine.loops.splits_test_loop import SplitsTestLoop
from luss.engine.loops.val_loop import ValLoop

__all__ = ["EpochTrainLoop", "IterTrainLoop", "SplitsTestLoop", "ValLoop"]
