"""No training step waits for the device, but where losses are read."""

from pathlib import Path

import pytest
import torch
from device_waits import WaitingError, allowed_to_wait, no_waiting
from mmengine.model import BaseDataPreprocessor
from tiny_run import TRAINED, read_tiny

from luss.configuration import read_config
from luss.engine.loops import EpochTrainLoop
from luss.engine.unread_outputs import UnreadOutputs
from luss.pipeline import Pipeline
from luss.registry import MODELS

TOYS = Path(__file__).parents[1] / "toys"
NO_LOG = {"logger": {"interval": 1000}}


@pytest.mark.parametrize(
    "wait",
    [
        lambda tensor: tensor[tensor > 0],
        lambda tensor: bool(tensor.sum() > 0),
        lambda tensor: tensor.nonzero(),
        lambda tensor: float(tensor[0]),
        lambda tensor: tensor.cpu(),
        lambda tensor: torch.unique(tensor),
    ],
)
def test_waiting_is_found(wait, monkeypatch):
    tensor = torch.tensor([1.0, -1.0])
    with no_waiting(monkeypatch), pytest.raises(WaitingError):
        wait(tensor)
    wait(tensor)


def watched(monkeypatch):
    """Let every training iteration fail if it waits; the list of stages' iterations."""
    seen, run_iter = [], EpochTrainLoop.run_iter

    def run_watched(loop, index, batch):
        seen.append(loop.runner.work_dir)
        with no_waiting(monkeypatch):
            run_iter(loop, index, batch)

    def allowed(method):
        def call(*args, **kwargs):
            with allowed_to_wait():
                return method(*args, **kwargs)

        return call

    monkeypatch.setattr(EpochTrainLoop, "run_iter", run_watched)
    monkeypatch.setattr(UnreadOutputs, "read", allowed(UnreadOutputs.read))
    # It chooses images on CPUs, where nothing waits; see the last test.
    prepare = BaseDataPreprocessor.__call__
    monkeypatch.setattr(BaseDataPreprocessor, "__call__", allowed(prepare))
    return seen


def test_no_stage_of_pass_s_waits(tmp_path, monkeypatch):
    config = read_tiny(**{f"stages__{name}__default_hooks": NO_LOG for name in TRAINED})
    seen = watched(monkeypatch)
    Pipeline(config, str(tmp_path)).run()
    assert {Path(folder).name for folder in seen} == set(TRAINED)
    # From the second iteration on, there are momentum buffers and a queue.
    assert all(seen.count(folder) > 1 for folder in seen)


def test_step_1_of_pass_p_does_not_wait(tmp_path, monkeypatch):
    options = {"num_workers": 0, "stages.pretrain.default_hooks": NO_LOG}
    config = read_config(TOYS / "tiny_pass_p.py", options)
    seen = watched(monkeypatch)
    Pipeline(config, str(tmp_path)).run("pretrain")
    assert len(seen) > 1


@pytest.mark.parametrize(
    "transform", ["ColorJitter", "RandomGrayscale", "GaussianBlur", "Solarize"]
)
def test_augmentations_do_not_wait(transform):
    # Tensors without values, on which all that waits fails.
    images = torch.empty(2, 3, 8, 8, device="meta")
    with pytest.raises(RuntimeError):
        bool(images.any())
    assert MODELS.build({"type": transform})(images).shape == images.shape
