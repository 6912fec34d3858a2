"""What a config or an option says either happens or is refused."""

import argparse
import inspect
import io
import logging
import re

import pytest
from mmengine.logging import MMLogger
from mmengine.runner import Runner
from mmengine.runner import runner as runner_module

from luss.configuration import SETTINGS, ConfigOptions, read_config, read_option, write_config
from luss.errors import LussError
from luss.pipeline import Pipeline

PASS_S = "configs/pass/pass_s_in300.py"


@pytest.fixture(autouse=True)
def _in_the_repository(monkeypatch, request):
    monkeypatch.chdir(request.config.rootpath)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("lars.optimizer", "'lars' is a variable of .*stages.finetune.optim_wrapper.optimizer"),
        ("lars.optimizer.lr", "stages.pretrain.optim_wrapper.optimizer.lr, stages.pixel_att"),
        ("num_catgories", "no setting 'num_catgories'; did you mean 'num_categories'"),
        ("stages.pretrian.seed", "no stage 'pretrian'; did you mean 'pretrain'"),
    ],
)
def test_option_that_would_change_nothing(option, message):
    with pytest.raises(LussError, match=message):
        read_config(PASS_S, {option: 18})


def test_weights_where_a_stage_takes_them():
    config = read_config("configs/semi_supervised/pass_s_in300_lars.py", {"weights": "a.pth"})
    assert config.weights == "a.pth"
    config = read_config("configs/distance_matching/resnet50.py", {"weights": "a.pth"})
    assert config.weights == "a.pth"


def test_keys_that_are_numbers(tmp_path):
    path = tmp_path / "child.py"
    path.write_text("stages = dict(a=dict(type='Report', in_channels={3: 1024, 4: 8}))\n")
    config = read_config(path, {"stages.a.in_channels.3": 256})
    assert config.stages.a.in_channels == {3: 256, 4: 8}
    config = read_config(PASS_S, {"stages.pretrain.param_scheduler.0.eta_min": 0.1})
    assert config.stages.pretrain.param_scheduler[0].eta_min == 0.1


def test_a_stage_can_be_added_by_its_type():
    config = read_config(PASS_S, {"stages.distance_matching.type": "Test"})
    assert list(config.stages)[-1] == "distance_matching"


