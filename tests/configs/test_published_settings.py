"""Every resolved setting of the configs against the published ones, read off built objects."""

from pathlib import Path

import pytest
from described import built, describe, write_root
from facts import PUBLISHED, SHARED, UNPUBLISHED, table

from luss.configuration import read_config

CONFIGS = Path(__file__).parents[2] / "configs"
FOLDERS = ("pass", "semi_supervised", "distance_matching")


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    return write_root(tmp_path_factory.mktemp("split_root"))


def test_every_config_has_its_facts():
    """A new config is either published, with a table of its own, or said to be none."""
    found = {
        str(path.relative_to(CONFIGS)) for name in FOLDERS for path in CONFIGS.glob(f"{name}/*.py")
    }
    assert found == PUBLISHED.keys() | UNPUBLISHED.keys()


@pytest.mark.parametrize("name", [*PUBLISHED, *UNPUBLISHED])
def test_stages(name):
    tables = UNPUBLISHED[name] if name in UNPUBLISHED else PUBLISHED[name][1]
    assert list(read_config(CONFIGS / name).stages) == list(tables)


@pytest.mark.parametrize("name", PUBLISHED)
def test_top_level(name):
    config = read_config(CONFIGS / name)
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
    with built(read_config(CONFIGS / name), root, tmp_path) as (pipeline, context):
        found = describe(stage, pipeline, context)
    expected = table(tables[stage], split)
    assert found.keys() == expected.keys()
    wrong = {key: found[key] for key in expected if found[key] != expected[key]}
    assert not wrong, {key: expected[key] for key in wrong}


@pytest.mark.parametrize(("name", "stage"), stages_of(UNPUBLISHED))
def test_shared_settings(name, stage, root, tmp_path):
    with built(read_config(CONFIGS / name), root, tmp_path) as (pipeline, context):
        found = describe(stage, pipeline, context)
    expected = table(UNPUBLISHED[name][stage], 300)
    shared = SHARED[stage]
    assert {key: found[key] for key in shared} == {key: expected[key] for key in shared}
    if "clustering" in found:
        for key in ("sinkhorn_iterations", "temperature", "num_assigning_crops"):
            assert found["clustering"][key] == expected["clustering"][key]


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name.startswith("semi")])
def test_semi_supervised_recipes_pretrain_as_pass_does(name):
    config = read_config(CONFIGS / name)
    whole = read_config(CONFIGS / "pass" / f"pass_s_in{PUBLISHED[name][0]}.py")
    pretrain = config.stages.pretrain
    assert pretrain.type == "PretrainStage"
    assert dict(pretrain, type="TrainStage") == whole.stages.pretrain
