"""Weights that are infinite, not NaN, are not saved either."""

import pytest
import torch
from mmengine.hooks import Hook
from toy_training import toy_runner

from luss.errors import LussError


class Overflow(Hook):
    priority = "LOW"

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == 3:
            with torch.no_grad():
                runner.model.layer.bias.fill_(float("inf"))


def test_infinite_weights_are_not_saved(tmp_path):
    runner = toy_runner(tmp_path, [Overflow()], interval=1, by_epoch=False)
    with pytest.raises(LussError, match=r"after iteration 4 .*such as layer\.bias"):
        runner.train()
    assert not (tmp_path / "iter_4.pth").exists()
    assert (tmp_path / "iter_3.pth").exists()
