"""Training of an algorithm with objectives on made-up views, which can be stopped and resumed."""

import contextlib

import torch
from mmengine.hooks import Hook
from small_algorithms import BATCH, SIDE, model_config
from states import flatten
from torch.utils.data import Dataset

from luss.datasets.samplers import EpochSampler
from luss.engine.checkpoint import latest_checkpoint, load
from luss.engine.hooks import CheckpointHook, ClusteringHook, StatelessRandomnessHook
from luss.engine.loops import EpochTrainLoop
from luss.engine.runner import Runner

ITERATIONS, EPOCHS = 3, 3
HOOKS = {
    "DenseCL": [{"type": "DenseCLHook", "start_iters": 5}],
    "SimSiam": [
        {"type": "mmselfsup.SimSiamHook", "fix_pred_lr": True, "lr": 0.1, "adjust_by_epoch": False}
    ],
    "SwAV": [
        {
            "type": "SwAVHook",
            # Full in the middle of the second epoch, with a row to spare.
            "queue_length": 2 * BATCH + 1,
            "epoch_queue_starts": 1,
            "feat_dim": 12,
            "frozen_layers_cfg": {"head.loss.prototypes": 2},
        }
    ],
}
"""The hooks that mmselfsup's own configs have for an algorithm."""


class Views(Dataset):
    """Views of made-up photos as ``PackViews`` gives them; each draw has its own."""

    metainfo = {}

    def __len__(self):
        return ITERATIONS * BATCH

    def __getitem__(self, draw):
        generator = torch.Generator().manual_seed(draw)
        views = torch.randint(0, 256, (2, 3, SIDE, SIDE), generator=generator, dtype=torch.uint8)
        left_top = torch.randint(0, 20, (2, 2), generator=generator)
        size = torch.randint(40, 80, (2, 2), generator=generator)
        geometry = torch.cat([left_top, size, torch.tensor([[0], [1]])], dim=1).float()
        return {"inputs": list(views), "geometry": geometry}


def outcome(work_dir):
    """All that the newest checkpoint holds, by name."""
    checkpoint = load(latest_checkpoint(work_dir))
    checkpoint.pop("message_hub")
    return flatten(checkpoint)


class Stop(Hook):
    """Ends training as a kill would, before the iteration is saved."""

    priority = "LOW"

    def __init__(self, iteration):
        self.iteration = iteration

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == self.iteration:
            raise KeyboardInterrupt


def train(
    work_dir,
    name,
    objectives,
    hooks=None,
    stop=None,
    processes=1,
    optim_wrapper=None,
    **settings,
):
    """Train to the end, or to an iteration, from the newest checkpoint if there is one.

    Hooks are by default those of ``HOOKS``. Several processes have met before, and share each
    batch. ``settings`` are the runner's.

    Returns:
        The runner.
    """
    hooks = HOOKS.get(name, ()) if hooks is None else hooks
    torch.manual_seed(0)
    newest = latest_checkpoint(work_dir)
    model = model_config(
        name,
        objectives,
        data_preprocessor={
            "type": "ViewPreprocessor",
            "augmentations": [{"type": "RandomGrayscale", "probability": 0.5}],
        },
    )
    if "clustering" in objectives:
        model["objectives"]["clustering"].update(queue_length=2 * BATCH, queue_start_epoch=1)
        hooks = [*hooks, ClusteringHook()]
    groups = {"paramwise_cfg": {"custom_keys": {"head.predictor": {"fix_lr": True}}}}
    runner = Runner(
        model=model,
        work_dir=str(work_dir),
        train_dataloader={
            "dataset": Views(),
            "batch_size": BATCH // processes,
            "num_workers": 0,
            "sampler": {"type": EpochSampler, "shuffle": True},
            "collate_fn": {"type": "default_collate"},
        },
        train_cfg={"type": EpochTrainLoop, "max_epochs": EPOCHS},
        optim_wrapper=optim_wrapper
        or {
            "optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9},
            **(groups if name == "SimSiam" else {}),
        },
        param_scheduler=[{"type": "CosineAnnealingLR", "T_max": 9, "by_epoch": False}],
        default_hooks={"checkpoint": CheckpointHook(interval=1, by_epoch=False)},
        custom_hooks=[
            StatelessRandomnessHook(),
            *hooks,
            *([Stop(stop)] if stop else []),
        ],
        visualizer=None,
        default_scope="luss",
        log_level="WARNING",
        randomness={"seed": 1},
        experiment_name=f"{work_dir}{stop}",
        load_from=str(newest) if newest else None,
        resume=newest is not None,
        launcher="pytorch" if processes > 1 else "none",
        cfg=settings,
    )
    with contextlib.suppress(KeyboardInterrupt):
        runner.train()
    return runner
