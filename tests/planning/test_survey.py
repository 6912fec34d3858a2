"""What ``luss train`` and ``luss check`` see in a folder."""

import argparse
import re
import shutil
import sys

import pytest
from PIL import Image
from processes import run_command

from luss.commands import check
from luss.configuration import write_config
from luss.errors import LussError
from luss.planning.inspection import inspect_photos
from luss.planning.settings import choose_foreground, settings_for, start_from
from luss.planning.survey import data_settings, survey


def test_a_plain_folder(photo_folder):
    found = survey(str(photo_folder))
    assert (found.kind, found.photos, found.short_sides) == ("PhotoFolder", 12, (48, 48, 48))
    assert "no true masks" in found.summary()
    assert found.num_categories(3) == 3


@pytest.mark.parametrize(
    ("given", "message"), [(None, "--categories C"), (13, "13.* 12 photos"), (0, "0.* 1 to 12")]
)
def test_numbers_of_categories_that_cannot_be(photo_folder, given, message):
    with pytest.raises(LussError, match=message):
        survey(str(photo_folder)).num_categories(given)


def test_a_config_in_the_place_of_photos(tmp_path):
    config = tmp_path / "mine.py"
    config.write_text("")
    with pytest.raises(LussError, match=r"is a config, .* luss run .*mine\.py"):
        survey(str(config))


def test_a_sound_folder_and_one_with_a_broken_photo(photo_folder):
    assert inspect_photos(str(photo_folder), 3).problems == []
    (photo_folder / "broken.jpg").write_bytes(b"no photo")
    (problem,) = inspect_photos(str(photo_folder), 3).problems
    assert "1 photo of train cannot be read" in problem
    # The reason, too.
    assert re.search(r"broken\.jpg: .*format", problem)


def test_a_folder_of_unreadable_photos_says_why_they_are_unreadable(photo_folder):
    for photo in photo_folder.iterdir():
        photo.write_bytes(b"no photo")
    with pytest.raises(LussError, match=r"any of 12 .*photo_0\.png.*format") as error:
        inspect_photos(str(photo_folder))
    assert "luss check" not in str(error.value)


def test_the_kind_of_a_folder_can_be_given_as_an_error_says(photo_folder):
    # A split root, but for the photos beside it.
    (photo_folder / "train" / "one").mkdir(parents=True)
    shutil.copy(photo_folder / "photo_0.png", photo_folder / "train" / "one" / "a.png")
    with pytest.raises(LussError) as error:
        inspect_photos(str(photo_folder))
    option = re.search(r"--cfg-options (data\.type=\w+)", str(error.value))[1]
    parser = argparse.ArgumentParser()
    check.add_arguments(parser)
    check.run(parser.parse_args([str(photo_folder), "--cfg-options", option]))
    key, value = option.split("=")
    found = inspect_photos(str(photo_folder), data=data_settings({key: value}))
    assert "is read as PhotoFolder" in found.lines[0]
    with pytest.raises(LussError, match="seed has no effect"):
        check.run(parser.parse_args([str(photo_folder), "--cfg-options", "seed=3"]))


def test_of_large_photos_smaller_copies_suffice(tmp_path):
    Image.new("RGB", (1200, 1600)).save(tmp_path / "large.jpg")
    assert "320 px suffice" in survey(str(tmp_path)).summary()
    Image.new("RGB", (320, 400)).save(tmp_path / "large.jpg")
    assert "320 px" not in survey(str(tmp_path)).summary().partition(";")[2]


def test_the_exit_code_says_whether_something_is_wrong(photo_folder):
    def check():
        return run_command("-m", "luss", "check", photo_folder, "--categories", 3)

    sound = check()
    assert sound.returncode == 0
    assert "12 photos (12 .png)" in sound.stdout and "in batches of 12" in sound.stdout
    (photo_folder / "broken.jpg").write_bytes(b"no photo")
    assert check().returncode == 1
    shutil.rmtree(photo_folder)
    gone = check()
    assert gone.returncode == 2
    assert gone.stderr.startswith("error: there is no folder ")


def test_without_scikit_image(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(LussError, match=r"--foreground prior needs scikit-image.*boundary-centre"):
        choose_foreground("prior")
    assert choose_foreground(None) == "boundary-centre"
    assert choose_foreground("attention") == "attention"
    # The prior of features needs no region contrast.
    assert choose_foreground(None, pretrained=True) == "prior"
    with pytest.raises(LussError, match="region-contrast"):
        choose_foreground("region-contrast", pretrained=True)


def test_the_foreground_without_scikit_image_needs_none(monkeypatch):
    stage = settings_for("boundary-centre", {}).stages.label_generation
    parts = stage.test_cfg
    kinds = [source["type"] for source in parts.foreground.sources]
    assert (parts.foreground.type, kinds) == ("ProductOfMaps", ["BoundaryPrior", "CentrePrior"])
    assert parts.embedder.type == "ForegroundEmbeddings"


def test_a_run_to_start_from_must_be_one(tmp_path):
    with pytest.raises(LussError, match=r"config\.py"):
        start_from(str(tmp_path), None, {})


@pytest.mark.parametrize("before", ["attention", "prior"])
@pytest.mark.parametrize("after", ["attention", "boundary-centre", None])
def test_another_foreground_brings_the_labels_that_go_with_it(before, after, tmp_path):
    write_config(tmp_path / "config.py", settings_for(before, {}))
    pretrain = tmp_path / "pretrain"
    pretrain.mkdir()
    (pretrain / "iter_7.pth").touch()
    (pretrain / "done.json").write_text('{"checkpoint": "iter_7.pth"}')
    config = start_from(str(tmp_path), after, {"stages.label_generation.test_cfg.threshold": 0.3})
    expected = settings_for(after or before, {}).stages.label_generation
    expected.test_cfg.threshold = 0.3
    assert config.stages.label_generation == expected
    assert config.stages.pretrain.pretrained == str(pretrain / "iter_7.pth")
