import copy
import math
from collections import deque

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.registry import DefaultScope
from torch._subclasses import FakeTensorMode

from luss.engine.optimizers import LARS
from luss.errors import LussError
from luss.models.objectives.clustering import (
    Clustering,
    soft_cross_entropy,
    swapped_prediction_loss,
)
from luss.models.objectives.sinkhorn import sinkhorn
from luss.registry import MODELS
from luss.structures import ViewFeatures


def build(seed=0, epoch=0, iteration=0, **kwargs):
    torch.manual_seed(seed)
    settings = {"in_channels": 10, "hidden_channels": 8, "embedding_channels": 6}
    clustering = Clustering(**{**settings, "num_prototypes": 7, **kwargs})
    clustering.normalize_prototypes()
    clustering.set_progress(epoch, iteration)
    return clustering


def batches(steps, batch_size=4, views=2, channels=6, seed=1):
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(steps, views, batch_size, channels, generator=generator)
    return F.normalize(rows, dim=-1)


def views_of(pooled, batch_size):
    """Features whose pooled values are the given rows."""
    return ViewFeatures([{4: pooled[..., None, None]}], batch_size, [])


# The loss


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 5), st.integers(1, 2), st.integers(1, 5), st.integers(0, 99))
def test_swapped_prediction_follows_its_definition(views, assigning, samples, seed):
    generator = np.random.default_rng(seed)
    scores = generator.uniform(-1, 1, (views, samples, 6))
    codes = generator.dirichlet(np.ones(6), (assigning, samples))
    temperature = 0.1

    total = 0.0
    for crop in range(assigning):
        losses = []
        for view in range(views):
            if view == crop:
                continue
            entropy = 0.0
            for n in range(samples):
                exponentials = np.exp(scores[view, n] / temperature)
                for k in range(6):
                    probability = exponentials[k] / exponentials.sum()
                    entropy -= codes[crop, n, k] * math.log(probability)
            losses.append(entropy / samples)
        total += np.mean(losses) / assigning
    given_loss = swapped_prediction_loss(
        torch.from_numpy(scores), torch.from_numpy(codes), temperature
    )
    assert given_loss.item() == pytest.approx(total, rel=1e-5)


def test_equal_scores_cost_the_logarithm_of_the_prototypes():
    codes = torch.softmax(torch.randn(2, 5, 9), dim=-1)
    loss = swapped_prediction_loss(torch.zeros(4, 5, 9), codes, 0.1)
    assert loss.item() == pytest.approx(math.log(9), rel=1e-6)


def test_a_code_supervises_every_view_but_its_own():
    scores = torch.randn(4, 3, 5, requires_grad=True)
    codes = torch.softmax(torch.randn(1, 3, 5), dim=-1)
    (gradient,) = torch.autograd.grad(swapped_prediction_loss(scores, codes, 0.1), scores)
    assert (gradient[0] == 0).all()
    assert (gradient[1:].abs().amax(dim=(1, 2)) > 0).all()


def test_cross_entropy_is_in_float32():
    scores = torch.randn(3, 5, dtype=torch.float16)
    codes = torch.softmax(torch.randn(3, 5), dim=-1)
    loss = soft_cross_entropy(scores, codes, 0.1)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, soft_cross_entropy(scores.float(), codes, 0.1))


# The queue


def reference_codes(steps, weight, length, starts_at=0):
    """Codes with a queue kept as a list of rows, one for each crop, newest first."""
    queues = [deque(maxlen=length) for _ in range(2)]
    for step, batch in enumerate(steps):
        codes = []
        for crop, queue in enumerate(queues):
            full = len(queue) == length
            rows = torch.stack([*queue, *batch[crop]]) if full else batch[crop]
            codes.append(sinkhorn(rows @ weight.T)[-len(batch[crop]) :])
            if step >= starts_at:
                queue.extendleft(reversed(batch[crop].unbind()))
        yield torch.stack(codes), [list(queue) for queue in queues]


@pytest.mark.parametrize(("asked", "length"), [(12, 12), (14, 12), (4, 4), (7, 4)])
def test_queue(asked, length):
    clustering = build(queue_length=asked, queue_start_epoch=2)
    steps = batches(9)
    expected = reference_codes(steps, clustering.prototypes.weight.detach(), length, starts_at=2)
    for step, (codes, queues) in enumerate(expected):
        clustering.set_progress(epoch=step, update=step)
        torch.testing.assert_close(clustering.codes(steps[step]), codes)
        for crop, rows in enumerate(queues):
            for row, stored in zip(rows, clustering.queue[crop], strict=False):
                assert torch.equal(row, stored)
            assert (clustering.queue[crop, len(rows) :] == 0).all()


def test_a_queue_that_is_not_full_has_no_say():
    queued, plain = build(queue_length=12), build()
    steps = batches(5)
    for step, batch in enumerate(steps):
        same = torch.equal(queued.codes(batch), plain.codes(batch))
        assert same == (step < 3)


