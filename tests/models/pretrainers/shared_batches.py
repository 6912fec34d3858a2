"""Steps of one process on its share of each batch, with or without other processes."""

import torch
import torch.nn.functional as F
from mmengine.model import MMDistributedDataParallel
from small_pretrainer import batch, build

from luss.engine.optimizers import LARS
from luss.models.objectives import Clustering

HALF, STEPS = 4, 5
QUEUE = 3 * 2 * HALF + 3  # full after three of five steps, with three rows to spare


def clustering_codes(share):
    """Codes of each step and the queue in the end; ``share`` picks this process's photos."""
    torch.manual_seed(0)
    clustering = Clustering(10, 8, num_prototypes=7, embedding_channels=6, queue_length=QUEUE)
    clustering.normalize_prototypes()
    clustering.set_progress(0, 0)
    steps = F.normalize(torch.randn(STEPS, 2, 2 * HALF, 6), dim=-1)
    return [clustering.codes(step[:, share]) for step in steps], clustering.queue


def train(share, wrap):
    """Gradients of the first step and parameters after three, batch norms in eval mode."""
    model = build((2, 3), pixpro=True, queue_length=2 * HALF, frozen_prototype_iters=1)
    for part in model.modules():
        if isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
            part.eval()
    wrapped = wrap(model)
    clustering = model.objectives["clustering"]
    optimizer = LARS(model.parameters(), lr=0.5, weight_decay=1e-3)
    optimizer.register_step_pre_hook(lambda *_: clustering.drop_frozen_gradients())
    for iteration in range(3):
        clustering.set_progress(0, iteration)
        data = batch(2 * HALF, seed=iteration)
        inputs = [images[share] for images in data["inputs"]]
        losses = wrapped(inputs, data["geometry"][share], mode="loss")
        optimizer.zero_grad()
        model.parse_losses(losses)[0].backward()
        if iteration == 0:
            gradients = {
                name: param.grad.clone()
                for name, param in model.named_parameters()
                if param.requires_grad
            }
        optimizer.step()
    return gradients, model.state_dict()


def work(rank, folder):
    share = slice(rank * HALF, (rank + 1) * HALF)
    results = clustering_codes(share), train(share, MMDistributedDataParallel)
    torch.save(results, f"{folder}/{rank}.pth")
