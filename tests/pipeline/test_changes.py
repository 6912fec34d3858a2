"""What may change between two runs of one work dir, and what is noticed."""

import json
import shutil
from pathlib import Path

import pytest
from tiny_run import read_tiny

from luss.errors import LussError
from luss.files import write_json
from luss.folder_lock import LOCK
from luss.pipeline import Pipeline
from luss.pipeline.inputs import StageInputs
from luss.pipeline.stage import Stage
from luss.pipeline.work_dir import WorkDir
from luss.registry import STAGES

TRAINED = "stages__finetune__train_cfg__max_epochs"


@pytest.fixture
def work_dir(tmp_path, whole_run):
    return shutil.copytree(whole_run / "run", tmp_path / "run")


@pytest.fixture
def photos(tmp_path, whole_run):
    return shutil.copytree(whole_run / "photos", tmp_path / "photos")


def pipeline(work_dir, root, **options):
    return Pipeline(config_on(root, **options), str(work_dir))


def config_on(root, **options):
    """The tiny config on photos that are not drawn anew."""
    config = read_tiny(**options)
    config.data, config.data_root = {"type": "auto"}, str(root)
    return config


@pytest.fixture(scope="module")
def whole_run(tmp_path_factory, finished_run):
    """A whole run on such photos; not to be written to."""
    root = tmp_path_factory.mktemp("changes")
    shutil.copytree(finished_run / "data", root / "photos")
    pipeline(root / "run", root / "photos").run()
    return root


def remove(work_dir, *stages):
    for stage in stages:
        shutil.rmtree(work_dir / stage)


def times(work_dir):
    return {path: path.stat().st_mtime_ns for path in work_dir.rglob("*")}


# ---- settings ----------------------------------------------------------------------------------


def test_settings_of_a_stage_that_has_not_begun_may_change(work_dir, photos):
    remove(work_dir, "finetune", "evaluate")
    before = times(work_dir / "pretrain")
    pipeline(work_dir, photos, **{TRAINED: 2}).run()
    assert json.loads((work_dir / "finetune" / "done.json").read_text())["epochs"] == 2
    assert times(work_dir / "pretrain") == before
    # From now on they are those of a stage that has begun.
    with pytest.raises(LussError, match=r"finetune.train_cfg.max_epochs: was 2, now 3"):
        pipeline(work_dir, photos).run()


def test_settings_of_a_stage_that_is_whole_may_not(work_dir, photos):
    with pytest.raises(LussError, match=r"max_epochs: was 3, now 2.*remove \S+/finetune, \S+/eval"):
        pipeline(work_dir, photos, **{TRAINED: 2}).run(resume=True)


def test_a_changed_setting_is_rejected_with_the_way_to_continue(work_dir, photos):
    with pytest.raises(LussError, match=rf"another --work-dir .*--from {work_dir} "):
        pipeline(work_dir, photos, **{TRAINED: 2}).run(resume=True)
    # There is no pretraining to start from if that is what changed.
    with pytest.raises(LussError, match="another --work-dir") as error:
        pipeline(work_dir, photos, stages__pretrain__train_cfg__max_epochs=2).run(resume=True)
    assert "--from" not in str(error.value)


def test_number_of_categories_does_not_concern_pretraining(work_dir, photos):
    with pytest.raises(LussError, match=r"num_categories: was \S+, now 4"):
        pipeline(work_dir, photos, num_categories=4).run()
    remove(work_dir, "label_generation", "finetune", "evaluate")
    pipeline(work_dir, photos, num_categories=4).run(only="label_generation")


@STAGES.register_module(force=True)
class NoteTitle(Stage):
    """Stands for the report, which takes seconds to draw."""

    settings = ()
    made_again_on_change = True

    def __init__(self, name, title, reads):
        super().__init__(name)
        self.title = title

    def run(self, context):
        folder = context.work_dir.stage(self.name)
        (folder / "title").write_text(self.title)
        return {}


def test_a_cheap_stage_is_made_again(work_dir, photos):
    def run(title):
        config = config_on(photos)
        reads = "${evaluate.predictions}"
        config.stages.note = {"type": "NoteTitle", "title": title, "reads": reads}
        Pipeline(config, str(work_dir)).run()
        return (work_dir / "note" / "title").read_text()

    assert run("one") == "one"
    before = times(work_dir / "note")
    assert run("one") == "one"
    assert times(work_dir / "note") == before
    assert run("two") == "two"
    remove(work_dir, "evaluate")
    before = times(work_dir / "note")
    run("two")
    assert times(work_dir / "note") != before


def test_the_report_is_such_a_stage():
    stage = STAGES.get("Report")
    assert stage.made_again_on_change
    assert stage.settings == ()


# ---- outputs of other stages -------------------------------------------------------------------


def test_a_stage_that_was_made_again_is_noticed(work_dir, photos):
    remove(work_dir, "pretrain")
    with pytest.raises(LussError, match=r"'pixel_attention' .* output of 'pretrain' .*no longer"):
        pipeline(work_dir, photos).run()
    # What is left is of use as long as it is not made again.
    remove(work_dir, "label_generation", "finetune", "evaluate")
    pipeline(work_dir, photos).run(only="label_generation")
    with pytest.raises(
        LussError, match=r"'pixel_attention' .* of 'pretrain'.*remove \S+/pixel_att"
    ):
        pipeline(work_dir, photos).run(only="pretrain")
    # It was made again all the same.
    inputs = StageInputs.begin(WorkDir(work_dir), "pretrain", (), goes_on=False)
    assert StageInputs.read(WorkDir(work_dir), "pixel_attention").stages != {
        "pretrain": inputs.identity
    }
    with pytest.raises(LussError, match=r"'pixel_attention' .* of 'pretrain'"):
        pipeline(work_dir, photos).run(only="evaluate")


