from luss.engine.hooks.backbone_weights_hook import BackboneWeightsHook
from luss.engine.hooks.checkpoint_hook import CheckpointHook
from luss.engine.hooks.clustering_hook import ClusteringHook
from luss.engine.hooks.collapse_hook import CollapseHook
from luss.engine.hooks.densecl_hook import DenseCLHook
from luss.engine.hooks.distance_bank_hook import DistanceBankHook
from luss.engine.hooks.early_stopping_hook import EarlyStoppingHook
from luss.engine.hooks.ema_hook import EMAHook
from luss.engine.hooks.graceful_stop_hook import GracefulStopHook
from luss.engine.hooks.loss_guard_hook import LossGuardHook
from luss.engine.hooks.progress_hook import ProgressHook
from luss.engine.hooks.runtime_info_hook import RuntimeInfoHook
from luss.engine.hooks.stateless_randomness_hook import StatelessRandomnessHook
from luss.engine.hooks.swav_hook import SwAVHook

__all__ = [
    "BackboneWeightsHook",
    "CheckpointHook",
    "ClusteringHook",
    "CollapseHook",
    "DenseCLHook",
    "DistanceBankHook",
    "EMAHook",
    "EarlyStoppingHook",
    "GracefulStopHook",
    "LossGuardHook",
    "ProgressHook",
    "RuntimeInfoHook",
    "StatelessRandomnessHook",
    "SwAVHook",
]
