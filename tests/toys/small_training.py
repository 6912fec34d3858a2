"""Training of an algorithm with objectives on made-up views, which can be stopped and resumed."""

import contextlib

import torch
from small_algorithms import BATCH, SIDE, model_config
from torch.utils.data import Dataset
from toy_training import SGD, Stop, toy_runner

from luss.engine.checkpoint import latest_checkpoint
from luss.engine.hooks import ClusteringHook, StatelessRandomnessHook

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

GROUPS = {"SimSiam": {"paramwise_cfg": {"custom_keys": {"head.predictor": {"fix_lr": True}}}}}
"""Settings of its optimizer, likewise."""


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
    if optim_wrapper is None:
        optim_wrapper = {"optimizer": SGD, **GROUPS.get(name, {})}
    runner = toy_runner(
        work_dir,
        [StatelessRandomnessHook(), *hooks, *([Stop(stop)] if stop else [])],
        data=Views(),
        batch_size=BATCH // processes,
        epochs=EPOCHS,
        runner={
            "model": model,
            "log_level": "WARNING",
            "launcher": "pytorch" if processes > 1 else "none",
            "cfg": settings,
            "optim_wrapper": optim_wrapper,
        },
        load_from=newest and str(newest),
        interval=1,
        by_epoch=False,
    )
    with contextlib.suppress(KeyboardInterrupt):
        runner.train()
    return runner
