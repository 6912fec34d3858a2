"""Settings against sources that can be run: an installed library, and the paper's equation 4."""

from pathlib import Path

import mmselfsup
import pytest
import torch
from mmengine import Config

from luss.configuration import read_config
from luss.models.objectives.d2s import d2s_loss
from luss.models.pretrainers.pass_pretrainer import weighted_total

CONFIGS = Path(__file__).parents[2] / "configs"
LIBRARY = Path(mmselfsup.__file__).parent / ".mim" / "configs" / "selfsup" / "_base_" / "datasets"
OUR_NAMES = {"RandomGaussianBlur": "GaussianBlur", "RandomSolarize": "Solarize"}
COLOURS = ("ColorJitter", "RandomGrayscale", *OUR_NAMES)


def library_colours(pipeline):
    """Colour augmentations of an mmselfsup pipeline that can happen, by luss' names."""
    found = []
    for step in pipeline:
        if step["type"] == "RandomApply":
            step = {**step["transforms"][0], "prob": step["prob"]}
        if step["type"] in COLOURS and step["prob"] > 0:
            kept = ("brightness", "contrast", "saturation", "hue")
            settings = {key: step[key] for key in kept if key in step}
            name = OUR_NAMES.get(step["type"], step["type"])
            found.append({"type": name, "probability": step["prob"], **settings})
    return found


@pytest.mark.parametrize(
    ("config", "library", "pipelines"),
    [
        ("pass_s_in300", "imagenet_swav_mcrop-2-6", ["view_pipeline1"]),
        ("pass_p_in300", "imagenet_byol", ["view_pipeline1", "view_pipeline2"]),
    ],
)
def test_colours_are_those_of_the_method(config, library, pipelines):
    pretrain = read_config(CONFIGS / "pass" / f"{config}.py").stages.pretrain
    ours = pretrain.model.data_preprocessor.augmentations
    theirs = Config.fromfile(LIBRARY / f"{library}.py")
    for view, pipeline in zip([ours] if len(pipelines) == 1 else ours, pipelines, strict=True):
        expected = library_colours(theirs[pipeline])
        assert [
            {key: step[key] for key in wanted} for step, wanted in zip(view, expected, strict=True)
        ] == expected


def cross_entropy(codes, scores):
    return -(codes * torch.log_softmax(scores / 0.1, dim=1)).sum(dim=1).mean()


@pytest.mark.parametrize("name", sorted(path.stem for path in CONFIGS.glob("ablations/*.py")))
def test_d2s_weighs_as_equation_4_in_pass_p_and_as_the_code_in_pass_s(name, monkeypatch):
    monkeypatch.setenv("LUSS_ABLATIONS", "in300")
    model = read_config(CONFIGS / "ablations" / f"{name}.py").stages.pretrain.model
    if "d2s" not in model.objectives:
        return
    torch.manual_seed(0)
    codes = torch.softmax(torch.randn(2, 5, 7), dim=2)
    stages = model.objectives.d2s.stages
    scores = {f"loss_d2s_stage{stage}": torch.randn(2, 5, 7) for stage in stages}
    losses = {key: d2s_loss(of_stage, codes, 0.1) for key, of_stage in scores.items()}
    found, _ = weighted_total(losses, {"loss_d2s": model.loss_weights.loss_d2s})
    both = [
        cross_entropy(codes[0], of_stage[1]) + cross_entropy(codes[1], of_stage[0])
        for of_stage in scores.values()
    ]
    if "pixpro" in model.objectives:
        torch.testing.assert_close(found, sum(both) / len(stages))
    else:
        # The released code: the mean of L_e and each stage's D2S, itself a mean of directions.
        torch.testing.assert_close(found, sum(both) / 2 / (1 + len(stages)))
        assert model.loss_weights.loss_clustering == pytest.approx(1 / (1 + len(stages)))
