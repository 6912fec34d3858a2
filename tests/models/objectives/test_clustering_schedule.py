"""Queue and frozen prototypes in real training: MMEngine's loop, the hook, LARS."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from torch.utils.data import Dataset

from luss.datasets.samplers import EpochSampler
from luss.engine.hooks import ClusteringHook
from luss.engine.loops import EpochTrainLoop
from luss.engine.runner import Runner
from luss.models.objectives import Clustering
from luss.structures import ViewFeatures

EPOCHS, ITERATIONS, BATCH = 4, 2, 4


class Points(Dataset):
    """Two views of random points."""

    metainfo = {}

    def __len__(self):
        return ITERATIONS * BATCH

    def __getitem__(self, draw):
        generator = torch.Generator().manual_seed(draw)
        return {"inputs": list(torch.randn(2, 10, generator=generator))}


class Clusterer(BaseModel):
    """The clustering objective on the points as they are."""

    def __init__(self, **schedule):
        super().__init__()
        self.clustering = Clustering(
            in_channels=10, hidden_channels=8, num_prototypes=7, embedding_channels=6, **schedule
        )

    def forward(self, inputs, mode="loss"):
        pooled = torch.cat(inputs)[..., None, None]
        losses = self.clustering(ViewFeatures([{4: pooled}], len(inputs[0]), []))
        return {"loss_clustering": losses[""]}


class Recorder(Hook):
    """What there is after each step."""

    priority = "LOWEST"

    def __init__(self):
        self.steps = []

    def before_run(self, runner):
        self.first = F.normalize(runner.model.clustering.prototypes.weight.detach(), dim=1)

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        clustering = runner.model.clustering
        optimizer = runner.optim_wrapper.optimizer
        self.steps.append(
            {
                "prototypes": clustering.prototypes.weight.detach().clone(),
                "momentum": clustering.prototypes.weight in optimizer.state,
                "queue": clustering.queue.clone(),
                "projector": clustering.projector[0].weight.detach().clone(),
            }
        )


def train(tmp_path, counts=1, **schedule):
    torch.manual_seed(0)
    recorder = Recorder()
    Runner(
        model=Clusterer(**schedule),
        work_dir=str(tmp_path),
        train_dataloader={
            "dataset": Points(),
            "batch_size": BATCH,
            "num_workers": 0,
            "sampler": {"type": EpochSampler, "shuffle": True},
            "collate_fn": {"type": "default_collate"},
        },
        train_cfg={"type": EpochTrainLoop, "max_epochs": EPOCHS},
        # So large a decay would show on frozen prototypes.
        optim_wrapper={
            "optimizer": {"type": "LARS", "lr": 50.0, "weight_decay": 0.1},
            "accumulative_counts": counts,
        },
        default_hooks={"checkpoint": None},
        custom_hooks=[ClusteringHook(), recorder],
        visualizer=None,
        default_scope="luss",
        randomness={"seed": 1},
        experiment_name=str(tmp_path),
        cfg={},
    ).train()
    assert len(recorder.steps) == EPOCHS * ITERATIONS
    return recorder


def test_prototypes_stay_as_drawn_for_as_many_iterations(tmp_path):
    """In iterations 0 to N - 1 neither gradient, decay nor momentum moves them; the rest learns."""
    frozen = 5
    run = train(tmp_path, frozen_prototype_iters=frozen)
    for iteration, step in enumerate(run.steps):
        moved = not torch.allclose(step["prototypes"], run.first, atol=1e-6)
        assert moved == (iteration >= frozen), iteration
        assert step["momentum"] == (iteration >= frozen), iteration
    weights = [step["projector"] for step in run.steps]
    assert all(not torch.equal(*pair) for pair in pairwise(weights))


def test_prototypes_are_frozen_for_updates_where_gradients_are_summed(tmp_path):
    """Of eight iterations, each second one updates the weights; two updates are frozen."""
    run = train(tmp_path, counts=2, frozen_prototype_iters=2)
    moved = [not torch.allclose(s["prototypes"], run.first, atol=1e-6) for s in run.steps]
    assert moved == [False] * 5 + [True] * 3
    assert [step["momentum"] for step in run.steps] == moved


def test_the_queue_fills_from_its_epoch_on(tmp_path):
    """Zeros before; then newest first, a batch an iteration, the oldest fall off."""
    start = 2
    run = train(tmp_path, queue_length=2 * BATCH, queue_start_epoch=start)
    queues = [step["queue"] for step in run.steps]
    for iteration, queue in enumerate(queues):
        filled = queue.norm(dim=2).round().bool().sum(dim=1).tolist()
        pushed = max(0, iteration + 1 - start * ITERATIONS)
        assert filled == [min(2, pushed) * BATCH] * 2, iteration
    for before, after in pairwise(queues[start * ITERATIONS :]):
        assert torch.equal(after[:, BATCH:], before[:, :BATCH])
        assert not torch.equal(after[:, :BATCH], before[:, :BATCH])
