"""A hook that says where training is and waits for a signal: from outside, at a known iteration."""

import time

from mmengine.hooks import Hook

from luss.engine.hooks import GracefulStopHook
from luss.registry import HOOKS


@HOOKS.register_module(force=True)
class PausingHook(Hook):
    """Waits after iteration ``iteration`` (from 0), the first time it comes there."""

    priority = "NORMAL"

    def __init__(self, iteration):
        self.iteration = iteration

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == self.iteration:
            print("waiting for a signal", flush=True)
            hook = next(hook for hook in runner.hooks if isinstance(hook, GracefulStopHook))
            for _ in range(3000):
                if hook.received is not None:
                    return
                time.sleep(0.01)
            raise TimeoutError("no signal came")
