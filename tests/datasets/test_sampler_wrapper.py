"""Any sampler gives another order in each epoch, and can be entered anywhere."""

import itertools
import random
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from mmengine.dataset import DefaultSampler, InfiniteSampler
from torch.utils.data import DataLoader

from luss.datasets import ReproducibleSampler, reproducible_sampler
from luss.errors import LussError
from luss.registry import DATA_SAMPLERS

LENGTH = 10
WEIGHTED = {
    "type": "torch.utils.data.WeightedRandomSampler",
    "weights": [1.0] * 5 + [9.0] * 5,
    "num_samples": 700,
}
SAMPLERS = {
    "default": {"type": "DefaultSampler"},
    "in order": {"type": "torch.utils.data.SequentialSampler"},
    "random": {"type": "torch.utils.data.RandomSampler"},
    "weighted": WEIGHTED,
    "endless": {"type": "InfiniteSampler"},
    "stateful": {"type": "GlobalGenerators"},
}


@DATA_SAMPLERS.register_module(force=True)
class GlobalGenerators:
    """Draws from all global generators, one sample after the other, without end."""

    def __init__(self, dataset):
        self.count = len(dataset)

    def __iter__(self):
        while True:
            yield random.randrange(self.count)
            yield np.random.randint(self.count)
            yield torch.randint(self.count, ())


def build(config, length=LENGTH, seed=5, ranks=(0, 1)):
    with pytest.MonkeyPatch.context() as patch:
        for module in ("luss.datasets.sampler_wrapper", "mmengine.dataset.sampler"):
            patch.setattr(f"{module}.get_dist_info", lambda: ranks)
        sampler = DATA_SAMPLERS.build(
            {**reproducible_sampler(config), "dataset": range(length), "seed": seed}
        )
        # The other sampler, which asks for its rank, is built when it is iterated.
        sampler._build = patched(sampler._build, ranks)
        return sampler


def patched(function, ranks):
    def call():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("mmengine.dataset.sampler.get_dist_info", lambda: ranks)
            return function()

    return call


def take(sampler, count=60):
    return list(itertools.islice(sampler, count))


@pytest.mark.parametrize("epoch", [0, 3])
def test_the_order_is_that_of_the_sampler(epoch):
    theirs = DefaultSampler(range(LENGTH), seed=5)
    ours = build(SAMPLERS["default"])
    theirs.set_epoch(epoch)
    ours.set_epoch(epoch)
    assert list(ours) == [epoch * LENGTH + index for index in theirs]
    assert len(ours) == LENGTH


def test_an_endless_sampler_numbers_its_passes():
    endless = build(SAMPLERS["endless"])
    drawn, theirs = take(endless, 35), take(InfiniteSampler(range(LENGTH), seed=5), 35)
    assert [draw % LENGTH for draw in drawn] == theirs
    assert len(set(drawn)) == 35
    assert len(endless) == LENGTH


@pytest.mark.parametrize("name", SAMPLERS)
def test_nothing_depends_on_what_was_drawn_before(name):
    sampler = build(SAMPLERS[name])
    first = take(sampler)
    random.random(), np.random.rand(), torch.rand(3)
    sampler.set_epoch(1)
    other = take(sampler)
    sampler.set_epoch(0)
    assert take(sampler) == first
    assert take(build(SAMPLERS[name])) == first
    assert not set(first) & set(other) or name == "endless"
    if name not in ("in order", "endless"):
        assert [draw % LENGTH for draw in other] != [draw % LENGTH for draw in first]
        assert take(build(SAMPLERS[name], seed=6)) != first


@pytest.mark.parametrize("name", SAMPLERS)
@pytest.mark.parametrize("start", [0, 1, 7, 600])
def test_start_passes_over_the_beginning_once(name, start):
    sampler = build(SAMPLERS[name])
    whole = take(sampler, 1000)
    sampler.start = start
    assert take(sampler, 1000 - start) == whole[start:]
    assert take(sampler, 1000) == whole


def test_it_leaves_the_global_generators_alone():
    sampler = build(SAMPLERS["stateful"])
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    expected = random.random(), np.random.rand(), torch.rand(())
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    take(sampler)
    assert (random.random(), np.random.rand(), torch.rand(())) == expected


def test_an_image_drawn_again_is_another_draw():
    drawn = list(build(WEIGHTED))
    assert len(set(drawn)) == len(drawn) == 700
    counts = Counter(draw % LENGTH for draw in drawn)
    # Nine times as often, within four standard deviations.
    assert sum(counts[index] for index in range(5, 10)) == pytest.approx(630, abs=32)


@given(st.integers(1, 30), st.integers(1, 4))
def test_samplers_that_know_one_process_are_shared_out(length, world_size):
    config = SAMPLERS["random"]
    alone = list(build(config, length))
    shares = [build(config, length, ranks=(rank, world_size)) for rank in range(world_size)]
    drawn = [list(share) for share in shares]
    assert {len(each) for each in drawn} == {len(shares[0])}
    turns = [draw for turn in zip(*drawn, strict=True) for draw in turn]
    assert turns[:length] == alone
    assert set(turns) == set(alone)


def test_samplers_that_share_by_themselves_do_so():
    shares = [build(SAMPLERS["default"], ranks=(rank, 2)) for rank in range(2)]
    first, second = map(list, shares)
    assert sorted(draw % LENGTH for draw in first + second) == list(range(LENGTH))
    assert not set(first) & set(second)


def test_a_loader_entered_in_the_middle_gives_the_rest():
    def batches(start):
        sampler = build(SAMPLERS["default"])
        sampler.start = start
        sampler.set_epoch(2)
        return [batch.tolist() for batch in DataLoader(range(100), 3, sampler=sampler)]

    assert batches(6) == batches(0)[2:]


def test_only_samplers_that_need_it_are_wrapped():
    own = {"type": "EpochSampler", "shuffle": False}
    assert reproducible_sampler(own) == own
    wrapped = reproducible_sampler({"type": "DefaultSampler", "shuffle": False})
    assert wrapped == {
        "type": "ReproducibleSampler",
        "sampler": {"type": "DefaultSampler", "shuffle": False},
    }
    assert reproducible_sampler(wrapped) == wrapped
    assert list(build({"type": "DefaultSampler", "shuffle": False})) == list(range(LENGTH))


def test_what_cannot_be_sampled_is_refused():
    with pytest.raises(LussError, match=r"'Defalt'.*DefaultSampler"):
        reproducible_sampler({"type": "Defalt"})
    with pytest.raises(LussError, match="no samples"):
        ReproducibleSampler([], {"type": "DefaultSampler"})
