from luss.engine.loops.centroid_loop import CentroidLoop
from luss.engine.loops.epoch_train_loop import EpochTrainLoop
from luss.engine.loops.feature_loop import FeatureLoop
from luss.engine.loops.foreground_loop import ForegroundLoop
from luss.engine.loops.iter_train_loop import IterTrainLoop
from luss.engine.loops.label_generation_loop import LabelGenerationLoop
from luss.engine.loops.splits_test_loop import SplitsTestLoop
from luss.engine.loops.streaming_loop import StreamingLoop
from luss.engine.loops.val_loop import ValLoop

__all__ = [
    "CentroidLoop",
    "EpochTrainLoop",
    "FeatureLoop",
    "ForegroundLoop",
    "IterTrainLoop",
    "LabelGenerationLoop",
    "SplitsTestLoop",
    "StreamingLoop",
    "ValLoop",
]
