"""What an installed wheel offers: configs, tools and the template, in the place OpenMMLab has."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
LINKED = {
    "configs": "configs",
    "tools": "tools",
    "project_template": "projects/template",
    "projects/foreground_analysis": "projects/foreground_analysis",
    "projects/sweeps": "projects/sweeps",
}


def files(folder):
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in (".py", ".sh", ".md", ".yml")
    }


@pytest.mark.parametrize("name", LINKED)
def test_the_wheel_holds_what_the_checkout_links(wheel, name):
    held = wheel / "luss" / ".mim" / name
    assert not held.is_symlink()
    assert files(held) == files(REPOSITORY / LINKED[name])


def test_the_wheel_holds_nothing_else_at_its_top(wheel):
    names = {path.name for path in wheel.iterdir() if not path.name.endswith("-info")}
    assert names == {"luss"}
    assert (wheel / "luss" / ".mim" / "model-index.yml").is_file()


def test_a_project_on_the_wheel_alone(wheel, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(wheel)}

    def run(*arguments):
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("-m", "luss", "new_project", "mine")
    said = run(
        "-c",
        "import luss; from luss.configuration import read_config;"
        "config = read_config('mine/configs/mine.py');"
        "print(luss.__file__, *config.stages.pretrain.model.objectives)",
    )
    assert said.split() == [str(wheel / "luss/__init__.py"), "clustering", "d2s", "p2p", "mine"]


def test_the_wheel_has_the_command(wheel):
    (entries,) = wheel.glob("luss-*.dist-info/entry_points.txt")
    assert "luss = luss.commands:main" in entries.read_text()


@pytest.mark.slow
def test_photos_are_checked_and_trained_on_from_an_empty_folder(wheel, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(wheel), "OMP_NUM_THREADS": "1"}

    def luss(*arguments):
        command = [sys.executable, "-m", "luss", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True
        )

    made = luss("make-demo-data", "demo", "--train", "4", "--train-semi", "1", "--size", "64")
    assert made.returncode == 0, made.stderr
    # A plain folder: class folders without a split are folders of photos.
    (tmp_path / "demo" / "train").rename(tmp_path / "photos")
    checked = luss("check", "photos", "--categories", "3")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    done = luss("train", "photos", "--categories", "3", "--minutes", "1.5")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Report: work_dirs/photos/report/index.html" in done.stdout
    assert (tmp_path / "work_dirs/photos/report/index.html").is_file()
