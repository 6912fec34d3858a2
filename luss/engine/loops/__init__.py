from luss.engine.loops.epoch_train_loop import EpochTrainLoop

__all__ = ["EpochTrainLoop"]
