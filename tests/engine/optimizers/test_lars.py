import numpy as np
import pytest
import torch
from torch._subclasses import FakeTensorMode

from luss.engine.optimizers import LARS

SHAPES = [(4, 3), (5,), (2, 3, 3, 3), (1,)]


def slow_steps(
    params, gradients, lr, momentum, weight_decay, trust, eps, clip=False, decay_first=False
):
    """LARC over SGD, tensor by tensor in float64, from its description; or PixPro's LARS."""
    params = [param.astype(np.float64) for param in params]
    buffers = [None] * len(params)
    for step in gradients:
        for i, gradient in enumerate(step):
            if gradient is None:
                continue
            gradient = gradient.astype(np.float64)
            later = weight_decay
            if decay_first:
                gradient, later = gradient + weight_decay * params[i], 0
            norm, gradient_norm = np.linalg.norm(params[i]), np.linalg.norm(gradient)
            if norm > 0 and gradient_norm > 0:
                rate = trust * norm / (gradient_norm + later * norm + eps)
                if clip:
                    rate = min(rate / lr, 1)
                gradient = (gradient + later * params[i]) * rate
            first = buffers[i] is None
            buffers[i] = gradient if first else momentum * buffers[i] + gradient
            params[i] = params[i] - lr * buffers[i]
    return params


def draws(steps=4, seed=0):
    generator = np.random.default_rng(seed)
    params = [generator.normal(size=shape).astype(np.float32) for shape in SHAPES]
    gradients = [
        [generator.normal(size=shape).astype(np.float32) for shape in SHAPES] for _ in range(steps)
    ]
    return params, gradients


def run(params, gradients, **kwargs):
    params = [torch.nn.Parameter(torch.from_numpy(param.copy())) for param in params]
    optimizer = LARS(params, **kwargs)
    for step in gradients:
        for param, gradient in zip(params, step, strict=True):
            param.grad = None if gradient is None else torch.from_numpy(gradient.copy())
        optimizer.step()
    return params, optimizer


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize("clip", [False, True])
@pytest.mark.parametrize("decay_first", [False, True])
def test_it_equals_a_plain_loop(momentum, weight_decay, clip, decay_first):
    params, gradients = draws()
    gradients[0][1] = None  # joins in later
    gradients[2][0] = None  # leaves and comes back
    gradients[1][2][:] = 0
    params[3][:] = 0
    settings = {"lr": 0.5, "momentum": momentum, "weight_decay": weight_decay, "eps": 1e-8}
    settings |= {"clip": clip, "decay_first": decay_first}
    expected = slow_steps(params, gradients, trust=0.01, **settings)
    ours, _ = run(params, gradients, trust_coefficient=0.01, **settings)
    for one, other in zip(ours, expected, strict=True):
        np.testing.assert_allclose(one.detach(), other, rtol=1e-5, atol=1e-6)


def test_a_tensor_with_a_zero_norm_takes_its_plain_gradient_and_does_not_decay():
    zero, gone = np.zeros(3, np.float32), np.ones(3, np.float32)
    gradients = [[np.array([1.0, 2, 3], np.float32), np.zeros(3, np.float32)]]
    (first, second), _ = run([zero, gone], gradients, lr=0.5, momentum=0, weight_decay=0.1)
    assert first.tolist() == [-0.5, -1.0, -1.5]
    assert second.tolist() == [1, 1, 1]


def test_groups_keep_their_settings():
    params, gradients = draws(steps=1)
    first, second = (torch.nn.Parameter(torch.from_numpy(param)) for param in params[:2])
    first.grad, second.grad = (torch.from_numpy(gradient) for gradient in gradients[0][:2])
    groups = [{"params": [first]}, {"params": [second], "lr": 0.0}]
    before = second.detach().clone()
    LARS(groups, lr=0.5).step()
    assert torch.equal(second.detach(), before)
    settings = {"momentum": 0.9, "weight_decay": 0.0, "trust": 0.001, "eps": 1e-8}
    (expected,) = slow_steps([draws()[0][0]], [[gradients[0][0]]], lr=0.5, **settings)
    np.testing.assert_allclose(first.detach(), expected, rtol=1e-5, atol=1e-6)


def test_a_group_that_is_left_out_takes_plain_steps():
    params, gradients = draws(steps=3)
    ours, _ = run(
        params, gradients, lr=0.1, weight_decay=0.3, lars_exclude=True, trust_coefficient=0.5
    )
    plain = [torch.nn.Parameter(torch.from_numpy(param)) for param in params]
    optimizer = torch.optim.SGD(plain, lr=0.1, momentum=0.9, weight_decay=0.3)
    for step in gradients:
        for param, gradient in zip(plain, step, strict=True):
            param.grad = torch.from_numpy(gradient)
        optimizer.step()
    for one, other in zip(ours, plain, strict=True):
        torch.testing.assert_close(one, other)


def test_a_loaded_state_goes_on():
    params, gradients = draws(steps=6)
    settings = {"lr": 0.5, "momentum": 0.9, "weight_decay": 0.01}
    whole, _ = run(params, gradients, **settings)
    half, stopped = run(params, gradients[:3], **settings)
    resumed = LARS(half, **settings)
    resumed.load_state_dict(stopped.state_dict())
    for step in gradients[3:]:
        for param, gradient in zip(half, step, strict=True):
            param.grad = torch.from_numpy(gradient)
        resumed.step()
    for one, other in zip(half, whole, strict=True):
        assert torch.equal(one.detach(), other.detach())


def test_a_step_never_waits_for_the_device():
    # A tensor without data raises as soon as a value is asked for.
    with FakeTensorMode():
        params = [torch.nn.Parameter(torch.randn(shape)) for shape in SHAPES]
        optimizer = LARS(params, lr=0.5, weight_decay=0.1, clip=True)
        for _ in range(2):
            for param in params:
                param.grad = torch.randn_like(param)
            optimizer.step()
