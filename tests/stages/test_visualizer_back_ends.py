"""Back ends of the visualizer, such as Weights & Biases: passed through, or refused at once."""

import importlib.util

import pytest
from mmengine import Config
from tiny_run import read_tiny, run_tiny

from luss.engine.preflight import _LIBRARIES
from luss.errors import LussError
from luss.pipeline import Context, Pipeline
from luss.pipeline.resolving import resolved_stage
from luss.registry import VISBACKENDS

OFFLINE = {"type": "WandbVisBackend", "init_kwargs": {"mode": "offline", "project": "mine"}}
ABSENT = {
    back_end: library
    for back_end, library in _LIBRARIES.items()
    if importlib.util.find_spec(library) is None
}


def with_back_end(back_end, **options):
    config = read_tiny(**options)
    config.visualizer = {"type": "Visualizer", "vis_backends": [back_end]}
    return config


def test_all_back_ends_of_mmengine_are_known():
    VISBACKENDS.import_from_location()
    theirs = {name for name in VISBACKENDS.parent.module_dict if name.endswith("VisBackend")}
    assert theirs - {"LocalVisBackend"} == set(_LIBRARIES)


@pytest.mark.parametrize("back_end", ABSENT)
def test_an_absent_library_is_named_before_training(back_end, tmp_path):
    said = rf"visualizer\.vis_backends: {back_end} needs {ABSENT[back_end]}, .*pip install"
    with pytest.raises(LussError, match=said):
        Pipeline(with_back_end({"type": back_end}), str(tmp_path)).run()
    assert not list(tmp_path.glob("**/vis_data"))


def test_settings_in_quotes_are_refused(tmp_path):
    with pytest.raises(LussError, match=r"vis_backends is 'dict\(type=Wandb.*expected a dict"):
        run_tiny(tmp_path, visualizer__vis_backends=["dict(type=WandbVisBackend)"])


def test_settings_reach_the_runner(tmp_path):

    pipeline = Pipeline(with_back_end(OFFLINE), str(tmp_path))
    context = Context(pipeline.config, pipeline.work_dir, planned=True)
    for name in ("pretrain", "finetune", "evaluate"):
        found = Config(resolved_stage(pipeline.stages[name], context).runner_config(context))
        assert found.visualizer.vis_backends == [OFFLINE]


def test_scalars_reach_an_offline_run_of_wandb(tmp_path):
    pytest.importorskip("wandb")
    Pipeline(with_back_end(OFFLINE), str(tmp_path)).run("pretrain")
    (run,) = tmp_path.glob("pretrain/*/vis_data/wandb/offline-run-*/run-*.wandb")
    assert b"loss_clustering" in run.read_bytes()
