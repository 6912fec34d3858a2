"""The configs of ImageNet-S have the paper's settings, and run on trees of that layout."""

import json

import pytest
from made_up_tree import write_tree
from tiny_run import REPOSITORY, finish, start

from luss.configuration import read_config
from luss.pipeline import Pipeline

CONFIGS = REPOSITORY / "configs" / "pass"

# Section 4 of the paper, and where it says nothing, the released code.
SETTINGS = {
    50: {
        "depth": 18,
        "hidden_channels": 512,
        "num_prototypes": 500,
        "queue_length": 2048,
        "frozen_prototype_iters": 1001,
        "max_epochs": 200,
        "split": "train",
        "views": [(2, 224, (0.14, 1.0)), (6, 96, (0.05, 0.14))],
        "attention_rate": 6.0,
    },
    300: {
        "depth": 50,
        "hidden_channels": 2048,
        "num_prototypes": 3000,
        "queue_length": 3840,
        "frozen_prototype_iters": 5005,
        "max_epochs": 100,
        "split": "train",
        "views": [(2, 224, (0.08, 1.0))],
        "attention_rate": 0.6,
    },
}
SETTINGS[919] = {**SETTINGS[300], "split": "train-full"}


@pytest.mark.parametrize("classes", [50, 300, 919])
def test_settings(classes):
    expected = SETTINGS[classes]
    stages = read_config(CONFIGS / f"pass_s_in{classes}.py").stages
    pretrain, attention, finetune = (
        stages[name] for name in ("pretrain", "pixel_attention", "finetune")
    )
    clustering = pretrain.model.objectives.clustering
    for stage in (pretrain, attention, finetune):
        assert stage.model.backbone.depth == expected["depth"]
        loader = stage.train_dataloader
        # Eight processes.
        assert loader.batch_size * 8 == 256
        assert loader.drop_last
        optimizer = stage.optim_wrapper.optimizer
        assert (optimizer.type, optimizer.momentum) == ("LARS", 0.9)
        assert optimizer.weight_decay == 1e-6
        assert [schedule.eta_min for schedule in stage.param_scheduler] == [6e-4]
    for objective in pretrain.model.objectives.values():
        assert objective.hidden_channels == expected["hidden_channels"]
    for name in ("num_prototypes", "queue_length", "frozen_prototype_iters"):
        assert clustering[name] == expected[name]
    assert clustering.queue_start_epoch == 15
    assert (clustering.epsilon, clustering.temperature) == (0.05, 0.1)
    assert list(pretrain.model.objectives.d2s.in_channels) == [3]
    assert pretrain.train_cfg.max_epochs == expected["max_epochs"]
    assert pretrain.train_dataloader.dataset.split == expected["split"]
    views = pretrain.train_dataloader.dataset.pipeline[1].views
    assert [(view.count, view.size, tuple(view.scale)) for view in views] == expected["views"]
    assert pretrain.optim_wrapper.optimizer.lr == 0.6

    assert attention.model.clustering.queue_length == 3840
    assert attention.model.clustering.queue_start_epoch == 0
    assert attention.model.clustering.frozen_prototype_iters == 0
    assert attention.optim_wrapper.optimizer.lr == expected["attention_rate"]
    (views,) = attention.train_dataloader.dataset.pipeline[1].views
    assert (views.count, views.size, tuple(views.scale)) == (2, 224, (0.08, 1.0))
    assert attention.train_cfg.max_epochs == finetune.train_cfg.max_epochs == 20
    for stage in (attention, finetune):
        assert stage.train_dataloader.dataset.split == "train"
    assert finetune.optim_wrapper.optimizer.lr == 0.6
    generator = stages.label_generation.generator
    assert (generator.iterations, generator.restarts) == (20, 30)


@pytest.mark.parametrize("classes", [50, 300, 919])
def test_everything_is_known_and_fits(classes, tmp_path):
    config = read_config(CONFIGS / f"pass_s_in{classes}.py", {"num_workers": 0})
    tree = write_tree(tmp_path / "tree", classes=3, images=11)
    if classes == 919:
        (tree / "train-full").symlink_to(tree / "train")
    config.data_root = str(tree)
    pipeline = Pipeline(config, str(tmp_path / "run"))
    with pipeline.opened() as context:
        for stage in pipeline.stages.values():
            pipeline.check(stage, context, made=list(pipeline.stages))
        assert context.num_categories == 3


@pytest.mark.slow
def test_all_stages_run_on_300_classes(tmp_path):
    tree = write_tree(tmp_path / "tree")
    whole = "stages__label_generation__pixels__pipeline"
    options = {
        "data_root": tree,
        "num_workers": 1,
        "stages__label_generation__generator__restarts": 1,
    }
    for stage in ("pretrain", "pixel_attention", "finetune"):
        # Two iterations of two photos.
        options[f"stages__{stage}__train_dataloader__batch_size"] = 2
        options[f"stages__{stage}__train_dataloader__dataset__indices"] = 4
        options[f"stages__{stage}__train_cfg__max_epochs"] = 1
    for stage in ("pretrain", "pixel_attention"):
        options[f"stages__{stage}__train_dataloader__dataset__pipeline__1__views__0__size"] = 64
    # Small photos for the other stages, which are whole.
    options["stages__label_generation__embedding__pipeline__1__size"] = 32
    options["stages__label_generation__embedding__pipeline__2__crop_size"] = 32
    options[f"{whole}__2__size"] = 32
    options["stages__evaluate__pipeline__2__size"] = 32
    config = CONFIGS / "pass_s_in300.py"
    code, said = finish(start("train.py", config, "--work-dir", tmp_path / "run", **options), 3000)
    assert code == 0, said
    run = tmp_path / "run"
    for stage in ("pretrain", "pixel_attention", "finetune"):
        assert json.loads((run / stage / "done.json").read_text())["iterations"] == 2
    assert len(list(run.glob("label_generation/pseudo_labels/*/*.png"))) == 600
    for split in ("validation", "test"):
        assert len(list(run.glob(f"evaluate/predictions/{split}/*/*.png"))) == 600
    results = json.loads((run / "results.json").read_text())["fully_unsupervised"]
    # The masks of test are not public: there is nothing to compare with.
    assert list(results) == ["val"]
