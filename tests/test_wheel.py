"""What an installed wheel offers: configs, tools and the template, in the place OpenMMLab has."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
LINKED = {"configs": "configs", "tools": "tools", "project_template": "projects/template"}


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder into which a wheel of a copy of the checkout is unpacked."""
    pytest.importorskip("setuptools")
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    left_out = shutil.ignore_patterns(".*", "__pycache__")
    source.mkdir()
    for name in ("luss", "configs", "tools", "projects"):
        shutil.copytree(REPOSITORY / name, source / name, ignore=left_out)
    shutil.copytree(REPOSITORY / "luss" / ".mim", source / "luss" / ".mim", symlinks=True)
    for name in ("setup.py", "MANIFEST.in", "README.md", "model-index.yml", "LICENSE"):
        shutil.copy(REPOSITORY / name, source / name)
    command = [sys.executable, "setup.py", "-q", "bdist_wheel", "--dist-dir", str(folder)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder / "site")
    return folder / "site"


def files(folder):
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix in (".py", ".sh", ".md", ".yml")
    }


@pytest.mark.parametrize("name", LINKED)
def test_the_wheel_holds_what_the_checkout_links(installed, name):
    held = installed / "luss" / ".mim" / name
    assert not held.is_symlink()
    assert files(held) == files(REPOSITORY / LINKED[name])


def test_the_wheel_holds_nothing_else_at_its_top(installed):
    names = {path.name for path in installed.iterdir() if not path.name.endswith("-info")}
    assert names == {"luss"}
    assert (installed / "luss" / ".mim" / "model-index.yml").is_file()


def test_a_project_on_the_wheel_alone(installed, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(installed)}

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
    assert said.split() == [str(installed / "luss/__init__.py"), "clustering", "d2s", "p2p", "mine"]


def test_the_wheel_has_the_command(installed):
    (entries,) = installed.glob("luss-*.dist-info/entry_points.txt")
    assert "luss = luss.commands:main" in entries.read_text()


@pytest.mark.slow
def test_photos_are_checked_and_trained_on_from_an_empty_folder(installed, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}

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
