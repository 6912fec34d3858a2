"""Configs outside the repository: what they inherit, and what they can import."""

import sys

import pytest
from mmengine import Config

from luss.config_files import library_config, make_importable, merged
from luss.configuration import read_config, write_config
from luss.errors import LussError

STAGES = "stages = dict(report=dict(type='Report'))\n"


@pytest.fixture(autouse=True)
def _imports_as_before(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("made_"):
            del sys.modules[name]


@pytest.fixture
def make_project(tmp_path):
    """Function from a name and texts to the config of a project in the temporary folder."""

    def make(name, init="", config=""):
        folder = tmp_path / name
        (folder / "configs").mkdir(parents=True)
        (folder / "__init__.py").write_text(init)
        path = folder / "configs" / "config.py"
        path.write_text(config or f"custom_imports = dict(imports=['{name}'])\n{STAGES}")
        return path

    return make


def test_bases_that_come_with_luss(tmp_path):
    path = tmp_path / "config.py"
    path.write_text("_base_ = 'luss::pass/pass_s_photos.py'\nnum_categories = 7\n")
    config, own = read_config(path), read_config("luss::pass/pass_s_photos.py")
    assert config.stages == own.stages
    assert config.num_categories == 7
    assert "_scope_" not in config.pretty_text


def test_settings_are_added_to_a_path_of_weights(tmp_path):
    base, path = (tmp_path / f"{name}.py" for name in ("base", "config"))
    base.write_text(
        "weights = 'a.pth'\n"
        "stages = dict(pretrain=dict(type='Train', pretrained='${facts.weights}', title='a'))\n"
    )
    path.write_text(
        "_base_ = 'base.py'\nweights = dict(layout='dino')\n"
        "stages = dict(pretrain=dict(pretrained=dict(key='ema')))\n"
    )
    config = read_config(path, {"weights.ignore": ["^head"]})
    assert config.weights == {"file": "a.pth", "layout": "dino", "ignore": ["^head"]}
    assert config.stages.pretrain.pretrained == {"file": "${facts.weights}", "key": "ema"}
    # Another file; a path replaces all.
    found = read_config(path, {"weights.file": "b.pth"}).weights
    assert found == {"file": "b.pth", "layout": "dino"}
    assert read_config(path, {"weights": "b.pth"}).weights == "b.pth"
    options = {"weights": "b.pth", "weights.layout": "timm"}
    assert read_config(base, options).weights == {"file": "b.pth", "layout": "timm"}
    assert read_config(base).weights == "a.pth"
    with pytest.raises(LussError, match="title"):
        read_config(base, {"stages.pretrain.title.file": "b"})


def test_a_dict_takes_the_place_of_none(tmp_path):
    """In a child of a config, in its child, and in an option, at any depth."""
    base, child, path = (tmp_path / f"{name}.py" for name in ("base", "child", "config"))
    base.write_text(
        "weights = None\n"
        "stages = dict(pretrain=dict(type='Train', pretrained=None, model=None,\n"
        "                            default_hooks=dict(logger=None)),\n"
        "              other=dict(type='Train', pretrained='${facts.weights}'))\n"
    )
    child.write_text(
        "_base_ = 'base.py'\nweights = dict(file='a.pth')\n"
        "stages = dict(pretrain=dict(pretrained=dict(layout='dino', rename={'a': 'b'})))\n"
    )
    path.write_text("_base_ = 'child.py'\nweights = dict(layout='timm')\n")
    options = {
        "weights.key": "model",
        "stages.pretrain.model.type": "BackboneFeatures",
        "stages.pretrain.model.backbone.depth": 18,
    }
    config = read_config(path, options)
    assert config.weights == {"file": "a.pth", "layout": "timm", "key": "model"}
    stage = config.stages.pretrain
    assert stage.pretrained == {"layout": "dino", "rename": {"a": "b"}}
    assert stage.model == {"type": "BackboneFeatures", "backbone": {"depth": 18}}
    assert "_delete_" not in config.pretty_text
    # A hook that the top level switches off, and a stage on again.
    defaults = {"logger": None, "timer": {"type": "IterTimerHook"}}
    hooks = {"logger": {"type": "LoggerHook"}}
    assert merged(hooks, defaults) == {**defaults, **hooks}
    assert defaults["logger"] is None
    with pytest.raises(TypeError, match="cannot inherit"):
        Config._merge_a_into_b(hooks, defaults)


def test_bases_that_come_with_other_libraries(tmp_path):
    path = tmp_path / "config.py"
    path.write_text(
        "_base_ = 'mmselfsup::selfsup/_base_/models/simsiam.py'\n"
        "stages = dict(pretrain=dict(type='Train', model={{_base_.model}}))\n"
    )
    assert read_config(path).stages.pretrain.model.type == "SimSiam"


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("luss::pass/nothing.py", "there is no 'pass/nothing.py' in"),
        ("luss::", "there is no '' in"),
        ("nolib::a/b.py", "library 'nolib' is not installed"),
        ("no lib::a/b.py", "library 'no lib' is not installed"),
    ],
)
def test_bases_that_are_not_there(tmp_path, base, message):
    path = tmp_path / "config.py"
    path.write_text(f"_base_ = '{base}'\n")
    with pytest.raises(LussError, match=message):
        read_config(path)
    with pytest.raises(LussError, match=message):
        library_config(base)


