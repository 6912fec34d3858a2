"""The command lines that make and describe data."""

import json
import runpy
import shutil
import signal
from pathlib import Path

import pytest

TOOLS = Path(__file__).resolve().parents[2] / "tools"


@pytest.fixture
def call(monkeypatch, capsys):
    """Function that runs a tool in this process and returns (exit code, stdout, stderr)."""
    handler = signal.getsignal(signal.SIGTERM)

    def run(tool, *arguments):
        monkeypatch.setattr("sys.argv", [tool, *map(str, arguments)])
        code = 0
        try:
            runpy.run_path(str(TOOLS / f"{tool}.py"), run_name="__main__")
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    yield run
    signal.signal(signal.SIGTERM, handler)


def test_demo_data_are_drawn_and_described(tmp_path, call):
    counts = ("--train", 2, "--train-semi", 1, "--validation", 2, "--test", 1, "--size", 64)
    assert call("make_demo_data", tmp_path / "demo", *counts)[0] == 0
    code, _, stderr = call("make_demo_data", tmp_path / "demo", *counts, "--seed", 1)
    assert code == 2
    assert stderr.startswith("error: ")

    code, stdout, stderr = call(
        "dataset_stats", tmp_path / "demo", "--out", tmp_path / "out", "--per-class"
    )
    assert code == 0
    assert "warning" not in stderr
    assert "6 classes" in stdout
    splits = json.loads((tmp_path / "out" / "statistics.json").read_text())["splits"]
    assert {split: counts["images"] for split, counts in splits.items()} == {
        "train": 12,
        "train-semi": 6,
        "validation": 12,
        "test": 6,
    }
    assert (tmp_path / "out" / "positions.png").stat().st_size > 1000


def test_what_looks_wrong_is_named(tmp_path, call):
    counts = ("--train", 2, "--train-semi", 1, "--validation", 1, "--test", 1, "--size", 64)
    call("make_demo_data", tmp_path / "demo", *counts)
    first = sorted((tmp_path / "demo" / "train").iterdir())[0]
    for folder in list((tmp_path / "demo").glob(f"*/{first.name}")):
        folder.rename(folder.with_name("zebra"))
    photo = next((tmp_path / "demo" / "train" / "zebra").iterdir())
    shutil.copy(photo, photo.with_name(f"copy{photo.suffix}"))
    code, _, stderr = call("dataset_stats", tmp_path / "demo", "--out", tmp_path / "out")
    assert code == 0
    assert "warning: validation: no mask in the folder" in stderr
    assert "'zebra' contains its id 6" in stderr
    assert "warning: train: 1 photo is a byte-identical copy" in stderr


def test_what_is_no_split_root_is_refused(tmp_path, call):
    code, _, stderr = call("dataset_stats", tmp_path)
    assert code == 2
    assert "not an ImageNet-S split root" in stderr


def test_preparation_without_imagenet_is_refused(tmp_path, call):
    arguments = ("--imagenet", tmp_path, "--lists", tmp_path, "--out", tmp_path)
    code, _, stderr = call("prepare_imagenet_s", *arguments)
    assert code == 2
    assert "ImageNet-1k" in stderr
