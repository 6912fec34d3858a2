"""The quick start, walked word by word in an empty folder with nothing but a wheel of luss."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from command_blocks import REPOSITORY, all_blocks, blocks_of
from official import FILES, with_values
from processes import run_command

from luss.datasets import draw_demo_data
from luss.datasets.mask_codec import read_mask

PHOTOS = Path(os.environ.get("LUSS_PHOTOS", REPOSITORY.parent / "shared" / "data" / "photos24"))
"""Photos in ``train/<class folder>/``; drawn ones are taken where there is no such folder."""

PAGE = (REPOSITORY / "docs" / "quick_start.md").read_text(encoding="utf-8")
COMMANDS = [
    command
    for block in blocks_of(PAGE, "docs/quick_start.md")
    for command in block.commands
    if command.startswith("luss ") and "found_pretrained" not in str(block.commands)
]
PRETRAINED = [block.commands for block in all_blocks() if "found_pretrained" in str(block.commands)]
"""The second path, in README.md and the quick start."""

PROGRAMS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)

CATEGORIES, MINUTES = 5, 3
TRAINED, OTHERS = 60, 10
LUSS = 'luss() { python -m luss "$@"; }'
"""The console command, also where luss is not installed but on the path."""


def smaller(command):
    """The same command for fewer categories and minutes."""
    command = re.sub(r"--categories \d+", f"--categories {CATEGORIES}", command)
    return re.sub(r"--minutes \d+", f"--minutes {MINUTES}", command)


def test_the_page_shows_the_whole_road():
    names = [command.split()[1] for command in COMMANDS]
    assert names == ["check", "train", "name-categories", "predict", "export"]
    first, second = PROGRAMS
    assert "LUSSInferencer" in first
    assert "luss" not in second and "onnxruntime" in second
    assert f"--categories {CATEGORIES} --minutes {MINUTES}" in smaller(COMMANDS[1])


def test_the_second_path_has_three_commands():
    readme, quick_start = PRETRAINED
    assert readme == quick_start
    assert [command.split()[1] for command in readme] == ["backbones", "train", "predict"]


@pytest.mark.slow
def test_the_second_path_starts_from_a_weight_file(tmp_path):
    """The commands as they stand, but for fewer categories, epochs and pixels."""
    draw_demo_data(tmp_path / "drawn", train=3, train_semi=1, validation=1, test=1, size=64)
    for name, split in (("PHOTOS", "train"), ("NEW_PHOTOS", "test")):
        (tmp_path / name).mkdir()
        for photo in (tmp_path / "drawn" / split).rglob("*.JPEG"):
            shutil.copy(photo, tmp_path / name)
    torch.save(with_values(FILES["dinov2_vits14"]()), tmp_path / "weights.pth")
    fewer = " --cfg-options short_side=56 stages.finetune.train_cfg.max_epochs=2 num_workers=0"

    def run(command, options=""):
        words = shlex.split(smaller(command) + options)
        done = run_command("-m", *words, folder=tmp_path)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    backbones, train, predict = PRETRAINED[0]
    assert "dinov2_vits14 " in run(backbones)
    assert f"Found {CATEGORIES} categories in 18 photos" in run(train, fewer)
    run(predict)
    assert len(list((tmp_path / "found_pretrained" / "masks").rglob("*.png"))) == 6


def copy_flat(root, folder):
    """Photos of the first five class folders: ``PHOTOS``, ``NEW_PHOTOS`` and one of the latter."""
    for name in ("PHOTOS", "NEW_PHOTOS"):
        (folder / name).mkdir()
    each, others = TRAINED // CATEGORIES, OTHERS // CATEGORIES
    for place in sorted(root.iterdir())[:CATEGORIES]:
        photos = sorted(place.iterdir())[: each + others]
        for index, photo in enumerate(photos):
            target = "PHOTOS" if index < each else "NEW_PHOTOS"
            shutil.copy(photo, folder / target / f"{place.name}_{photo.name}")
    assert len(list((folder / "PHOTOS").iterdir())) == TRAINED
    others = sorted((folder / "NEW_PHOTOS").iterdir())
    assert len(others) == OTHERS
    return others[0]


@pytest.mark.slow
def test_the_road_leads_from_photos_to_a_file_that_runs_without_luss(wheel, tmp_path):
    for package in ("onnx", "onnxruntime"):
        pytest.importorskip(package)
    photos = PHOTOS
    if not photos.is_dir():
        photos = tmp_path / "drawn"
        draw_demo_data(photos, train=14, train_semi=1, validation=1, test=1, size=96)
    folder = tmp_path / "walk"
    folder.mkdir()
    dog = copy_flat(photos / "train", folder)
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(wheel),
        "OMP_NUM_THREADS": "1",
    }

    def run(*command):
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout

    def program(text, name):
        text = text.replace("dog.jpg", str(dog))
        run("python", "-c", f"{text}\nnp.save({name!r}, ids.squeeze())\n")
        return np.load(folder / name)

    assert Path(run("python", "-c", "import luss; print(luss.__file__)")).is_relative_to(wheel)
    for command in map(smaller, COMMANDS):
        run("bash", "-euo", "pipefail", "-c", f"{LUSS}\n{command}")

    for place in re.findall(r"`(work_dirs/PHOTOS/[^`]+)`", PAGE):
        if place.endswith("results.json"):
            # Without masks there are no metrics.
            continue
        assert list(folder.glob(place.rstrip("/"))), f"there is no {place}"
    masks = sorted((folder / "found" / "masks").rglob("*.png"))
    assert len(masks) == OTHERS
    assert any(read_mask(path).any() for path in masks)

    ids = program(PROGRAMS[0], "ids.npy")
    (mask,) = [path for path in masks if path.stem == dog.stem]
    np.testing.assert_array_equal(ids, read_mask(mask))
    assert (program(PROGRAMS[1], "onnx.npy") == ids).mean() >= 0.995
