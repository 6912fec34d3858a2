from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.dataset import DefaultSampler
from torch.utils.data import DataLoader

from luss.datasets import samplers
from luss.datasets.samplers import EpochSampler
from luss.errors import LussError
from luss.registry import DATA_SAMPLERS


def build(monkeypatch, length, rank=0, world_size=1, **kwargs):
    monkeypatch.setattr(samplers, "get_dist_info", lambda: (rank, world_size))
    return EpochSampler(range(length), **{"seed": 5, **kwargs})


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("round_up", [True, False])
@pytest.mark.parametrize("world_size", [1, 3, 8])
def test_the_order_is_mmengines(monkeypatch, shuffle, round_up, world_size):
    for rank in range(world_size):
        monkeypatch.setattr(
            "mmengine.dataset.sampler.get_dist_info", lambda rank=rank: (rank, world_size)
        )
        kwargs = {"shuffle": shuffle, "round_up": round_up, "seed": 5}
        theirs = DefaultSampler(range(7), **kwargs)
        ours = build(monkeypatch, 7, rank, world_size, **kwargs)
        assert len(ours) == len(theirs)
        for epoch in (0, 4):
            theirs.set_epoch(epoch)
            ours.set_epoch(epoch)
            assert list(ours) == [epoch * 7 + index for index in theirs]


@given(st.integers(1, 40), st.integers(1, 5), st.booleans(), st.integers(0, 3))
def test_all_ranks_together_see_every_sample_once(length, world_size, round_up, epoch):
    with pytest.MonkeyPatch.context() as patch:
        ranks = [build(patch, length, rank, world_size, round_up=round_up) for rank in
                 range(world_size)]  # fmt: skip
    drawn = []
    for sampler in ranks:
        sampler.set_epoch(epoch)
        draws = list(sampler)
        assert len(draws) == len(sampler)
        drawn += draws
    counts = Counter(drawn)
    assert counts.keys() == set(range(epoch * length, (epoch + 1) * length))
    assert len(drawn) - length == (-length % world_size if round_up else 0)


@given(st.integers(1, 30), st.integers(1, 3), st.integers(0, 12))
def test_start_passes_over_the_beginning_once(length, world_size, start):
    with pytest.MonkeyPatch.context() as patch:
        sampler = build(patch, length, world_size - 1, world_size)
    whole = list(sampler)
    sampler.start = start
    assert len(sampler) == len(whole)
    assert list(sampler) == whole[start:]
    assert list(sampler) == whole


def test_a_loader_entered_in_mid_epoch_gives_the_rest():
    def batches(start):
        sampler = EpochSampler(range(20), seed=1)
        sampler.start = start
        sampler.set_epoch(0)
        return [batch.tolist() for batch in DataLoader(range(20), 3, sampler=sampler)]

    assert batches(start=9) == batches(start=0)[3:]


def test_epochs_and_seeds_differ():
    sampler = EpochSampler(range(50), seed=1)
    orders = []
    for epoch in range(3):
        sampler.set_epoch(epoch)
        orders.append([draw % 50 for draw in sampler])
    assert orders[0] != orders[1] != orders[2]
    assert orders[0] != list(EpochSampler(range(50), seed=9))


def test_it_is_registered_and_draws_a_seed_of_its_own():
    sampler = DATA_SAMPLERS.build({"type": "EpochSampler", "dataset": range(4)})
    assert sorted(sampler) == [0, 1, 2, 3]


def test_an_empty_data_set_is_refused():
    with pytest.raises(LussError, match="no samples"):
        EpochSampler([])
