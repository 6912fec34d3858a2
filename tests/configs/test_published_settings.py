"""Every resolved setting of the configs against the published ones, read off built objects."""

import functools
from pathlib import Path

import pytest
import torch
from described import built, describe, write_root
from facts import table
from facts_of_configs import OTHER_BACKBONES, PRIORS, PUBLISHED, SHARED, UNPUBLISHED
from torch import nn

from luss.configuration import read_config
from luss.pipeline.resolving import resolved_stage
from luss.registry import MODELS

CONFIGS = Path(__file__).parents[2] / "configs"
FOLDERS = ("pass", "semi_supervised", "distance_matching", "pretrained")


@functools.cache
def read(name):
    """A config, read once; ``built`` works on a copy."""
    return read_config(CONFIGS / name)


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    return write_root(tmp_path_factory.mktemp("split_root"))


def test_every_config_has_its_facts():
    """A new config is either published, with a table of its own, or said to be none."""
    found = {
        str(path.relative_to(CONFIGS)) for name in FOLDERS for path in CONFIGS.glob(f"{name}/*.py")
    }
    known = {*PUBLISHED, *UNPUBLISHED, *OTHER_BACKBONES, *PRIORS}
    assert found == known


@pytest.mark.parametrize("name", [*PUBLISHED, *UNPUBLISHED])
def test_stages(name):
    tables = UNPUBLISHED[name] if name in UNPUBLISHED else PUBLISHED[name][1]
    assert list(read(name).stages) == list(tables)


@pytest.mark.parametrize("name", PUBLISHED)
def test_top_level(name):
    config = read(name)
    assert config.data_root is None
    assert config.data == {"type": "auto"}
    # The released code's seed; distance matching draws nothing.
    assert config.seed == (0 if name.startswith("distance") else 10010)
    for key in ("weights", "num_categories"):
        assert config.get(key) is None


def stages_of(configs):
    """Those that are not another config's: the first step of the semi-supervised ones is."""
    for name in configs:
        tables = configs[name][1] if isinstance(configs[name], tuple) else configs[name]
        for stage in tables:
            if not (name.startswith("semi_supervised") and stage == "pretrain"):
                yield name, stage


@pytest.mark.parametrize(("name", "stage"), stages_of(PUBLISHED))
def test_settings(name, stage, root, tmp_path):
    split, tables = PUBLISHED[name]
    with built(read(name), root, tmp_path) as (pipeline, context):
        found = describe(stage, pipeline, context)
    expected = table(tables[stage], split)
    assert found.keys() == expected.keys()
    wrong = {key: found[key] for key in expected if found[key] != expected[key]}
    assert not wrong, {key: expected[key] for key in wrong}


@pytest.mark.parametrize(("name", "stage"), stages_of(UNPUBLISHED))
def test_shared_settings(name, stage, root, tmp_path):
    with built(read(name), root, tmp_path) as (pipeline, context):
        found = describe(stage, pipeline, context)
    expected = table(UNPUBLISHED[name][stage], 300)
    shared = [key for key in SHARED[stage] if key in expected]
    assert {key: found[key] for key in shared} == {key: expected[key] for key in shared}
    if "k-means" in found:
        # One process suffices for a few thousand photos, so that it can be the released code's.
        name, settings = found["k-means"]
        assert name == "FaissKMeans"
        for key in ("iterations", "restarts"):
            assert settings[key] == expected["k-means"][1][key]
    if "clustering" in found:
        for key in ("sinkhorn_iterations", "temperature", "num_assigning_crops"):
            assert found["clustering"][key] == expected["clustering"][key]


@pytest.mark.parametrize("name", PRIORS)
def test_a_shape_prior_changes_label_generation_alone(name, root, tmp_path):
    without, tables = PRIORS[name]
    ours, theirs = read(name), read(without)
    assert {stage for stage in theirs.stages if ours.stages[stage] != theirs.stages[stage]} == {
        "label_generation",
        "report",
    }
    assert list(ours.stages) == list(theirs.stages)
    rest = theirs.keys() - {"stages"}
    assert {key: ours[key] for key in rest} == {key: theirs[key] for key in rest}
    for stage, rows in tables.items():
        with built(ours, root, tmp_path / stage) as (pipeline, context):
            found = describe(stage, pipeline, context)
        expected = table(rows, 50)
        keys = expected if without in PUBLISHED else SHARED[stage]
        assert {key: found[key] for key in keys} == {key: expected[key] for key in keys}


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name.startswith("semi")])
def test_semi_supervised_recipes_pretrain_as_pass_does(name):
    config = read(name)
    whole = read(f"pass/pass_s_in{PUBLISHED[name][0]}.py")
    pretrain = config.stages.pretrain
    assert pretrain == whole.stages.pretrain


@pytest.mark.parametrize("stage", ["pretrain", "pixel_attention", "finetune"])
@torch.no_grad()
def test_initial_weights(stage, root, tmp_path):
    """Convolutions Kaiming-normal by fan-out, no BN at zero, Linear layers PyTorch's default."""
    torch.manual_seed(0)
    with built(read("pass/pass_s_in50.py"), root, tmp_path) as (run, context):
        model = MODELS.build(resolved_stage(run.stages[stage], context).model_config(context))
    model.init_weights()
    convolutions = 0
    for name, part in model.named_modules():
        if isinstance(part, nn.Conv2d):
            fan_out = part.out_channels * part.kernel_size[0] ** 2
            scaled = float(part.weight.std()) / (2 / fan_out) ** 0.5
            assert scaled == pytest.approx(1, abs=5 / part.weight.numel() ** 0.5), name
            convolutions += 1
        elif isinstance(part, nn.Linear):
            bound = part.in_features**-0.5
            assert 0.99 * bound < float(part.weight.abs().max()) <= bound, name
        elif isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d) and part.affine:
            assert bool((part.weight == 1).all()) and not part.bias.any(), name
    assert convolutions >= 20
