"""Two gloo processes, each with half the batch, against one process with all of it."""

import pytest
import torch
from processes import run_ranks
from shared_batches import STEPS, clustering_codes, train, work


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ranks")
    run_ranks(work, folder)
    return [torch.load(folder / f"{rank}.pth", weights_only=True) for rank in range(2)]


def assert_close(ours, expected):
    limit = 1e-4 * expected.abs().max().item() + 1e-7
    torch.testing.assert_close(ours, expected, rtol=0, atol=limit)


def test_codes_and_queue(ranks):
    expected, queue = clustering_codes(slice(None))
    for step in range(STEPS):
        together = torch.cat([codes[step] for (codes, _), _ in ranks], dim=1)
        assert_close(together, expected[step])
    assert queue[:, :-3].norm(dim=2).min() > 0.9
    for (_, rank_queue), _ in ranks:
        assert torch.equal(rank_queue, queue)


def test_gradients(ranks):
    expected, _ = train(slice(None), lambda model: model)
    for _, (gradients, _) in ranks:
        assert gradients.keys() == expected.keys()
        for name, gradient in gradients.items():
            assert_close(gradient, expected[name])


def test_three_steps(ranks):
    _, expected = train(slice(None), lambda model: model)
    (_, (_, first)), (_, (_, second)) = ranks
    for name, value in expected.items():
        assert torch.equal(first[name], second[name])
        assert_close(first[name], value)
