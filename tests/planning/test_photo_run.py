"""``luss train`` on a folder of a few photos, to its end; and what may follow."""

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from processes import Command, run_command

from luss.configuration import read_config, write_config
from luss.datasets.photo_lists import items_with_sizes, write_photo_list
from luss.errors import LussError
from luss.files import write_json
from luss.folder_lock import LOCK
from luss.pipeline import Pipeline
from luss.planning.dry_run import unreadable_photos
from luss.planning.foregrounds import FOREGROUNDS
from luss.planning.photo_run import PhotoRun
from luss.planning.settings import settings_for
from luss.planning.survey import survey

TRAINED = ("pretrain", "pixel_attention", "finetune")
TIMES = ("epochs", "epoch_seconds", "seconds")


def train(folder, work_dir, *more):
    return run_command(
        *("-m", "luss", "train", folder, "--work-dir", work_dir, "--minutes", 1),
        *("--foreground", "boundary-centre", *more),
        timeout=600,
    )


def damage_first_photos(folder):
    """Add eight photos, the first by name, of which half is missing."""
    whole = (folder / "photo_0.png").read_bytes()
    for number in range(8):
        (folder / f"a{number}.png").write_bytes(whole[: len(whole) // 2])


@pytest.fixture
def options():
    return ["--cfg-options", "num_workers=0", "stages.pretrain.train_cfg.max_epochs=1"]


@pytest.mark.slow
def test_twelve_photos_to_the_report_and_on(photo_folder, tmp_path, options):
    first, second = tmp_path / "first", tmp_path / "second"
    done = train(photo_folder, first, "--categories", "3", *options)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    last = done.stdout.strip().splitlines()[-6:]
    assert last[0].startswith("Found 3 categories in 12 photos")
    assert last[1] == f"Report: {first / 'report' / 'index.html'}"
    assert Path(last[2].removeprefix("Masks of these photos: ")).is_dir()
    assert last[3].startswith(f"Next: luss name-categories {first} ")
    assert last[4].strip().startswith(f"luss predict {first} ")
    page = (first / "report" / "index.html").read_text()
    assert "Metrics compare predictions with true masks" in page
    assert "results.json" not in page
    plan = json.loads((first / "plan.json").read_text())
    stages = ["pretrain", "pixel_attention", "finetune"]
    assert list(plan["epochs"]) == stages
    for stage in stages:
        facts = json.loads((first / stage / "done.json").read_text())
        assert facts["epochs"] == plan["epochs"][stage]

    # The same again makes nothing; something else is refused.
    assert (
        "stage finetune: done before"
        in train(photo_folder, first, "--categories", "3", *options).stdout
    )
    other = train(photo_folder, first, "--categories", "4", *options)
    assert other.returncode == 2
    assert "categories was 3, now 4" in other.stderr and f"--from {first}" in other.stderr

    # Neither batch sizes nor masks, but the photos are why it cannot be resumed.
    gone = photo_folder / "photo_3.png"
    content = gone.read_bytes()
    gone.unlink()
    changed = train(photo_folder, first, "--categories", "3", "--resume", *options)
    assert changed.returncode == 2
    assert "1 is gone now (photo_3)" in changed.stderr and "batch_size" not in changed.stderr
    gone.write_bytes(content)

    begun = (first / "pretrain" / "done.json").read_text()
    again = train(photo_folder, second, "--categories", "4", "--from", str(first), *options[:2])
    assert again.returncode == 0, again.stdout + again.stderr
    # For 1,200 photos, the config has 5 and 15 epochs.
    for log in (first / "run.log", second / "run.log"):
        planned = re.search(r"pixel_attention \d+ of (\d+), finetune \d+ of (\d+)", log.read_text())
        assert planned.groups() == ("500", "1500")
    facts = json.loads((second / "pretrain" / "done.json").read_text())
    checkpoint = json.loads(begun)["checkpoint"]
    assert facts["weights"] == str(first / "pretrain" / checkpoint)
    assert re.search("Found 4 categories", again.stdout)


@pytest.mark.slow
def test_too_little_time_is_refused_before_anything_is_trained(photo_folder, tmp_path):
    # The dry run passes over photos that cannot be read.
    damage_first_photos(photo_folder)
    run = PhotoRun(str(photo_folder), str(tmp_path / "run"), 3, 0.01, foreground="boundary-centre")
    with pytest.raises(LussError, match=r"--minutes 0\.01 .* at least --minutes \d+ "):
        run.run()
    assert not (tmp_path / "run" / "pretrain").exists()


def test_a_work_dir_among_photos_is_rejected_before_anything_is_written(photo_folder, tmp_path):
    classes = tmp_path / "train" / "one"
    classes.mkdir(parents=True)
    shutil.copy(photo_folder / "photo_0.png", classes)
    other = tmp_path / "other"
    shutil.copytree(tmp_path / "train", other / "train")
    config = read_config(FOREGROUNDS["attention"], {"data_root": str(tmp_path)})
    for work_dir, reason in [
        (photo_folder, "is the folder of the photos"),
        (classes, "contains photos"),
        (tmp_path, "is the folder of the photos"),
        (tmp_path / "train", "is a part of the photos' folder"),
        (other, "contains photos"),
    ]:
        before = set(tmp_path.rglob("*"))
        with pytest.raises(LussError, match=f"--work-dir {work_dir} {reason}"):
            if work_dir == photo_folder:
                PhotoRun(str(photo_folder), str(work_dir), 3, foreground="attention").run()
            else:
                Pipeline(config, str(work_dir)).run()
        assert set(tmp_path.rglob("*")) == before


def test_a_start_that_was_rejected_does_not_bind_the_next_one(photo_folder, tmp_path):
    folder = tmp_path / "run"
    wrong = {"stages.pretrain.model.objectives.d2s.stages": [9]}
    run = PhotoRun(str(photo_folder), str(folder), 3, foreground="attention", options=wrong)
    # As a start leaves it that was rejected after the dry run.
    write_json(folder / "plan.json", {"asked": {"categories": 4}, "epochs": {}})
    for _ in range(2):
        with pytest.raises(LussError, match="d2s"):
            run.run()
        # Nor does the dry run leave anything.
        assert {path.name for path in folder.iterdir()} == {LOCK, "plan.json", "run.log"}
    # Pretraining has begun, but is not complete: there is nothing to start from.
    (folder / "pretrain").mkdir()
    with pytest.raises(LussError, match="categories was 4, now 3") as error:
        run.run()
    assert "--from" not in str(error.value)
    (folder / "pretrain" / "done.json").write_text("{}")
    with pytest.raises(LussError, match=f"add --from {folder} to"):
        run.run()


def test_fine_tuning_has_smaller_batches_of_few_photos(photo_folder, tmp_path):
    run = PhotoRun(str(photo_folder), str(tmp_path / "run"), 3, foreground="attention")
    found = survey(str(photo_folder))
    for photos, pretrain, finetune in [(12, 12, 6), (60, 30, 7), (250, 31, 25), (2000, 32, 32)]:
        config = run.config(replace(found, counts={**found.counts, "train": photos}), 3)
        stages = config.stages
        sizes = [stages[name].train_dataloader.batch_size for name in ("pretrain", "finetune")]
        assert sizes == [pretrain, finetune]


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("num_categories", 7, "num_categories=7 .* --categories"),
        ("data_root", "elsewhere", "data_root='elsewhere' .* PHOTOS"),
        ("work_dir", "elsewhere", "work_dir='elsewhere' .* --work-dir"),
        ("seed", "abc", "seed='abc' .* --seed"),
        ("stages.pretrain.train_cfg.max_epochs", -4, "max_epochs is -4"),
        ("stages.finetune.train_cfg.max_epochs", "abc", "max_epochs is 'abc'"),
        ("stages.finetune.train_dataloader.batch_size", 0, "batch_size is 0"),
        ("stages.finetune.train_dataloader.batch_size", 13, "batch_size=13 .* 12 photos"),
        ("stages", 5, "stages is 5"),
        ("data", "PhotoFolder", r"data is 'PhotoFolder', .*data\.type="),
    ],
)
def test_options_are_checked_before_anything_is_written(
    photo_folder, tmp_path, option, value, message
):
    run = PhotoRun(
        str(photo_folder), str(tmp_path / "run"), 3, foreground="attention", options={option: value}
    )
    with pytest.raises(LussError, match=message):
        run.run()
    assert not (tmp_path / "run").exists()


