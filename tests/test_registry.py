"""Names without a scope: where they are looked up, and what is said of those that are nowhere."""

import pytest
from mmengine.registry import DefaultScope
from torch import nn

from luss.build_errors import clear_build_errors, require_known
from luss.errors import LussError
from luss.registry import LABEL_WRITERS, MODELS

LOSSES = {scope: MODELS.get(f"{scope}.CrossEntropyLoss") for scope in ("mmcls", "mmseg")}


@pytest.fixture(autouse=True)
def _scope():
    with DefaultScope.overwrite_default_scope("luss"):
        yield


class Head(MODELS.get("mmseg.FCNHead")):
    """Of luss, with the defaults of a parent of mmseg."""


class HalvedLoss(nn.Module):
    """Of luss; in a head of mmseg it needs no scope."""

    loss_name = "loss_half"


@pytest.fixture
def registered():
    for kind in (Head, HalvedLoss):
        MODELS.register_module(module=kind)
    yield
    for kind in (Head, HalvedLoss):
        del MODELS.module_dict[kind.__name__]


WIDTHS = {"in_channels": 4, "channels": 4, "num_classes": 3}


def test_defaults_of_a_parent_of_another_library(registered):
    head = MODELS.build({"type": "Head", **WIDTHS, "sampler": {"type": "OHEMPixelSampler"}})
    assert type(head.loss_decode) is LOSSES["mmseg"]
    assert head.sampler.context is head


@pytest.mark.parametrize("kind", ["Head", "mmseg.FCNHead"])
def test_luss_comes_before_the_library_that_asks(registered, kind):
    head = MODELS.build({"type": kind, **WIDTHS, "loss_decode": {"type": "HalvedLoss"}})
    assert type(head.loss_decode) is HalvedLoss


def test_the_innermost_library_that_asks_counts(registered):
    """mmseg and mmcls both have a CrossEntropyLoss."""

    class Outer(MODELS.get("mmcls.ClsHead")):
        def __init__(self):
            super().__init__(loss={"type": "CrossEntropyLoss"})
            self.inner = MODELS.build({"type": "Head", **WIDTHS})

    outer = MODELS.build({"type": Outer})
    assert type(outer.loss_module) is LOSSES["mmcls"]
    assert type(outer.inner.loss_decode) is LOSSES["mmseg"]


def test_a_config_names_no_library_by_chance():
    with pytest.raises(LussError, match=r"mmcls\.CrossEntropyLoss and mmseg\.CrossEntropyLoss"):
        require_known({"type": "CrossEntropyLoss"}, MODELS, "loss")
    with (
        pytest.raises(LussError, match=r"mmseg\.FCNHead") as caught,
        clear_build_errors("stages.finetune"),
    ):
        MODELS.build({"type": "FCNHead", **WIDTHS})
    assert "PassHead" not in str(caught.value)


def test_names_that_are_nowhere():
    with pytest.raises(LussError, match="did you mean 'PassHead'") as caught:
        require_known({"type": "PasHead"}, MODELS, "head")
    # Not those of all convolutions and norms that MMEngine and mmcv know.
    assert "BN3d" not in str(caught.value)
    assert len(str(caught.value)) < 1000
    with pytest.raises(LussError, match="PixelLabels"):
        require_known({"type": "PixelLabel_s"}, LABEL_WRITERS, "writer")