def test_scores_of_the_queue_follow_the_prototypes():
    clustering = build(queue_length=4)
    first, second = batches(2)
    clustering.codes(first)
    with torch.no_grad():
        clustering.prototypes.weight.copy_(F.normalize(torch.randn(7, 6), dim=1))
    rows = torch.cat([first[1], second[1]])
    expected = sinkhorn(rows @ clustering.prototypes.weight.detach().T)[-4:]
    torch.testing.assert_close(clustering.codes(second)[1], expected)


@pytest.mark.parametrize("saved_after", range(6))
def test_a_checkpoint_holds_the_queue_and_how_full_it_is(saved_after):
    undisturbed = build(queue_length=12)
    steps = batches(8)
    for batch in steps[:saved_after]:
        undisturbed.codes(batch)
    resumed = build(seed=9, queue_length=12)
    resumed.load_state_dict(copy.deepcopy(undisturbed.state_dict()))
    for batch in steps[saved_after:]:
        assert torch.equal(resumed.codes(batch), undisturbed.codes(batch))
    assert torch.equal(resumed.queue, undisturbed.queue)


def test_a_zero_embedding_does_not_empty_a_loaded_queue():
    steps = batches(4)
    steps[1, 0, 2] = 0
    undisturbed, resumed = build(queue_length=12), build(queue_length=12)
    for batch in steps[:3]:
        undisturbed.codes(batch)
    resumed.load_state_dict(undisturbed.state_dict())
    assert torch.equal(resumed.codes(steps[3]), undisturbed.codes(steps[3]))


def test_a_queue_shorter_than_the_batch_is_rejected():
    clustering = build(queue_length=3).train()
    with pytest.raises(LussError, match=r"3 embeddings.*has 4"):
        clustering(views_of(torch.randn(8, 10), 4))


def test_a_schedule_that_nobody_tells_is_rejected():
    for schedule in ({"queue_length": 8}, {"frozen_prototype_iters": 5}):
        clustering = Clustering(10, 8, 7, 6, **schedule)
        with pytest.raises(LussError, match="ClusteringHook"):
            clustering(views_of(torch.randn(8, 10), 4))


def test_one_view_is_rejected():
    with pytest.raises(LussError, match=r"1 view\(s\)"):
        build()(views_of(torch.randn(4, 10), 4))


# Prototypes


def test_forward_normalises_prototypes_and_lends_them():
    clustering = build().train()
    with torch.no_grad():
        clustering.prototypes.weight.mul_(3)
    views = views_of(torch.randn(12, 10), 4)
    losses = clustering(views)
    weight = clustering.prototypes.weight
    torch.testing.assert_close(weight.norm(dim=1), torch.ones(7))
    assert not views.assignment.prototypes.requires_grad
    assert torch.equal(views.assignment.prototypes, weight)
    assert views.assignment.codes.shape == (2, 4, 7)
    torch.testing.assert_close(views.assignment.codes.sum(-1), torch.ones(2, 4))
    losses[""].backward()
    assert all(param.grad is not None for param in clustering.parameters())


def test_frozen_prototypes_neither_move_nor_remember():
    frozen_for = 3
    clustering = build(frozen_prototype_iters=frozen_for).train()
    weight = clustering.prototypes.weight
    settings = {"lr": 0.5, "momentum": 0.9, "weight_decay": 0.1}
    optimizer = LARS(clustering.parameters(), **settings)
    optimizer.register_step_pre_hook(lambda *_: clustering.drop_frozen_gradients())
    before = weight.detach().clone()
    for iteration in range(frozen_for + 1):
        clustering.set_progress(0, iteration)
        optimizer.zero_grad()
        clustering(views_of(torch.randn(8, 10), 4))[""].backward()
        assert weight.grad.norm() > 0
        if iteration == frozen_for:
            unit, gradient = weight.detach().clone(), weight.grad.clone()
        optimizer.step()
        if iteration < frozen_for:
            torch.testing.assert_close(weight.detach(), before, rtol=0, atol=3e-7)
            assert weight not in optimizer.state
    # The first step after is that of an optimizer that never saw the prototypes before.
    fresh = torch.nn.Parameter(unit)
    fresh.grad = gradient
    LARS([fresh], **settings).step()
    assert torch.equal(weight.detach(), fresh.detach())


def test_half_precision_changes_no_code():
    """Under autocast the projector is in half precision, the codes' scores are not."""
    clustering = build(queue_length=4)
    first, second = batches(2)
    plain = copy.deepcopy(clustering)
    for batch in (first, second):
        expected = plain.codes(batch)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(clustering.codes(batch), expected)


def test_a_step_never_waits_for_the_device():
    # A tensor without data raises when a value is read.
    with FakeTensorMode():
        clustering = build(queue_length=8).train()
        for _ in range(4):
            clustering(views_of(torch.randn(12, 10), 4))[""].backward()


def test_it_is_registered():
    config = {"type": "Clustering", "in_channels": 4, "hidden_channels": 4, "num_prototypes": 9}
    with DefaultScope.overwrite_default_scope("luss"):
        assert MODELS.build(config).num_prototypes == 9