def test_a_config_imports_the_package_that_it_lies_in(make_project):
    path = make_project("made_one", "from made_one import part\n")
    (path.parents[1] / "part.py").write_text("VALUE = 3\n")
    read_config(path)
    assert sys.modules["made_one"].part.VALUE == 3
    # Behind all else, and once.
    read_config(path)
    assert sys.path.count(str(path.parents[2])) == 1
    assert sys.path[-1] == str(path.parents[2])


@pytest.mark.parametrize("read", [read_config, Config.fromfile])
def test_the_config_of_a_run_imports_the_project_from_where_it_lies(make_project, tmp_path, read):
    text = f"custom_imports = dict(imports=['made_run.part', 'scipy'])\n{STAGES}"
    path = make_project("made_run", config=text)
    (path.parents[1] / "part.py").write_text("VALUE = 3\n")
    (tmp_path / "run").mkdir()
    written = tmp_path / "run" / "config.py"
    before = list(sys.path)
    # What a run writes is read by later runs, which write it again.
    for source in (path, written):
        write_config(written, read_config(source))
        sys.path[:] = before
        for name in [name for name in sys.modules if name.startswith("made_run")]:
            del sys.modules[name]
    assert "sys" not in read(written)
    assert sys.modules["made_run"].part.VALUE == 3
    assert sys.path == [*before, str(tmp_path)]


def test_the_package_is_the_outermost_one(make_project, tmp_path):
    inner = make_project("made_out/inner", config=STAGES).parents[1]
    (tmp_path / "made_out" / "__init__.py").touch()
    config = inner / "configs" / "config.py"
    config.write_text(f"custom_imports = dict(imports=['made_out.inner'])\n{STAGES}")
    read_config(config)
    assert "made_out.inner" in sys.modules
    assert sys.path[-1] == str(tmp_path)


def test_a_config_inherits_from_that_of_a_project(make_project, tmp_path):
    make_project("made_base")
    child = tmp_path / "elsewhere" / "child.py"
    child.parent.mkdir()
    child.write_text("_base_ = '../made_base/configs/config.py'\n")
    read_config(child)
    assert "made_base" in sys.modules


def test_a_name_that_is_taken(make_project):
    with pytest.raises(LussError, match=r"package .*/scipy, but the name 'scipy' means"):
        read_config(make_project("scipy"))


def test_two_projects_of_one_name(make_project, tmp_path):
    read_config(make_project("made_twice"))
    with pytest.raises(LussError, match="the name 'made_twice' means"):
        read_config(make_project("deeper/made_twice", config=STAGES))


def test_files_outside_packages_change_nothing(tmp_path):
    before = list(sys.path)
    make_importable(tmp_path / "config.py")
    make_importable(library_config("luss::pass/pass_s_photos.py"))
    assert sys.path == before


@pytest.mark.parametrize(
    ("init", "imports", "message"),
    [
        (
            "",
            "dict(imports=['made_typo'])",
            "cannot import 'made_typo': Mod",
        ),
        ("1 / 0", "dict(imports=['made_bad'])", r"ZeroDivisionError.*made_bad/__init__.py, line 1"),
        ("", "['made_bad']", r"expected dict\(imports"),
        ("", "dict(import_=['made_bad'])", r"expected dict\(imports"),
    ],
)
def test_imports_that_fail(make_project, init, imports, message):
    path = make_project("made_bad", init, f"custom_imports = {imports}\n{STAGES}")
    with pytest.raises(LussError, match=message) as error:
        read_config(path)
    assert "\n" not in str(error.value)


def test_imports_that_may_fail(make_project):
    allowed = "custom_imports = dict(imports='made_nowhere', allow_failed_imports=True)\n"
    assert read_config(make_project("made_may", config=allowed + STAGES)).stages