# ---- photos ------------------------------------------------------------------------------------


def test_photos_may_move(work_dir, photos, tmp_path):
    remove(work_dir, "evaluate")
    moved = tmp_path / "else where"
    photos.rename(moved)
    before = times(work_dir / "finetune")
    pipeline(work_dir, tmp_path / "." / "run" / ".." / "else where").run()
    assert times(work_dir / "finetune") == before


def test_home_folder(work_dir, photos, monkeypatch):
    monkeypatch.setenv("HOME", str(photos.parent))
    remove(work_dir, "evaluate")
    pipeline("~/run", "~/photos").run()
    assert (work_dir / "evaluate" / "done.json").exists()


def rename(photo):
    photo.rename(photo.with_stem("renamed"))


def add(photo):
    shutil.copy(photo, photo.with_stem("added"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (rename, r"of 18 then, 1 is gone now \(.*00001\), and 1 is new \(.*/renamed\)"),
        (add, r"of 18 then, none are gone now, and 1 is new \(.*/added\)"),
        (lambda photo: photo.unlink(), r"of 18 then, 1 is gone now .*and none are new"),
    ],
)
def test_other_photos_are_noticed(work_dir, photos, change, message):
    remove(work_dir, "finetune", "evaluate")
    change(sorted(photos.glob("train/*/*"))[1])
    with pytest.raises(LussError, match=rf"photos of 'train'.*'pretrain' saw: {message}"):
        pipeline(work_dir, photos).run()


@STAGES.register_module(force=True)
class AddPhoto(Stage):
    """Adds a photo without a mask during the run."""

    def __init__(self, name, photo):
        super().__init__(name)
        self.photo = photo

    def run(self, context):
        add(Path(self.photo))
        return {}


def test_a_photo_that_comes_during_a_run_is_noticed_by_the_next(work_dir, photos):
    remove(work_dir, "evaluate")
    photo = sorted(photos.glob("validation/*/*"))[1]
    config = config_on(photos)
    stages = {"add": {"type": "AddPhoto", "photo": str(photo)}, **config.stages}
    config.stages = {**stages, "evaluate": stages.pop("evaluate")}
    Pipeline(config, str(work_dir)).run()
    assert not list(work_dir.glob("evaluate/predictions/**/*added*"))
    remove(work_dir, "evaluate")
    with pytest.raises(LussError, match=r"'validation'.*none are gone now, and 1 is new \(.*added"):
        Pipeline(config, str(work_dir)).run()


@pytest.mark.parametrize(
    "damage",
    [
        {"photos": {"a": "1"}},
        {"photos": {"[]": "1"}},
        {"photos": {'{"split": "train"}': 3}},
        {"stages": ["pretrain"]},
        {"files": {"names.json": None}},
    ],
)
def test_a_record_of_wrong_types_counts_as_none(tmp_path, damage):
    record = {"identity": "0", "stages": {"pretrain": "1"}, "photos": {'{"split": "train"}': "2"}}
    path = tmp_path / "finetune" / "inputs.json"
    write_json(path, record)
    assert StageInputs.read(WorkDir(tmp_path), "finetune").stages == {"pretrain": "1"}
    write_json(path, record | damage)
    assert StageInputs.read(WorkDir(tmp_path), "finetune") is None


def test_photos_may_change_until_a_stage_has_output(work_dir, photos):
    remove(work_dir, "evaluate")
    (work_dir / "evaluate").mkdir()
    # As a run leaves it that was killed before the first prediction.
    record = {
        "identity": "0",
        "stages": {},
        "photos": {'{"split": "test", "type": "ImageNetS"}': "0"},
    }
    write_json(work_dir / "evaluate" / "inputs.json", record)
    rename(sorted(photos.glob("test/*/*"))[1])
    with pytest.raises(LussError, match="have no mask"):
        pipeline(work_dir, photos).run()
    rename(sorted(photos.glob("test-segmentation/*/*"))[1])
    for _ in range(2):
        pipeline(work_dir, photos).run()


def test_a_run_that_is_whole_does_not_look_at_the_photos(work_dir, photos):
    shutil.rmtree(photos)
    pipeline(work_dir, photos).run()


# ---- damage and links --------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b'{"stages": ', b"[]", b"{}", b"\xff\xfe"])
def test_damaged_record_is_named_and_made_anew(work_dir, photos, content, capsys):
    record = work_dir / "pipeline.json"
    before = record.read_bytes()
    record.write_bytes(content)
    pipeline(work_dir, photos).run()
    assert record.read_bytes() == before
    assert f"{record}" in capsys.readouterr().out


def test_damaged_note_is_named_and_made_anew(work_dir, photos, capsys):
    note = work_dir / "evaluate" / "done.json"
    note.write_text('{"splits": ')
    pipeline(work_dir, photos).run()
    assert f"{note} is damaged" in capsys.readouterr().out
    assert json.loads(note.read_text())["splits"] == ["validation", "test"]


@pytest.mark.parametrize("name", [LOCK, "run.log", "pipeline.json"])
def test_links_are_not_followed(tmp_path, name):
    precious = tmp_path / "precious"
    precious.write_text("precious")
    work_dir = tmp_path / "run"
    work_dir.mkdir()
    (work_dir / name).symlink_to(precious)
    with pytest.raises(LussError, match=f"{name} is a link"):
        Pipeline(read_tiny(), str(work_dir)).run()
    assert precious.read_text() == "precious"


def test_work_dir_is_a_file(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(LussError, match="run: it is a file"):
        Pipeline(read_tiny(), str(tmp_path / "run")).run()