def test_what_options_set_is_kept(photo_folder, tmp_path):
    size = "stages.finetune.train_dataloader.batch_size"
    kind = "stages.label_generation.test_cfg.foreground.sources.1.type"
    options = {size: 12, kind: "BoundaryPrior"}
    run = PhotoRun(str(photo_folder), str(tmp_path), 3, foreground="boundary-centre")
    run = replace(run, options=options)
    config = run.config(survey(str(photo_folder)), 3)
    assert config.stages.finetune.train_dataloader.batch_size == 12
    kinds = [source.type for source in config.stages.label_generation.test_cfg.foreground.sources]
    assert kinds == ["BoundaryPrior", "BoundaryPrior"]


def begin_run(photos, folder, options):
    """A work dir as ``luss train`` leaves it after pretraining on twelve photos."""
    run = PhotoRun(str(photos), str(folder), 3, foreground="attention", options=options)
    found = survey(str(photos))
    config = run.settings(found, 3)
    before = run._fitted_settings(config)
    run._fit(config, found)
    for name in TRAINED:
        config.stages[name].train_cfg["max_epochs"] = 2
    write_config(folder / "config.py", config)
    times = {key: dict.fromkeys(TRAINED, 2) for key in TIMES}
    write_json(
        folder / "plan.json",
        {"asked": run._arguments(), "options": options, "before_fitting": before, **times},
    )
    (folder / "pretrain").mkdir()
    (folder / "pretrain" / "iter_2.pth").touch()
    write_json(folder / "pretrain" / "done.json", {"checkpoint": "iter_2.pth"})


