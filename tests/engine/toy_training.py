"""The smallest training there is: one linear layer on numbers."""

import torch
from mmengine.model import BaseModel
from torch import nn
from torch.utils.data import Dataset

from luss.datasets.samplers import EpochSampler
from luss.engine.hooks import CheckpointHook, GracefulStopHook, LossGuardHook
from luss.engine.loops import EpochTrainLoop
from luss.engine.runner import Runner
from luss.engine.workers import start_worker


class Numbers(Dataset):
    """Item d is the number d; draws beyond the end belong to later epochs."""

    metainfo = {}

    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, draw):
        return {"inputs": torch.tensor([float(draw)])}


class Line(BaseModel):
    """Sees numbers, and keeps which; ``factor`` of the loss may be set from outside."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 1)
        self.seen = []
        self.factor = 1.0

    def forward(self, inputs, mode="loss"):
        self.seen.append(inputs.flatten().int().tolist())
        scaled = inputs / 100
        return {"loss_line": self.factor * (self.layer(scaled) - scaled).square().mean()}


def toy_runner(work_dir, hooks=(), count=10, batch_size=3, epochs=2, workers=0, **checkpoint):
    """A runner of ``count // batch_size`` iterations an epoch."""
    torch.manual_seed(0)
    newest = checkpoint.pop("load_from", None)
    return Runner(
        model=Line(),
        work_dir=str(work_dir),
        train_dataloader={
            "dataset": Numbers(count),
            "batch_size": batch_size,
            "drop_last": True,
            "num_workers": workers,
            "persistent_workers": workers > 0,
            "worker_init_fn": {"type": start_worker},
            "sampler": {"type": EpochSampler, "shuffle": True},
            "collate_fn": {"type": "default_collate"},
        },
        train_cfg={"type": EpochTrainLoop, "max_epochs": epochs},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9}},
        param_scheduler=[{"type": "CosineAnnealingLR", "T_max": epochs * 3, "by_epoch": False}],
        default_hooks={"checkpoint": CheckpointHook(**checkpoint)},
        custom_hooks=[LossGuardHook(), GracefulStopHook(), *hooks],
        visualizer=None,
        default_scope="luss",
        randomness={"seed": 1},
        experiment_name=f"{work_dir}{len(list(work_dir.glob('*')))}",
        load_from=newest,
        resume=newest is not None,
        cfg={},
    )
