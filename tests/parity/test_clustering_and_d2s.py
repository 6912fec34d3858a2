"""Losses, codes, queue and gradients of the clustering objective and D2S on given embeddings."""

import torch
from tolerance import assert_close

from luss.models.objectives.clustering import Clustering, swapped_prediction_loss
from luss.models.objectives.d2s import d2s_loss


def build(arrays, case):
    queue = arrays.get(f"case{case}_queue_before")
    prototypes = torch.from_numpy(arrays[f"case{case}_prototypes"])
    clustering = Clustering(
        in_channels=4,
        hidden_channels=4,
        num_prototypes=prototypes.shape[0],
        embedding_channels=prototypes.shape[1],
        epsilon=float(arrays["epsilon"]),
        sinkhorn_iterations=int(arrays["sinkhorn_iterations"]),
        temperature=float(arrays["temperature"]),
        queue_length=0 if queue is None else queue.shape[1],
    )
    state = clustering.state_dict()
    state["prototypes.weight"] = prototypes
    if queue is not None:
        state["queue"] = torch.from_numpy(queue)
    clustering.load_state_dict(state)
    clustering.set_progress(epoch=0, update=0)
    return clustering


def test_codes_queue_losses_and_gradients(golden):
    arrays = golden("swav_d2s_loss.npz")
    for case in range(int(arrays["ncases"])):
        check(arrays, case)


def check(arrays, case):
    batch = int(arrays[f"case{case}_batch"])
    views = int(arrays[f"case{case}_nmb_crops"].sum())
    temperature = float(arrays["temperature"])
    clustering = build(arrays, case)

    embeddings = torch.from_numpy(arrays[f"case{case}_embedding"]).unflatten(0, (-1, batch))
    codes = clustering.codes(embeddings[:views])
    assert_close(codes, arrays[f"case{case}_labels"])
    if f"case{case}_queue_after" in arrays:
        assert_close(clustering.queue, arrays[f"case{case}_queue_after"])

    output = torch.from_numpy(arrays[f"case{case}_output"]).requires_grad_()
    scores = output.unflatten(0, (-1, batch))
    swav = swapped_prediction_loss(scores[:views], codes, temperature)
    assert_close(swav, arrays[f"case{case}_loss_swav"])
    (gradient,) = torch.autograd.grad(swav, output, retain_graph=True)
    assert_close(gradient, arrays[f"case{case}_grad_output_swav"])

    shallow = scores[views:].unflatten(0, (-1, 2))
    d2s = torch.stack([d2s_loss(stage, codes, temperature) for stage in shallow])
    assert_close(d2s, arrays[f"case{case}_loss_d2s"])
    weights = torch.from_numpy(arrays[f"case{case}_weights"]).float()
    total = (weights * torch.cat([swav[None], d2s])).sum() / weights.sum()
    assert_close(total, arrays[f"case{case}_loss_total_without_p2p"])
    (gradient,) = torch.autograd.grad(total, output)
    assert_close(gradient, arrays[f"case{case}_grad_output_total"])