def test_a_run_from_another_is_fitted_once(photo_folder, tmp_path):
    given = {
        "stages.finetune.train_cfg.max_epochs": 7,
        "stages.pixel_attention.train_dataloader.batch_size": 4,
        # Of no use to the run that follows.
        "stages.pretrain.train_dataloader.batch_size": 12,
    }
    begin_run(photo_folder, tmp_path / "first", given)
    start = str(tmp_path / "first")
    run = PhotoRun(str(photo_folder), str(tmp_path / "second"), 4, foreground=None, start=start)
    found = survey(str(photo_folder))
    fresh = settings_for("attention", {}).stages
    # As in the test of batches of fine-tuning above.
    for photos, finetune in [(12, 6), (60, 7), (2000, 32)]:
        stages = run.config(replace(found, counts={**found.counts, "train": photos}), 4).stages
        sizes = [stages[name].train_dataloader.batch_size for name in TRAINED[1:]]
        assert sizes == [4, finetune]
        epochs = [stages[name].train_cfg.max_epochs for name in TRAINED[1:]]
        assert epochs == [fresh.pixel_attention.train_cfg.max_epochs, 7]
    # What options set is kept, and not for 1,200 photos, in the next run, too.
    assert run.given == given
    option = {"stages.finetune.train_cfg.max_epochs": 9}
    other = replace(run, options=option)
    assert other.config(found, 4).stages.finetune.train_cfg.max_epochs == 9
    assert other.given == {**given, **option}


@pytest.mark.parametrize(
    "option",
    ["stages.pretrain.train_cfg.max_epochs", "stages.pretrain.optim_wrapper.optimizer.lr"],
)
def test_options_for_a_pretraining_that_is_taken_are_rejected(photo_folder, tmp_path, option):
    begin_run(photo_folder, tmp_path / "first", {})
    run = PhotoRun(
        str(photo_folder),
        str(tmp_path / "second"),
        3,
        start=str(tmp_path / "first"),
        options={option: 5},
    )
    with pytest.raises(LussError, match=rf"{option}=5 .* --from .*first "):
        run.run()
    assert not (tmp_path / "second").exists()


def test_a_run_that_cannot_be_planned_from_says_what_it_lacks(photo_folder, tmp_path):
    folder = tmp_path / "first"
    begin_run(photo_folder, folder, {})
    run = PhotoRun(str(photo_folder), str(tmp_path / "second"), 3, start=str(folder))
    plan = json.loads((folder / "plan.json").read_text())
    write_json(folder / "plan.json", {"asked": plan["asked"]})
    with pytest.raises(LussError, match=r"--from .*plan\.json has no object 'before_fitting'"):
        run.run()
    (folder / "plan.json").unlink()
    config = settings_for("attention", {})
    del config.stages.finetune.train_cfg["max_epochs"]
    write_config(folder / "config.py", config)
    with pytest.raises(LussError, match=r"--from .* stages\.finetune .*max_epochs"):
        run.run()
    assert not (tmp_path / "second").exists()


