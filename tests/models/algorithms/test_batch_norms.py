"""Batch norms of algorithms that shuffle their batches are not synchronised."""

import pytest
from mmselfsup.models.algorithms import MoCo
from small_algorithms import ALGORITHMS, build
from torch import nn

from luss.engine.batch_norms import shuffles_batches, synchronise_objectives


class Adversarial(MoCo):
    """A method of a project that begins with MoCo's."""


@pytest.mark.parametrize("name", ALGORITHMS)
def test_which_algorithms_shuffle(name):
    assert shuffles_batches(build(name)) == (name in ("MoCo v2", "DenseCL"))


def test_an_algorithm_derived_from_one_shuffles():
    assert shuffles_batches(Adversarial.__new__(Adversarial))
    assert not shuffles_batches(nn.BatchNorm2d(3))


def test_objectives_alone_are_synchronised():
    model = build("DenseCL", ("clustering", "p2p"))
    before = {name for name, part in model.named_modules() if isinstance(part, nn.BatchNorm2d)}
    synchronise_objectives(model, "torch")
    synchronised = {n for n, part in model.named_modules() if isinstance(part, nn.SyncBatchNorm)}
    plain = {name for name, part in model.named_modules() if isinstance(part, nn.BatchNorm2d)}
    assert plain == {name for name in before if not name.startswith("objectives.")}
    assert any(name.startswith("backbone.") for name in plain)
    assert any(name.startswith("encoder_k.") for name in plain)
    assert synchronised >= before - plain
    assert all(name.startswith("objectives.") for name in synchronised)
    # A model without objectives is left as it is.
    synchronise_objectives(nn.Linear(1, 1), "torch")
