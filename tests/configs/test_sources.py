"""Settings against sources that can be run: an installed library, and the paper's equation 4."""

from pathlib import Path

import mmselfsup
import numpy as np
import pytest
import torch
from mmengine import Config
from PIL import Image, ImageOps

from luss.configuration import read_config
from luss.models.objectives.d2s import d2s_loss
from luss.models.pretrainers.pass_pretrainer import weighted_total
from luss.registry import MODELS

CONFIGS = Path(__file__).parents[2] / "configs"
LIBRARY = Path(mmselfsup.__file__).parent / ".mim" / "configs" / "selfsup"
OUR_NAMES = {"RandomGaussianBlur": "GaussianBlur", "RandomSolarize": "Solarize"}
COLOURS = ("ColorJitter", "RandomGrayscale", *OUR_NAMES)
VIEWS = [
    ("pass_s_in300", "imagenet_swav_mcrop-2-6", ["view_pipeline1"]),
    ("pass_p_in300", "imagenet_byol", ["view_pipeline1", "view_pipeline2"]),
]


def library_colours(pipeline):
    """Colour augmentations of an mmselfsup pipeline that can happen, by luss' names."""
    found = []
    for step in pipeline:
        if step["type"] == "RandomApply":
            step = {**step["transforms"][0], "prob": step["prob"]}
        if step["type"] in COLOURS and step["prob"] > 0:
            kept = ("brightness", "contrast", "saturation", "hue")
            settings = {key: step[key] for key in kept if key in step}
            if step["type"] == "RandomGaussianBlur":
                settings["radius"] = (step["sigma_min"], step["sigma_max"])
            name = OUR_NAMES.get(step["type"], step["type"])
            found.append({"type": name, "probability": step["prob"], **settings})
    return found


@pytest.mark.parametrize(("config", "library", "pipelines"), VIEWS)
def test_colours_are_those_of_the_method(config, library, pipelines):
    pretrain = read_config(CONFIGS / "pass" / f"{config}.py").stages.pretrain
    ours = pretrain.model.data_preprocessor.augmentations
    theirs = Config.fromfile(LIBRARY / "_base_" / "datasets" / f"{library}.py")
    for view, pipeline in zip([ours] if len(pipelines) == 1 else ours, pipelines, strict=True):
        expected = library_colours(theirs[pipeline])
        assert [
            {key: step[key] for key in wanted} for step, wanted in zip(view, expected, strict=True)
        ] == expected


def test_pass_p_solarises_the_levels_that_pillow_does():
    """BYOL and PixPro call Pillow's solarize with its own threshold."""
    model = read_config(CONFIGS / "pass" / "pass_p_in300.py").stages.pretrain.model
    ours = model.data_preprocessor.augmentations[1][-1]
    levels = np.arange(256, dtype=np.uint8)[None]
    expected = np.array(ImageOps.solarize(Image.fromarray(levels)))
    solarize = MODELS.build(dict(ours, probability=1.0))
    found = solarize(torch.from_numpy(levels / 255).float().expand(1, 3, 1, 256))
    torch.testing.assert_close(found[0, 0] * 255, torch.from_numpy(expected).float())


def test_pass_p_has_byols_normalisation_projector_and_momentum():
    """Where PixPro follows BYOL; its own rate, weight decay and propagation are not BYOL's."""
    ours = read_config(CONFIGS / "pass" / "pass_p_in300.py").stages.pretrain.model
    theirs = Config.fromfile(LIBRARY / "_base_" / "models" / "byol.py").model
    for key in ("mean", "std"):
        values = [255 * value for value in ours.data_preprocessor[key]]
        assert values == pytest.approx(theirs.data_preprocessor[key])
    pixpro = ours.objectives.pixpro
    assert pixpro.hidden_channels == theirs.neck.hid_channels
    assert pixpro.embedding_channels == theirs.neck.out_channels
    assert pixpro.momentum == theirs.base_momentum


def test_pass_s_follows_swav_where_the_paper_says_so():
    """Section 5.1: "same as SwAV" for queue and prototypes, rate and code settings likewise."""
    ours = read_config(CONFIGS / "pass" / "pass_s_in300.py").stages.pretrain
    name = "swav_resnet50_8xb32-mcrop-2-6-coslr-200e_in1k-224-96.py"
    theirs = Config.fromfile(LIBRARY / "swav" / name)
    clustering, loss = ours.model.objectives.clustering, theirs.model.head.loss
    (hook,) = theirs.custom_hooks
    assert {key: clustering[key] for key in ("epsilon", "temperature", "hidden_channels")} == {
        "epsilon": loss.epsilon,
        "temperature": loss.temperature,
        "hidden_channels": theirs.model.neck.hid_channels,
    }
    assert clustering.embedding_channels == loss.feat_dim == theirs.model.neck.out_channels
    assert clustering.queue_length == hook.queue_length
    assert clustering.queue_start_epoch == hook.epoch_queue_starts
    assert clustering.frozen_prototype_iters == hook.frozen_layers_cfg.prototypes
    assert ours.train_dataloader.batch_size == hook.batch_size
    assert ours.train_dataloader.drop_last == theirs.train_dataloader.drop_last
    optimizer = ours.optim_wrapper.optimizer
    assert optimizer.lr == theirs.optim_wrapper.optimizer.lr
    assert ours.param_scheduler[0].eta_min == theirs.param_scheduler[0].eta_min


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
    found, _ = weighted_total(losses, {"loss_d2s": model.loss_weights.loss_d2s}, ["d2s"])
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
