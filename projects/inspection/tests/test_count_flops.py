"""Parameters and multiply-adds by hand, by MMEngine's function, and as published."""

import pytest
import torch
from mmengine.analysis import get_model_complexity_info
from mmengine.registry import init_default_scope
from tiny_run import REPOSITORY, TINY

from inspection.count_flops import count_complexity
from luss.errors import LussError
from luss.registry import MODELS

NARROW = {"type": "mmselfsup.ResNet", "depth": 18, "stem_channels": 8, "base_channels": 8}


def rows(said):
    cells = [line.strip("|").split("|") for line in said.splitlines() if line.startswith("|")]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in cells[1:]}


class OneConvolution(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.backbone = torch.nn.Conv2d(3, 5, 3, stride=2, padding=1, bias=False)
        self.frozen = torch.nn.Linear(4, 2).requires_grad_(False)


def test_by_hand():
    found = count_complexity(OneConvolution(), (8, 6))
    assert (found.parameters, found.trained) == (5 * 3 * 9 + 10, 5 * 3 * 9)
    assert found.multiply_adds == 4 * 3 * 5 * 3 * 9
    assert found.activations == 5 * 4 * 3


def test_a_segmentor_as_mmengine_counts_it():
    config = {"type": "PassSegmentor", "backbone": {**NARROW, "out_indices": (4,)},
              "decode_head": {"type": "PassHead", "num_classes": 4}}  # fmt: skip
    init_default_scope("luss")
    model = MODELS.build(config).eval()
    found = count_complexity(model, (64, 64))
    theirs = get_model_complexity_info(model, (3, 64, 64), show_table=False, show_arch=False)
    assert (found.multiply_adds, found.parameters) == (theirs["flops"], theirs["params"])
    assert found.activations == theirs["activations"]


def test_a_model_that_takes_no_such_image():
    model = OneConvolution()
    model.backbone = torch.nn.Conv2d(3, 5, 9)
    with pytest.raises(LussError, match=r"stages\.x\.model: .* image of 4 x 4 .*another --shape"):
        count_complexity(model, (4, 4), "stages.x.model")


def test_the_stages_of_a_run(tmp_path, command):
    found = rows(command("count_flops", TINY, "--work-dir", tmp_path, "--shape", 64))
    assert list(found) == ["pretrain", "pixel_attention", "label_generation", "finetune",
                           "evaluate"]  # fmt: skip
    assert found["finetune"] == found["evaluate"]
    assert found["pretrain"][3] == found["pixel_attention"][3]


def test_resnet_18_as_published_without_looking_at_data(command):
    config = REPOSITORY / "configs" / "pass" / "pass_s_in50.py"
    found = rows(command("count_flops", config, "--stage", "pretrain"))
    # He et al. (2016), table 1: 1.8 billion multiply-adds.
    assert found["pretrain"][3] == "1.82 G"


@pytest.mark.parametrize("shape", [(0,), (2, 3, 4)])
def test_shapes(command, tmp_path, shape):
    with pytest.raises(LussError, match="one or two numbers"):
        command("count_flops", TINY, "--work-dir", tmp_path, "--shape", *shape)