def test_a_folder_that_another_process_works_in_is_not_planned_anew(photo_folder, tmp_path):
    held = (
        "import signal, sys; from luss.pipeline.work_dir import WorkDir\n"
        "with WorkDir(sys.argv[1]).locked(): print('held', flush=True); signal.pause()"
    )
    folder = tmp_path / "run"
    other = Command("-c", held, folder)
    assert other.stdout.readline() == "held\n"
    run = PhotoRun(str(photo_folder), str(folder), 3, 1.0, foreground="boundary-centre")
    with pytest.raises(LussError, match="another process is working in"):
        run.run()
    other.kill()
    assert [path.name for path in folder.iterdir()] == [LOCK]


def test_photos_that_moved_changed_or_went_are_named_before_anything_else(photo_folder, tmp_path):
    folder = tmp_path / "run"
    run = PhotoRun(str(photo_folder), str(folder), 12, foreground="boundary-centre")
    files = items_with_sizes(survey(str(photo_folder)).datasets["train"])
    (folder / "pretrain").mkdir(parents=True)
    listed = {"train": write_photo_list(folder / "photos", files).name}
    write_json(folder / "plan.json", {"asked": run._arguments(), "photos": listed})
    photo = photo_folder / "photo_3.png"
    content = photo.read_bytes()

    photo.unlink()
    # Twelve categories of eleven photos would be an error of its own.
    with pytest.raises(LussError, match=r"of 12 then, 1 is gone now \(photo_3\).*Restore"):
        run.run(resume=True)
    moved = photo_folder / "deep" / "photo_3.png"
    moved.parent.mkdir()
    moved.write_bytes(content)
    with pytest.raises(LussError, match=r"gone now \(photo_3\), and 1 is new \(deep/photo_3\)"):
        run.run(resume=True)
    moved.unlink()
    photo.write_bytes((photo_folder / "photo_4.png").read_bytes() + b"0")
    with pytest.raises(LussError, match=r"1 is changed \(photo_3\)"):
        run.run(resume=True)


def test_the_dry_run_passes_over_damaged_photos(photo_folder):
    damage_first_photos(photo_folder)
    datasets = survey(str(photo_folder)).datasets
    assert unreadable_photos(datasets, 8) == [f"a{number}" for number in range(8)]
    for path in photo_folder.glob("photo_*"):
        path.unlink()
    with pytest.raises(LussError, match="any of the 20 photos of 'train'"):
        unreadable_photos(datasets, 8)


def test_the_dry_run_rejects_damaged_photos_that_are_measured(photo_folder):
    (photo_folder / "images").mkdir()
    (photo_folder / "masks").mkdir()
    (photo_folder / "classes.txt").write_text("square")
    for path in photo_folder.glob("*.png"):
        path.rename(photo_folder / "images" / path.name)
        Image.new("L", (60, 48), 1).save(photo_folder / "masks" / path.name)
    (photo_folder / "images" / "photo_1.png").write_bytes(b"no photo")
    with pytest.raises(LussError, match=r"validation: .*photo_1\.png.*evaluation needs it"):
        unreadable_photos(survey(str(photo_folder)).datasets, 8)


@pytest.mark.parametrize(
    "damage", ["", "{}", '{"asked": 1}', "epochs", "strings", "stages", "photos"]
)
def test_a_damaged_plan_of_a_run_that_was_begun_is_named(photo_folder, tmp_path, damage):
    run = PhotoRun(str(photo_folder), str(tmp_path), 3, foreground="attention")
    (tmp_path / "pretrain").mkdir()
    sound = {"asked": run._arguments(), **{key: {"pretrain": 1} for key in TIMES}}
    changes = {
        "epochs": {"epochs": None},
        "strings": {"seconds": {"pretrain": "1"}},
        "stages": {"epochs": {"evaluate": 1}},
        "photos": {"photos": ["train"]},
    }
    content = json.dumps(sound | changes[damage]) if damage in changes else damage
    (tmp_path / "plan.json").write_text(content)
    with pytest.raises(LussError, match=r"plan\.json .*another --work-dir"):
        run.run()
    assert (tmp_path / "plan.json").read_text() == content
