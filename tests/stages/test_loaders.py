"""Data loaders with what a config leaves open."""

import copy

import pytest
from tiny_networks import PIPELINE

from luss.errors import LussError
from luss.stages.loaders import complete_loader


@pytest.fixture
def context(make_context):
    return make_context({}, num_workers=3, seed=5)


def test_what_is_left_open_is_filled_in(context, demo_root):
    given = {"dataset": {"split": "validation", "pipeline": PIPELINE}, "batch_size": 2}
    before = copy.deepcopy(given)
    found = complete_loader(given, context, "here")
    dataset = found.pop("dataset")
    assert found == {
        "batch_size": 2,
        "num_workers": 3,
        "worker_init_fn": {"type": "luss.start_worker"},
    }
    assert dataset["pipeline"] == PIPELINE
    assert (dataset["data_root"], dataset["seed"]) == (str(demo_root), 5)
    assert given == before


def test_what_the_config_says_stays(context):
    own = {"num_workers": 0, "worker_init_fn": {"type": "own"}, "drop_last": True}
    given = {"dataset": {"split": "train", "seed": 8}, **own}
    found = complete_loader(given, context, "here")
    assert found.pop("dataset")["seed"] == 8
    assert found == own


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"batch_size": 2}, "here.*dataset"),
        ({"dataset": {}, "batchsize": 2}, r"here\.batchsize .*'batch_size'"),
        ({"dataset": {}, "batch_size": 0}, r"here\.batch_size.* 0"),
    ],
)
def test_mistakes_are_named(context, given, message):
    with pytest.raises(LussError, match=message):
        complete_loader(given, context, "here")