def test_misspelt_setting_in_a_file(tmp_path):
    path = tmp_path / "child.py"
    path.write_text("num_catgories = 20\nwidth = 3\nstages = dict(a=dict(type='Report'))\n")
    with pytest.raises(LussError, match=r"'num_catgories'.* 'num_categories'"):
        read_config(path)
    path.write_text("width = 3\nstages = dict(a=dict(type='Report'))\n")
    assert read_config(path).width == 3


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("README.md", "# luss", "cannot read .*README.md "),
        ("broken.py", "stages = dict(\n", "broken.py .*: SyntaxError"),
        ("raises.py", "stages = nothing\n", "raises.py .*: NameError"),
        ("empty.py", "", "empty.py has no 'stages'"),
    ],
)
def test_files_that_are_no_config(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(LussError, match=message) as error:
        read_config(tmp_path / name)
    assert "\n" not in str(error.value)


def parse(*texts):
    parser = argparse.ArgumentParser()
    parser.add_argument("--cfg-options", nargs="+", action=ConfigOptions)
    return parser.parse_args(["--cfg-options", *texts]).cfg_options


def test_folder_names_stay_as_written():
    assert parse("data_root=my photos") == {"data_root": "my photos"}
    folder = "stages.label_generation.test_cfg.foreground.folder"
    assert parse("data_root=a,b", "weights=2024", "stages.report.title=(x)", f"{folder}=c,d") == {
        "data_root": "a,b",
        folder: "c,d",
        "weights": "2024",
        "stages.report.title": "(x)",
    }
    assert parse("data_root=a=b") == {"data_root": "a=b"}


def test_other_values_are_read_as_mmengine_does():
    assert parse("seed=3", "a=1,2", "b=[(1,2),x]", "c=None", "d=true", "weights=None") == {
        "seed": 3,
        "a": [1, 2],
        "b": [(1, 2), "x"],
        "c": None,
        "d": True,
        "weights": None,
    }


@pytest.mark.parametrize("text", ["seed", "=3", "a=[1,2"])
def test_texts_that_are_no_options(text, capsys):
    with pytest.raises(SystemExit) as stop:
        parse(text)
    assert stop.value.code == 2
    assert "Traceback" not in capsys.readouterr().err


def order(tmp_path, text, options=None):
    path = tmp_path / "child.py"
    path.write_text(f"_base_ = 'luss::pass/pass_s_in300.py'\n{text}\n")
    config = read_config(path, options)
    assert not any(key in stage for stage in config.stages.values() for key in ("after", "before"))
    return list(config.stages)


def test_a_stage_is_inserted_without_writing_the_others_again(tmp_path):
    text = "stages = dict(mine=dict(type='Report', after='label_generation'))"
    expected = ["pretrain", "pixel_attention", "label_generation", "mine", "finetune"]
    assert order(tmp_path, text)[:5] == expected
    text = "stages = dict(mine=dict(type='Report', before='pretrain'))"
    assert order(tmp_path, text)[:2] == ["mine", "pretrain"]


def test_inserted_stages_may_stand_beside_each_other(tmp_path):
    text = (
        "stages = dict(one=dict(type='Report', after='pretrain'),\n"
        "              two=dict(type='Report', after='one'))"
    )
    assert order(tmp_path, text)[:4] == ["pretrain", "one", "two", "pixel_attention"]


def test_a_stage_is_inserted_by_options(tmp_path):
    options = {"stages.mine.type": "Report", "stages.mine.after": "finetune"}
    assert order(tmp_path, "", options)[3:6] == ["finetune", "mine", "evaluate"]


def test_none_removes_a_stage(tmp_path):
    *expected, last = order(tmp_path, "")
    assert last == "report"
    assert order(tmp_path, "stages = dict(report=None)") == expected
    assert order(tmp_path, "", {"stages.report": None}) == expected
    with pytest.raises(LussError, match="'finetune'"):
        Pipeline(read_config(PASS_S, {"stages.finetune": None}), str(tmp_path))


@pytest.mark.parametrize("place", ["after='pretrian'", "after='mine'", "after='a', before='b'"])
def test_places_that_are_none(tmp_path, place):
    with pytest.raises(LussError, match=r"expected either after or before, .*: pretrain, pixel"):
        order(tmp_path, f"stages = dict(mine=dict(type='Report', {place}))")


def test_dicts_in_options_are_refused():
    with pytest.raises(LussError, match="the value is a dict, expected"):
        read_option("visualizer.vis_backends=[dict(type=A,b=1)]")


def read_text(tmp_path, text, base="luss::pass/pass_s_photos.py"):
    path = tmp_path / "child.py"
    path.write_text(f"_base_ = '{base}'\n{text}\n")
    return read_config(path)


def keys_of_the_runner():
    """What MMEngine's runner takes, as an argument or from its configuration."""
    found = set(inspect.signature(Runner.__init__).parameters) - {"self", "cfg"}
    return found | set(
        re.findall(r"\bself\.cfg\.get\(\s*'(\w+)'", inspect.getsource(runner_module))
    )


@pytest.mark.parametrize("key", sorted(keys_of_the_runner() - set(SETTINGS) - {"auto_scale_lr"}))
def test_keys_of_the_runner_have_no_effect_at_the_top_level(tmp_path, key):
    with pytest.raises(LussError, match=f"child.py sets '{key}' to .*'a': 1.*: .{{20}}") as in_file:
        read_text(tmp_path, f"{key} = dict(a=1)")
    with pytest.raises(LussError, match=f"option {key}={{'a': 1}} has no") as as_option:
        read_config("configs/pass/pass_s_photos.py", {key: {"a": 1}})
    remedy = re.search(r"top level: (.*?)\. If", str(in_file.value))[1]
    assert remedy in str(as_option.value)
    assert "{" not in remedy


def test_the_remedy_names_the_stage(tmp_path):
    with pytest.raises(LussError, match=r"set stages\.pretrain\.custom_hooks"):
        read_text(tmp_path, "custom_hooks = [dict(type='EMAHook')]")
    with pytest.raises(LussError, match=r"'seed', and stages\.pretrain\.randomness"):
        read_text(tmp_path, "randomness = dict(seed=3)")
    text = "stages = dict(pretrain=dict(pretrained=None))\nweights = 'a.pth'"
    with pytest.raises(LussError, match=r"sets 'weights' to 'a\.pth'.*no stage .* takes weights"):
        read_text(tmp_path, text, "luss::pass/pass_s_in300.py")


def test_variables_may_be_called_like_keys_of_the_runner(tmp_path):
    own = read_text(
        tmp_path,
        "model = dict(type='SimSiam')\ncustom_hooks = None\n"
        "stages = dict(pretrain=dict(model=dict(model, _delete_=True)))",
    )
    assert own.stages.pretrain.model == {"type": "SimSiam"}
    # A run writes its config down with the options merged, and reads that again.
    write_config(tmp_path / "written.py", own)
    assert read_config(tmp_path / "written.py", {"stages.pretrain.model.x": 1}).stages.pretrain
    (tmp_path / "base.py").write_text((tmp_path / "child.py").read_text())
    grandchild = tmp_path / "grandchild.py"
    grandchild.write_text(
        "_base_ = 'base.py'\nmodel = dict(neck=dict(type='A'))\n"
        "stages = dict(pretrain=dict(model={{_base_.model}}))\n"
    )
    assert read_config(grandchild).stages.pretrain.model.type == "SimSiam"


def test_keys_that_a_library_sets_are_named_and_left_out(tmp_path, monkeypatch):
    log = io.StringIO()
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, "handlers", [logging.StreamHandler(log)])
    path = tmp_path / "child.py"
    path.write_text(
        "_base_ = 'mmselfsup::selfsup/simsiam/simsiam_resnet50_8xb32-coslr-100e_in1k.py'\n"
        "stages = dict(pretrain=dict(type='Train', model={{_base_.model}}, optim_wrapper="
        "dict(), train_cfg=dict(), train_dataloader=dict(dataset=dict())))\n"
    )
    config = read_config(path)
    assert not set(config) & keys_of_the_runner() - set(SETTINGS)
    assert re.search("optim_wrapper.*train_dataloader.* no effect", log.getvalue())
    assert "model," not in log.getvalue()


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("stages", 5, "stages is 5, expected a dict of stages"),
        ("stages.pretrain", 5, r"stages\.pretrain is 5"),
        ("data", "PhotoFolder", r"data is 'PhotoFolder', .*data\.type="),
        ("seed", "abc", "seed is 'abc', expected an integer in 0"),
        ("default_hooks", 3, "default_hooks is 3"),
        ("stages.finetune.seed", -1, r"stages\.finetune\.seed is -1"),
        ("stages.finetune.model", "ResNet", r"finetune\.model is 'ResNet'"),
        ("stages.finetune.custom_hooks", None, r"finetune\.custom_hooks is None, expected a list"),
        ("stages.finetune.optim_wrapper", "SGD", r"finetune\.optim_wrapper is 'SGD'"),
        ("stages.finetune.train_cfg", 20, r"finetune\.train_cfg is 20"),
        ("stages.finetune.train_cfg.max_epochs", "abc", r"max_epochs is 'abc', expected an int"),
        ("stages.finetune.train_cfg.max_epochs", -4, "max_epochs is -4"),
        ("stages.finetune.train_cfg.max_epochs", 2.5, r"max_epochs is 2\.5"),
        ("stages.finetune.train_dataloader", [4], r"train_dataloader is \[4\]"),
        ("stages.finetune.train_dataloader.batch_size", 0, "batch_size is 0"),
        ("stages.finetune.train_dataloader.batch_size", "8", "batch_size is '8'"),
        ("stages.finetune.train_dataloader.num_workers", -2, "num_workers is -2"),
    ],
)
def test_types_of_settings(option, value, message):
    with pytest.raises(LussError, match=message):
        read_config("configs/pass/pass_s_photos.py", {option: value})


def test_references_stand_for_any_type():
    for option in ("stages.finetune.model", "stages.finetune.train_cfg.max_epochs"):
        read_config("configs/pass/pass_s_photos.py", {option: "${pretrain.checkpoint}"})
