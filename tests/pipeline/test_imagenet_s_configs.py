"""The configs of ImageNet-S run on trees of that layout; their settings: tests/configs."""

import json

import pytest
from made_up_tree import write_tree
from tiny_run import REPOSITORY, finish, start

from luss.configuration import read_config
from luss.pipeline import Pipeline

CONFIGS = REPOSITORY / "configs" / "pass"


@pytest.mark.parametrize("method", ["pass_s", "pass_p"])
@pytest.mark.parametrize("classes", [50, 300, 919])
def test_everything_is_known_and_fits(method, classes, tmp_path):
    config = read_config(CONFIGS / f"{method}_in{classes}.py", {"num_workers": 0})
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
@pytest.mark.parametrize("method", ["pass_s", "pass_p"])
def test_all_stages_run_on_300_classes(method, tmp_path):
    tree = write_tree(tmp_path / "tree")
    options = {
        "data_root": tree,
        "num_workers": 1,
        "stages__label_generation__test_cfg__generator__restarts": 1,
    }
    for stage in ("pretrain", "pixel_attention", "finetune"):
        # Two iterations of two photos.
        options[f"stages__{stage}__train_dataloader__batch_size"] = 2
        options[f"stages__{stage}__train_dataloader__dataset__indices"] = 4
        options[f"stages__{stage}__train_cfg__max_epochs"] = 1
    if method == "pass_p":
        # No epoch is left for the cosine.
        options["stages__pretrain__param_scheduler"] = "None"
    options |= {"crop_size": 64, "short_side": 64}
    config = CONFIGS / f"{method}_in300.py"
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
